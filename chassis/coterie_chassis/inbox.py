"""Each event takes effect once: its id is recorded in the transaction of its effect.

The table is partitioned by the day inside the event id, so a duplicate always meets its original
and pruning drops a partition. A record older than the horizon is counted and not applied, because
its original may be pruned already.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text

from coterie_chassis.store import Database, UnitOfWork

__all__ = ["Inbox", "day_of"]

_FUTURE_DAYS: Final = 2
_PARTITION_LOCK: Final = 7_203_552


def day_of(event_id: UUID) -> date:
    """The UTC day in the first 48 bits of a UUIDv7 or UUIDv8."""
    return datetime.fromtimestamp((event_id.int >> 80) / 1000, tz=UTC).date()


class Inbox:
    """The ids that took effect. `retention_days` is how far back duplicates are known."""

    def __init__(self, retention_days: int) -> None:
        self._retention = timedelta(days=retention_days)
        self._known: set[date] = set()

    def is_expired(self, event_id: UUID, now: datetime) -> bool:
        """Whether the id is older than the horizon."""
        return day_of(event_id) < (now - self._retention).date()

    def is_from_the_future(self, event_id: UUID, now: datetime) -> bool:
        """Whether the id is days ahead of the database's clock."""
        return day_of(event_id) > (now + timedelta(days=_FUTURE_DAYS)).date()

    async def prepare(self, database: Database, event_ids: Iterable[UUID]) -> None:
        """Create missing day partitions, in a short transaction of its own."""
        missing = {day_of(event_id) for event_id in event_ids} - self._known
        if not missing:
            return
        async with database.begin() as uow:
            await uow.execute(text("SELECT pg_advisory_xact_lock(:l)"), {"l": _PARTITION_LOCK})
            for day in sorted(missing):
                await uow.execute(text(_partition(day)))
        self._known |= missing

    async def record(self, uow: UnitOfWork, event_ids: Collection[UUID]) -> set[UUID]:
        """Record ids; returns those that were not there. One statement."""
        rows = await uow.rows(_RECORD, {"ids": list(event_ids)})
        return {row.event_id for row in rows}

    async def prune(self, database: Database) -> int:
        """Drop the partitions that lie behind the horizon; returns how many."""
        async with database.begin() as uow:
            horizon = (uow.now - self._retention).date()
            names = [
                row.name
                for row in await uow.rows(_PARTITIONS)
                if date.fromisoformat(row.name.removeprefix("inbox_").replace("_", "-")) < horizon
            ]
            for name in names:
                await uow.execute(text(f'DROP TABLE "{name}"'))
        self._known = {day for day in self._known if day >= horizon}
        return len(names)


def _partition(day: date) -> str:
    return (
        f'CREATE TABLE IF NOT EXISTS "inbox_{day:%Y_%m_%d}" PARTITION OF inbox '
        f"FOR VALUES FROM ('{_bound(day)}') TO ('{_bound(day + timedelta(days=1))}')"
    )


def _bound(day: date) -> UUID:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return UUID(int=int(start.timestamp() * 1000) << 80)


_RECORD: Final = text(
    "INSERT INTO inbox (event_id) SELECT * FROM unnest(CAST(:ids AS uuid[])) "
    "ON CONFLICT DO NOTHING RETURNING event_id"
)
_PARTITIONS: Final = text(
    "SELECT child.relname AS name FROM pg_inherits "
    "JOIN pg_class AS child ON child.oid = inhrelid WHERE inhparent = 'inbox'::regclass"
)
