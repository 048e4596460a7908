"""Records that cannot take effect now are kept whole and in order, never skipped.

A dead letter parks its (lane, key): later events of that key are stored behind it in arrival
order while other keys flow on. Redrive applies them in order, one transaction each. A record
without an attributable subject parks nothing.
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, delete, select, text

from coterie_chassis import tables
from coterie_chassis.store import UnitOfWork, bulk_insert
from coterie_contracts.topics import TOPICS

__all__ = [
    "COMPACTED",
    "DeadLetter",
    "FailureKind",
    "Limits",
    "Record",
    "Tally",
    "attributed_event_id",
    "attributed_subject",
]

COMPACTED: Final = frozenset(topic.name for topic in TOPICS if topic.compacted)
_OURS: Final = "coterie."
_MAX_ERROR: Final = 2_000


class FailureKind(StrEnum):
    UNREADABLE = "unreadable"
    VERSION = "version"
    REFUSED = "refused"
    BUG = "bug"
    PARKED = "parked"


@dataclass(frozen=True, slots=True)
class Record:
    """A Kafka record as it came."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    value: bytes | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that is to be set aside, with the reason."""

    record: Record
    kind: FailureKind
    error: str
    subject: UUID | None = None
    event_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a lane halts. `per_key` and `in_total` count open letters, followers included.

    `in_a_row` counts events that failed one after the other, `ratio` is the share of failures among
    the last `window` events; both since this process started, followers and duplicates left aside.
    """

    per_key: int = 1_000
    in_total: int = 10_000
    in_a_row: int = 500
    ratio: float = 0.25
    window: int = 1_000

    def excess(self, total: int, longest: int) -> str | None:
        """What is wrong with the number of open letters, if anything."""
        if total > self.in_total:
            return f"{total} open dead letters, the limit is {self.in_total}"
        if longest > self.per_key:
            return f"{longest} open dead letters of one key, the limit is {self.per_key}"
        return None


@dataclass(slots=True)
class Tally:
    """How many of a lane's latest events failed. `add` after the commit, never before."""

    limits: Limits
    run: int = 0
    recent: deque[bool] = field(default_factory=deque)

    def with_(self, failures: Iterable[bool]) -> Tally:
        """This tally and one bool an event, true where it failed."""
        run, recent = self.run, deque(self.recent, maxlen=self.limits.window)
        for failed in failures:
            run = run + 1 if failed else 0
            recent.append(failed)
        return Tally(self.limits, run, recent)

    @property
    def excess(self) -> str | None:
        """What is wrong with the latest events, if anything."""
        if self.run > self.limits.in_a_row:
            return f"{self.run} events failed in a row, the limit is {self.limits.in_a_row}"
        failed, seen = sum(self.recent), len(self.recent)
        if seen == self.limits.window and failed > self.limits.ratio * seen:
            return f"{failed} of {seen} events failed, the limit is {self.limits.ratio:.0%}"
        return None


def attributed_event_id(record: Record) -> UUID | None:
    """The id that a record we cannot read claims to have."""
    try:
        return UUID((dict(record.headers)["ce_id"] or b"").decode())
    except (KeyError, ValueError):
        return None


def attributed_subject(record: Record) -> UUID | None:
    """The aggregate that a record we cannot read belongs to, if id, source and type are ours."""
    headers = dict(record.headers)
    try:
        names = ("ce_id", "ce_source", "ce_type", "ce_subject")
        id_, source, type_, subject = ((headers[name] or b"").decode() for name in names)
        UUID(id_)
        if source.startswith("coterie/") and type_.startswith(_OURS):
            return UUID(subject)
    except (KeyError, ValueError):
        pass
    return None


async def parked(uow: UnitOfWork, lane: str, subjects: Collection[UUID]) -> set[UUID]:
    """Which of `subjects` are parked; holds redrive off these keys until the commit."""
    rows = await uow.rows(_PARKED, {"lane": lane, "subjects": list(subjects)})
    return {row.subject for row in rows}


async def stored_before(
    uow: UnitOfWork, lane: str, letters: Sequence[DeadLetter]
) -> set[tuple[str, int, int]]:
    """The positions (topic, partition, offset) of those that are stored already, settled or not."""
    rows = [_row(lane, letter) for letter in letters]
    names = ("topic", "partition", "offset", "digest")
    columns = {name: [row[name] for row in rows] for name in names}
    found = await uow.rows(_STORED, {"lane": lane, **columns})
    return {(row.topic, row.partition, row.offset) for row in found}


async def store(uow: UnitOfWork, lane: str, letters: Sequence[DeadLetter]) -> None:
    """Keep `letters` in their order. One statement; a letter stored before is left as it is."""
    rows = [_row(lane, letter) for letter in letters]
    await bulk_insert(uow, tables.dead_letter, rows, on_conflict_do_nothing=True)


async def purge(uow: UnitOfWork, lane: str, subjects: Collection[UUID]) -> None:
    """Forget every letter of `subjects`: an erased person's events are never applied."""
    letter = tables.dead_letter.c
    await uow.execute(
        delete(tables.dead_letter).where(letter.lane == lane, letter.subject.in_(list(subjects)))
    )


async def counts(uow: UnitOfWork, lane: str) -> tuple[int, int]:
    """Open letters of a lane: in total, and of the key that has most."""
    row = (await uow.execute(_COUNTS, {"lane": lane})).one()
    return int(row.total), int(row.longest)


async def next_open(uow: UnitOfWork, lane: str, subject: UUID) -> Row[Any] | None:
    """The oldest open letter of a parked key, locked against the consumer."""
    letter = tables.dead_letter.c
    return await uow.one_or_none(
        select(tables.dead_letter)
        .where(letter.lane == lane, letter.subject == subject, letter.state == "open")
        .order_by(letter.id)
        .limit(1)
        .with_for_update()
    )


def record_of(row: Row[Any]) -> Record:
    """The record that a stored letter holds."""
    headers = [
        (name, None if value is None else base64.b64decode(value)) for name, value in row.headers
    ]
    return Record(row.topic, row.partition, row.offset, row.key, headers, row.value)


def _row(lane: str, letter: DeadLetter) -> Mapping[str, Any]:
    record = letter.record
    headers = [
        [name, None if value is None else base64.b64encode(value).decode()]
        for name, value in record.headers
    ]
    digest = sha256(repr((headers, record.value)).encode()).digest()
    return {
        "lane": lane,
        "subject": letter.subject,
        "event_id": letter.event_id,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "key": record.key,
        "headers": headers,
        "value": None if record.topic in COMPACTED else record.value,
        "digest": digest,
        "kind": letter.kind.value,
        "error": letter.error[:_MAX_ERROR],
    }


_PARKED: Final = text(
    "SELECT subject FROM dead_letter WHERE lane = :lane AND state = 'open' "
    "AND subject = ANY(CAST(:subjects AS uuid[])) ORDER BY id FOR SHARE"
)
_STORED: Final = text(
    'SELECT letter.topic, letter.partition, letter."offset" FROM dead_letter AS letter '
    "JOIN unnest(CAST(:topic AS text[]), CAST(:partition AS integer[]), "
    "CAST(:offset AS bigint[]), CAST(:digest AS bytea[])) "
    'AS given (topic, partition, "offset", digest) USING (topic, partition, "offset", digest) '
    "WHERE letter.lane = :lane"
)
_COUNTS: Final = text(
    "SELECT coalesce(sum(n), 0) AS total, coalesce(max(n) FILTER (WHERE subject IS NOT NULL), 0) "
    "AS longest FROM (SELECT subject, count(*) AS n FROM dead_letter "
    "WHERE lane = :lane AND state = 'open' GROUP BY subject) AS per_key"
)
