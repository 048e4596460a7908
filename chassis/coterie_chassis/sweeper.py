"""Deadlines: stored when they arise, acted on once, stamped with the deadline itself.

On a wall clock a loop takes what is due. On a driven clock, deadlines of a community run in
their order, under that community's clock row, before anything later happens there. A deadline
whose handler fails is set aside with its error and holds up no other; `redrive` runs it again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text

from coterie_chassis import telemetry
from coterie_chassis.decisions import SYSTEM, Cause, derived_id
from coterie_chassis.errors import describe, is_transient, no_stray_cancellation
from coterie_chassis.isolation import isolate
from coterie_chassis.store import Database, UnitOfWork
from coterie_chassis.telemetry import Telemetry
from coterie_contracts.community import ClockMode

__all__ = ["Deadline", "Sweep", "Sweeper", "sweeps"]

_BATCH: Final = 200
_MAX_ERROR: Final = 2_000
_Due = Row[Any]


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
        with no_stray_cancellation(f"the handler of {self.kind}"):
            await self.run(due, uow)


def sweeps(kind: str) -> Callable[[Handler], Sweep]:
    """Declare what happens when deadlines of `kind` come; called with those due, in order."""

    def declare(handler: Handler) -> Sweep:
        return Sweep(kind, handler)

    return declare


class Sweeper:
    """Takes due deadlines of the kinds that it knows and runs their handlers."""

    def __init__(self, sweeps_: Sequence[Sweep], service: str) -> None:
        self._sweeps = {sweep.kind: sweep for sweep in sweeps_}
        self._kinds = sorted(self._sweeps)
        self._telemetry = Telemetry(service)
        self.last_progress = time.monotonic()

    async def has_due(self, database: Database) -> bool:
        """Whether `sweep` would find anything now; one statement that locks nothing."""
        async with database.engine.connect() as connection:
            found = await connection.execute(_ANY_DUE, {"kinds": self._kinds})
            return bool(found.scalar_one())

    async def sweep(self, database: Database, *, at: datetime | None = None) -> int:
        """Act on all that is due; `at` replaces the wall clock. Returns how many it took."""
        taken = 0
        while batch := await self._sweep_wall(database, at):
            taken += batch
        while batch := await self._sweep_driven(database):
            taken += batch
        self.last_progress = time.monotonic()
        return taken

    async def run_due(self, uow: UnitOfWork, community_id: UUID, until: datetime) -> int:
        """Act on a driven community's deadlines up to `until`, one by one in their order.

        The caller holds the community's clock row. Raises only what may pass by itself.
        """
        taken = 0
        await uow.flush_deadlines()
        values = {"community": community_id, "until": until, "kinds": self._kinds}
        while row := await uow.one_or_none(_NEXT, values):
            if (error := await self._act_alone(row, uow)) is not None:
                await self._set_aside(row, error, uow)
            self.last_progress = time.monotonic()
            taken += 1
        return taken

    async def redrive(self, database: Database, failed_id: int) -> bool:
        """Run a deadline that was set aside again; whether it has taken effect now."""
        async with database.begin() as uow:
            await uow.execute(_CLOCK_OF_FAILED, {"id": failed_id})
            row = await uow.one_or_none(_FAILED, {"id": failed_id})
            if row is None:
                return False
            if row.kind not in self._sweeps:
                error: str | None = "no handler of this service has this kind"
            else:
                failure = await self._act_alone(row, uow)
                error = None if failure is None else describe(failure)[:_MAX_ERROR]
            await uow.execute(_STILL_FAILED if error else _MENDED, {"id": row.id, "error": error})
            return error is None

    async def _sweep_wall(self, database: Database, at: datetime | None) -> int:
        try:
            taken = await self._take_due(database, at, careful=False)
        except Exception as error:
            if is_transient(error):
                raise
            taken = await self._take_due(database, at, careful=True)
        self.last_progress = time.monotonic()
        return taken

    async def _take_due(self, database: Database, at: datetime | None, *, careful: bool) -> int:
        failed: list[_Due] = []
        async with database.begin() as uow:

            async def act(due: Sequence[_Due]) -> None:
                await self._act(due, uow)

            async def condemn(row: _Due, error: Exception) -> None:
                failed.append(row)
                await self._set_aside(row, error, uow)

            values = {"at": at or uow.now, "limit": _BATCH, "kinds": self._kinds}
            if not (rows := await uow.rows(_DUE, values)):
                return 0
            with telemetry.sweeping():
                for _, group in groupby(sorted(rows, key=_kind), key=_kind):
                    if careful:
                        await isolate(uow, list(group), act, condemn)
                    else:
                        await act(list(group))
        acted_on = Counter(map(_kind, rows)) - Counter(map(_kind, failed))
        for kind, count in acted_on.items():
            self._telemetry.record(telemetry.DEADLINES_RUN, count, kind=kind)
        return len(rows)

    async def _sweep_driven(self, database: Database) -> int:
        async with database.begin() as uow:
            clock = await uow.one_or_none(_DRIVEN, {"kinds": self._kinds})
            if clock is None:
                return 0
            with telemetry.sweeping():
                return await self.run_due(uow, clock.community_id, clock.now)

    async def _act(self, rows: Sequence[_Due], uow: UnitOfWork) -> None:
        """Run the handler of rows of one kind."""
        await self._sweeps[_kind(rows[0])]([_deadline(row, uow) for row in rows], uow)

    async def _act_alone(self, row: _Due, uow: UnitOfWork) -> Exception | None:
        """Act on one deadline or leave nothing of it; returns why it failed."""
        try:
            async with uow.savepoint():
                await self._act([row], uow)
                await uow.flush_deadlines()
        except Exception as error:
            if is_transient(error):
                raise
            return error
        self._telemetry.record(telemetry.DEADLINES_RUN, 1, kind=_kind(row))
        return None

    async def _set_aside(self, row: _Due, error: Exception, uow: UnitOfWork) -> None:
        values = {
            "kind": row.kind,
            "aggregate_id": row.aggregate_id,
            "community_id": row.community_id,
            "due_at": row.due_at,
            "error": describe(error)[:_MAX_ERROR],
        }
        await uow.execute(_SET_ASIDE, values)
        self._telemetry.record(telemetry.DEADLINES_FAILED, 1, kind=_kind(row))


def _kind(row: _Due) -> str:
    return str(row.kind)


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

_ON_THE_WALL: Final = """
        FROM deadline AS d LEFT JOIN community_clock AS c USING (community_id)
        WHERE c.mode IS DISTINCT FROM 'driven' AND d.kind = ANY(CAST(:kinds AS text[]))
            AND d.due_at <= """
_ON_A_DRIVEN_CLOCK: Final = """
    FROM community_clock AS c
    WHERE c.mode = 'driven' AND EXISTS (
        SELECT FROM deadline AS d WHERE d.community_id = c.community_id AND d.due_at <= c.now
            AND d.kind = ANY(CAST(:kinds AS text[]))
    )
"""

_DUE: Final = text(
    _TAKE.format(
        due=f"""
        SELECT d.kind, d.aggregate_id {_ON_THE_WALL} :at
        ORDER BY d.due_at LIMIT :limit FOR UPDATE OF d SKIP LOCKED"""
    )
)

_NEXT: Final = text(
    _TAKE.format(
        due="""
        SELECT kind, aggregate_id FROM deadline
        WHERE community_id = :community AND due_at <= :until
            AND kind = ANY(CAST(:kinds AS text[]))
        ORDER BY due_at, kind, aggregate_id LIMIT 1"""
    )
)

_DRIVEN: Final = text(
    f"SELECT c.community_id, c.now {_ON_A_DRIVEN_CLOCK} LIMIT 1 FOR UPDATE SKIP LOCKED"
)

_ANY_DUE: Final = text(
    f"SELECT EXISTS (SELECT {_ON_THE_WALL} now()) OR EXISTS (SELECT {_ON_A_DRIVEN_CLOCK})"
)

_SET_ASIDE: Final = text(
    "INSERT INTO failed_deadline (kind, aggregate_id, community_id, due_at, error) "
    "VALUES (:kind, :aggregate_id, :community_id, :due_at, :error)"
)
_CLOCK_OF_FAILED: Final = text(
    "SELECT 1 FROM community_clock WHERE mode = 'driven' AND community_id = "
    "(SELECT community_id FROM failed_deadline WHERE id = :id) FOR UPDATE"
)
_FAILED: Final = text(
    "SELECT f.*, c.brand_id, c.mode FROM failed_deadline AS f "
    "LEFT JOIN community_clock AS c USING (community_id) "
    "WHERE f.id = :id AND f.state = 'open' FOR UPDATE OF f"
)
_MENDED: Final = text(
    "UPDATE failed_deadline SET state = 'redriven', settled_at = now() "
    "WHERE id = :id AND CAST(:error AS text) IS NULL"
)
_STILL_FAILED: Final = text("UPDATE failed_deadline SET error = :error WHERE id = :id")
