"""A SQLite file that remembers each fact once, and under which name it reads the log.

The consumer group is made with the file: an empty store has a group that no broker knows, which
therefore starts at the beginning of the log, and a lost file is rebuilt by starting again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid4

__all__ = ["Count", "Fact", "SetAside", "Store"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS reader (group_id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS fact (
    event_id TEXT PRIMARY KEY,
    topic TEXT NOT NULL,
    community_id TEXT NOT NULL,
    feedback_id TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS set_aside (
    topic TEXT, partition INTEGER, "offset" INTEGER, reason TEXT NOT NULL,
    PRIMARY KEY (topic, partition, "offset")
) WITHOUT ROWID;
"""
# A suggestion is implemented again in each of its rounds, and counts once.
_COUNTS = """
SELECT community_id,
       count(DISTINCT CASE topic WHEN 'feedback.implemented' THEN feedback_id END),
       count(DISTINCT CASE topic WHEN 'feedback.verified' THEN feedback_id END)
FROM fact GROUP BY community_id ORDER BY community_id
"""


class Fact(NamedTuple):
    """What happened to one suggestion."""

    event_id: UUID
    topic: str
    community_id: UUID
    feedback_id: UUID


class SetAside(NamedTuple):
    """A record that could not be read, by its place in the log."""

    topic: str
    partition: int
    offset: int
    reason: str


class Count(NamedTuple):
    community_id: str
    implemented: int
    verified: int


class Store:
    """Everything that this subscriber knows. Raises `sqlite3.Error` where the file gives out."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=10, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.executescript(_SCHEMA)

    def group_id(self) -> str:
        """The consumer group that belongs to this file."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            row = self._db.execute("SELECT group_id FROM reader").fetchone()
            if row is None:
                row = (f"insider-stats.{uuid4()}",)
                self._db.execute("INSERT INTO reader VALUES (?)", row)
        return str(row[0])

    def take(self, facts: Iterable[Fact], unread: Iterable[SetAside]) -> int:
        """Keep what is new, all or nothing; how many facts were."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            before = self._db.total_changes
            rows = [tuple(str(value) for value in fact) for fact in facts]
            self._db.executemany("INSERT OR IGNORE INTO fact VALUES (?, ?, ?, ?)", rows)
            new = self._db.total_changes - before
            self._db.executemany("INSERT OR REPLACE INTO set_aside VALUES (?, ?, ?, ?)", unread)
        return new

    def counts(self) -> list[Count]:
        """Suggestions by community, in the order of their ids."""
        return [Count(*row) for row in self._db.execute(_COUNTS)]

    def set_aside(self) -> list[SetAside]:
        """What could not be read, in the order of the log."""
        rows = self._db.execute("SELECT * FROM set_aside ORDER BY 1, 2, 3")
        return [SetAside(*row) for row in rows]

    def close(self) -> None:
        self._db.close()
