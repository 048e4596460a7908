"""Each event takes effect once: its id is recorded in the transaction of its effect.

The table is partitioned by the day inside the event id, so a duplicate always meets its original
and pruning drops a partition. A record older than the horizon is counted and not applied, because
its original may be pruned already. An open dead letter holds the horizon back: what it may need
when it is redriven is never pruned. No id, however forged, makes a partition outside of the window.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime, timedelta
from operator import attrgetter
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Row, text

from coterie_chassis.store import Database, Opening, UnitOfWork

__all__ = ["Inbox", "Window", "day_of"]

_FUTURE: Final = timedelta(days=2)
_SLACK: Final = timedelta(days=1)
_MS_A_DAY: Final = 86_400_000
_UNIX_EPOCH: Final = date(1970, 1, 1)
_FIRST_DAY: Final = date(2020, 1, 1)  # no event of ours is older
_PARTITION_LOCK: Final = 7_203_552


def day_of(event_id: UUID) -> date:
    """The UTC day in the first 48 bits of a UUIDv7 or UUIDv8; `date.max` for any beyond it."""
    try:
        return _UNIX_EPOCH + timedelta(days=(event_id.int >> 80) // _MS_A_DAY)
    except OverflowError:
        return date.max


class Window(NamedTuple):
    """Ids as numbers: what is below `begin` has expired, `end` and above lie days ahead."""

    begin: int
    end: int


class Inbox:
    """The ids that took effect. `retention_days` is how far back duplicates are known, 0 for ever.

    The days of an id that counts run from `first_day` to two days ahead of the database's clock.
    """

    def __init__(self, retention_days: int) -> None:
        self._retention = timedelta(days=retention_days) if retention_days else None
        self._known: set[date] = set()

    def first_day(self, now: datetime) -> date:
        """The first day within the horizon."""
        return _FIRST_DAY if self._retention is None else (now - self._retention).date()

    def window(self, now: datetime) -> Window:
        """The ids that count at `now`."""
        following = (now + _FUTURE).date() + timedelta(days=1)
        return Window(_bound(self.first_day(now)).int, _bound(following).int)

    def covers(self, event_id: UUID, now: datetime) -> bool:
        """Whether the id's day lies in the window."""
        window = self.window(now)
        return window.begin <= event_id.int < window.end

    async def prepare(self, database: Database, event_ids: Iterable[UUID]) -> None:
        """Create missing day partitions of the window, in a short transaction of its own."""
        one_a_day = {(event_id.int >> 80) // _MS_A_DAY: event_id for event_id in event_ids}
        if not (missing := self._near(set(map(day_of, one_a_day.values())) - self._known)):
            return
        async with database.begin() as uow:
            created = await self._create(uow, missing)
        self._known |= created

    async def record_late(self, uow: UnitOfWork, event_id: UUID) -> bool:
        """Record an id that could not be read when it came; whether it was not there."""
        if not self.covers(event_id, uow.now):
            return True
        await self._create(uow, {day_of(event_id)} - self._known)
        return not await self.record(uow, [event_id])

    async def _create(self, uow: UnitOfWork, days: set[date]) -> set[date]:
        first, last = self.first_day(uow.now), (uow.now + _FUTURE).date()
        within = {day for day in days if first <= day <= last}
        if within:
            await uow.execute(text("SELECT pg_advisory_xact_lock(:l)"), {"l": _PARTITION_LOCK})
        for day in sorted(within):
            await uow.execute(text(_partition(day)))
        return within

    def _near(self, days: set[date]) -> set[date]:
        """Those that may lie in the window, if this machine's clock is not a day apart."""
        if not days:
            return days
        now = datetime.now(UTC)
        first, last = self.first_day(now - _SLACK), (now + _FUTURE + _SLACK).date()
        return {day for day in days if first <= day <= last}

    async def record(self, uow: UnitOfWork, event_ids: Collection[UUID]) -> set[UUID]:
        """Record ids; returns those that were there already. One statement.

        In the order of ids, so that two instances with the same records never deadlock.
        """
        return self.known_among(event_ids, (await uow.execute(*self.recording(event_ids))).one())

    def recording(self, event_ids: Iterable[UUID]) -> Opening:
        """The statement of `record`, which may begin a transaction; `known_among` reads its row."""
        return _RECORD, {"ids": sorted(event_ids, key=attrgetter("int"))}

    def known_among(self, event_ids: Iterable[UUID], recorded: Row[Any]) -> set[UUID]:
        """Those of the ids recorded that were there already."""
        return set() if recorded.new is None else set(event_ids).difference(recorded.new)

    async def prune(self, database: Database) -> int:
        """Drop the partitions that lie behind the horizon; returns how many.

        A day later than the horizon says, so that no transaction under way misses one.
        """
        if self._retention is None:
            return 0
        async with database.begin() as uow:
            horizon = self.first_day(uow.now - _SLACK)
            if (held := await uow.one_or_none(_HELD_BACK)) is not None:
                horizon = min(horizon, day_of(held.event_id))
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


# Null says that all of them were new, as they nearly always are: no row is read for each.
_RECORD: Final = text(
    "WITH new AS (INSERT INTO inbox (event_id) SELECT * FROM unnest(CAST(:ids AS uuid[])) "
    "ON CONFLICT DO NOTHING RETURNING event_id) "
    "SELECT now() AS now, CASE WHEN count(*) < cardinality(CAST(:ids AS uuid[])) "
    "THEN coalesce(array_agg(event_id), '{}') END AS new FROM new"
)
_PARTITIONS: Final = text(
    "SELECT child.relname AS name FROM pg_inherits "
    "JOIN pg_class AS child ON child.oid = inhrelid WHERE inhparent = 'inbox'::regclass"
)
_HELD_BACK: Final = text(
    "SELECT event_id FROM dead_letter WHERE state = 'open' AND event_id IS NOT NULL "
    "ORDER BY event_id LIMIT 1"
)
