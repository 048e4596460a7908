"""What was set aside is looked at and settled: dead letters of events, and failed deadlines.

An event's letter brings its followers with it, in order, one transaction each, and stops at the
first that fails again. Dropping needs a reason and an author, and both are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from sqlalchemy import text

from coterie_chassis import deadletter
from coterie_chassis.consumer import LaneConsumer
from coterie_chassis.deadletter import COMPACTED, FailureKind
from coterie_chassis.errors import ConfigurationFault
from coterie_chassis.store import Database, UnitOfWork
from coterie_contracts.topics import Lane

if TYPE_CHECKING:
    from sqlalchemy import Row

    from coterie_chassis.service import Runtime

__all__ = ["Filter", "drop_deadline", "drop_letter", "list_open", "redrive_letter", "show"]

_UNREAD: Final = {FailureKind.UNREADABLE.value, FailureKind.VERSION.value}
_NO_BYTES: Final = (
    "the bytes of a compacted topic are not kept: drop this letter, and have the topic's owner "
    "`republish` its state"
)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which open letters are meant; None does not ask."""

    lane: str | None = None
    topic: str | None = None
    kind: str | None = None

    def values(self) -> dict[str, str | None]:
        return {"lane": self.lane, "topic": self.topic, "kind": self.kind}


async def list_open(
    database: Database, which: Filter, *, limit: int
) -> tuple[list[Mapping[str, Any]], int]:
    """The oldest open letter of each key, at most `limit`, and the number of such keys in all."""
    async with database.begin() as uow:
        rows = await uow.rows(_LIST, {**which.values(), "limit": limit})
        return [dict(row._mapping) for row in rows], rows[0].keys if rows else 0


async def list_deadlines(database: Database) -> list[Mapping[str, Any]]:
    """Deadlines that were set aside, oldest first."""
    async with database.begin() as uow:
        return [dict(row._mapping) for row in await uow.rows(_DEADLINES)]


async def show(database: Database, table: str, id_: int) -> Mapping[str, Any]:
    """All columns of a letter or deadline, whatever became of it."""
    async with database.begin() as uow:
        row = await uow.one_or_none(_SHOW[table], {"id": id_})
    if row is None:
        raise ConfigurationFault(f"there is no {table.replace('_', ' ')} {id_}")
    return dict(row._mapping)


async def redrive_letter(runtime: Runtime, letter: int) -> tuple[int, int]:
    """Apply a letter and its followers; returns how many took effect and how many stay open."""
    row = await _open_letter(runtime.database, letter)
    return await _redrive(runtime, row)


async def drop_letter(runtime: Runtime, letter: int, reason: str, author: str) -> tuple[int, int]:
    """Give a letter up and apply its followers; returns like `redrive_letter`."""
    row = await _open_letter(runtime.database, letter)
    await _drop(runtime.database, "dead_letter", letter, reason, author)
    return (0, 0) if row["subject"] is None else await _redrive(runtime, row)


async def drop_deadline(runtime: Runtime, id_: int, reason: str, author: str) -> None:
    """Give a deadline up that was set aside."""
    if (await show(runtime.database, "failed_deadline", id_))["state"] != "open":
        raise ConfigurationFault(f"there is no open failed deadline {id_}")
    await _drop(runtime.database, "failed_deadline", id_, reason, author)


async def _redrive(runtime: Runtime, row: Mapping[str, Any]) -> tuple[int, int]:
    lane = next(lane for lane in runtime.lanes if lane.lane is Lane(row["lane"]))
    if row["subject"] is None:
        done = int(await _redrive_alone(runtime.database, lane, row["id"]))
        return done, 1 - done
    done = await _redrive_key(runtime.database, lane, row["subject"])
    return done, await _left(runtime.database, row["lane"], row["subject"])


async def _redrive_key(database: Database, lane: LaneConsumer, subject: UUID) -> int:
    """Apply the open letters of a key in order up to one that fails again; how many applied."""
    applied = 0
    while True:
        async with database.begin() as uow:
            row = await deadletter.next_open(uow, lane.lane, subject)
            if row is None:
                return applied
            error = await _apply(uow, lane, row)
        if error is not None:
            return applied
        applied += 1


async def _redrive_alone(database: Database, lane: LaneConsumer, id_: int) -> bool:
    """Apply one letter that parks nothing; whether it took effect."""
    async with database.begin() as uow:
        row = await uow.one_or_none(_LETTER, {"id": id_, "lane": lane.lane})
        return row is not None and await _apply(uow, lane, row) is None


async def _apply(uow: UnitOfWork, lane: LaneConsumer, row: Row[Any]) -> str | None:
    record = deadletter.record_of(row)
    if record.value is None and record.topic in COMPACTED:
        error: str | None = _NO_BYTES
    else:
        error = await lane.apply_alone(record, uow, new=row.kind in _UNREAD)
    await uow.execute(_STILL_OPEN if error else _REDRIVEN, {"id": row.id, "error": error})
    return error


async def _open_letter(database: Database, letter: int) -> Mapping[str, Any]:
    row = await show(database, "dead_letter", letter)
    if row["state"] != "open":
        raise ConfigurationFault(f"there is no open dead letter {letter}")
    return row


async def _drop(database: Database, table: str, id_: int, reason: str, author: str) -> None:
    if not reason.strip() or not author.strip():
        raise ConfigurationFault("dropping needs a reason and an author")
    async with database.begin() as uow:
        await uow.execute(_DROP[table], {"id": id_, "reason": reason, "author": author})


async def _left(database: Database, lane: str, subject: UUID) -> int:
    async with database.begin() as uow:
        return int((await uow.execute(_LEFT, {"lane": lane, "subject": subject})).scalar_one())


_TABLES: Final = ("dead_letter", "failed_deadline")
_SHOW: Final = {name: text(f"SELECT * FROM {name} WHERE id = :id") for name in _TABLES}  # noqa: S608 - two names of ours
_DROP: Final = {
    name: text(
        f"UPDATE {name} SET state = 'dropped', settled_at = now(), "  # noqa: S608 - as above
        "reason = :reason, author = :author WHERE id = :id AND state = 'open'"
    )
    for name in _TABLES
}
_LIST: Final = text(
    """
    SELECT first.*, count(*) OVER () AS keys, (
        SELECT count(*) FROM dead_letter AS b WHERE b.state = 'open'
        AND b.lane = first.lane AND b.subject = first.subject AND b.id > first.id
    ) AS behind
    FROM (
        SELECT DISTINCT ON (lane, coalesce(subject::text, id::text))
            id, lane, topic, subject, kind, error
        FROM dead_letter WHERE state = 'open'
        ORDER BY lane, coalesce(subject::text, id::text), id
    ) AS first
    WHERE (CAST(:lane AS text) IS NULL OR lane = :lane)
        AND (CAST(:topic AS text) IS NULL OR topic = :topic)
        AND (CAST(:kind AS text) IS NULL OR kind = :kind)
    ORDER BY first.id LIMIT :limit
    """
)
_DEADLINES: Final = text(
    "SELECT id, kind, aggregate_id, due_at, error FROM failed_deadline "
    "WHERE state = 'open' ORDER BY id"
)
_LETTER: Final = text(
    "SELECT * FROM dead_letter WHERE id = :id AND lane = :lane AND state = 'open' FOR UPDATE"
)
_LEFT: Final = text(
    "SELECT count(*) FROM dead_letter WHERE lane = :lane AND subject = :subject AND state = 'open'"
)
_REDRIVEN: Final = text(
    "UPDATE dead_letter SET state = 'redriven', settled_at = now() "
    "WHERE id = :id AND CAST(:error AS text) IS NULL"
)
_STILL_OPEN: Final = text("UPDATE dead_letter SET error = :error WHERE id = :id")
