"""Deadlines: stored when they arise, acted on once, stamped with the deadline itself.

On a wall clock a loop takes what is due. On a driven clock, deadlines of a community run in
their order, under that community's clock row, before anything later happens there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text

from coterie_chassis.decisions import SYSTEM, Cause, derived_id
from coterie_chassis.store import Database, UnitOfWork
from coterie_contracts.community import ClockMode

__all__ = ["Deadline", "Sweep", "Sweeper", "sweeps"]

_BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class Deadline:
    """A deadline that came; `cause.at` is `due_at`. Its handler checks the state again."""

    kind: str
    aggregate_id: UUID
    community_id: UUID
    due_at: datetime
    cause: Cause


Handler = Callable[[Sequence[Deadline], UnitOfWork], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Sweep:
    kind: str
    run: Handler

    async def __call__(self, due: Sequence[Deadline], uow: UnitOfWork) -> None:
        await self.run(due, uow)


def sweeps(kind: str) -> Callable[[Handler], Sweep]:
    """Declare what happens when deadlines of `kind` come; called with those due, in order."""

    def declare(handler: Handler) -> Sweep:
        return Sweep(kind, handler)

    return declare


class Sweeper:
    """Takes due deadlines and runs their handlers."""

    def __init__(self, sweeps_: Sequence[Sweep]) -> None:
        self._sweeps = {sweep.kind: sweep for sweep in sweeps_}

    async def sweep(self, database: Database, *, at: datetime | None = None) -> int:
        """Act on all that is due; `at` replaces the wall clock. Returns how many it took."""
        taken = 0
        while batch := await self._sweep_wall(database, at):
            taken += batch
        while batch := await self._sweep_driven(database):
            taken += batch
        return taken

    async def run_due(self, uow: UnitOfWork, community_id: UUID, until: datetime) -> int:
        """Act on a driven community's deadlines up to `until`, one by one in their order.

        The caller holds the community's clock row.
        """
        taken = 0
        await uow.flush_deadlines()
        while row := await uow.one_or_none(_NEXT, {"community": community_id, "until": until}):
            await self._run(uow, [row])
            await uow.flush_deadlines()
            taken += 1
        return taken

    async def _sweep_wall(self, database: Database, at: datetime | None) -> int:
        async with database.begin() as uow:
            rows = await uow.rows(_DUE, {"at": at or uow.now, "limit": _BATCH})
            await self._run(uow, sorted(rows, key=lambda row: str(row.kind)))
            return len(rows)

    async def _sweep_driven(self, database: Database) -> int:
        async with database.begin() as uow:
            clock = (await uow.rows(_DRIVEN))[:1]
            return await self.run_due(uow, clock[0].community_id, clock[0].now) if clock else 0

    async def _run(self, uow: UnitOfWork, rows: Sequence[Row[Any]]) -> None:
        for kind, group in groupby(rows, key=lambda row: str(row.kind)):
            if sweep := self._sweeps.get(kind):
                await sweep([_deadline(row, uow) for row in group], uow)


def _deadline(row: Row[Any], uow: UnitOfWork) -> Deadline:
    cause_id = derived_id("deadline", uow.service, row.kind, row.aggregate_id, row.due_at)
    cause = Cause(
        id=cause_id,
        actor=SYSTEM,
        at=row.due_at,
        recorded_at=uow.now,
        correlation_id=cause_id,
        brand_id=row.brand_id,
        community_id=row.community_id,
        clock=ClockMode(row.mode or ClockMode.WALL),
    )
    return Deadline(row.kind, row.aggregate_id, row.community_id, row.due_at, cause)


_TAKE: Final = """
WITH taken AS (
    DELETE FROM deadline WHERE (kind, aggregate_id) IN ({due}) RETURNING *
)
SELECT taken.*, clock.brand_id, clock.mode
FROM taken LEFT JOIN community_clock AS clock USING (community_id)
ORDER BY due_at, kind, aggregate_id
"""

_DUE: Final = text(
    _TAKE.format(
        due="""
        SELECT d.kind, d.aggregate_id FROM deadline AS d
        LEFT JOIN community_clock AS c USING (community_id)
        WHERE d.due_at <= :at AND c.mode IS DISTINCT FROM 'driven'
        ORDER BY d.due_at LIMIT :limit FOR UPDATE OF d SKIP LOCKED"""
    )
)

_NEXT: Final = text(
    _TAKE.format(
        due="""
        SELECT kind, aggregate_id FROM deadline
        WHERE community_id = :community AND due_at <= :until
        ORDER BY due_at, kind, aggregate_id LIMIT 1"""
    )
)

_DRIVEN: Final = text(
    """
    SELECT c.community_id, c.now FROM community_clock AS c
    WHERE c.mode = 'driven' AND EXISTS (
        SELECT FROM deadline AS d WHERE d.community_id = c.community_id AND d.due_at <= c.now
    )
    LIMIT 1 FOR UPDATE SKIP LOCKED
    """
)
