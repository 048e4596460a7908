"""What is measured by looking now and then, because no deed of its own records it.

A look costs three short statements, of which none grows with history, and is taken only where
somebody reads metrics, or asks how the service does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from coterie_chassis import telemetry
from coterie_chassis.outbox import headers_of
from coterie_chassis.relay import LEADER, Relay
from coterie_chassis.telemetry import Telemetry
from coterie_contracts.topics import Lane

if TYPE_CHECKING:
    from coterie_chassis.store import Database
    from coterie_chassis.subscriptions import Subscriptions

__all__ = ["EVERY_S", "Counts", "SetAside", "counts", "look"]

EVERY_S: Final = 10.0
_DEEPEST: Final = 100_000


@dataclass(frozen=True, slots=True)
class SetAside:
    """Open dead letters of a lane, followers included, and the keys that they park."""

    letters: int = 0
    keys: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """What a service's database holds for all its instances.

    `depth` is counted up to 100,000; `age_s` is that of the oldest event to be sent. `led` says
    whether any instance holds the relay's lock.
    """

    depth: int
    age_s: float
    led: bool
    deadlines: int
    set_aside: dict[str, SetAside]


async def counts(database: Database) -> Counts:
    """Count once; three statements, of which none grows with history."""
    async with database.begin() as uow:
        outbox = (await uow.execute(_OUTBOX, {"deepest": _DEEPEST, "lock": LEADER})).one()
        letters = await uow.rows(_LETTERS)
        deadlines = (await uow.execute(_DEADLINES)).scalar_one()
    age = 0.0
    if outbox.headers is not None:
        recorded = dict(headers_of(outbox.headers, outbox.key))["ce_recordedtime"].decode()
        age = (uow.now - datetime.fromisoformat(recorded)).total_seconds()
    return Counts(
        depth=outbox.depth,
        age_s=max(age, 0.0),
        led=outbox.led,
        deadlines=deadlines,
        set_aside={row.lane: SetAside(row.open, row.keys) for row in letters},
    )


async def look(
    measured: Telemetry,
    database: Database,
    relay: Relay | None,
    subscriptions: Subscriptions | None,
) -> None:
    """Measure once what this instance has: the database's backlog beside a relay, and its lanes.

    Several instances look at one database; what they say of it is the same, not to be added up.
    """
    if relay is not None:
        measured.record(telemetry.RELAY_LEADING, int(relay.leading))
        await _look_at_backlog(measured, database)
    if subscriptions is None:
        return
    async with database.begin() as uow:
        now = uow.now
    for state in subscriptions.lanes:
        lane_name = state.consumer.lane.value
        measured.record(telemetry.CONSUMER_HALTED, int(state.halted is not None), lane=lane_name)
        behind = state.records_behind()
        measured.record(telemetry.CONSUMER_LAG_EVENTS, behind, lane=lane_name)
        latest = state.consumer.latest_recorded or state.since
        seconds = max((now - latest).total_seconds(), 0.0) if behind else 0.0
        measured.record(telemetry.CONSUMER_LAG_SECONDS, seconds, lane=lane_name)


async def _look_at_backlog(measured: Telemetry, database: Database) -> None:
    counted = await counts(database)
    measured.record(telemetry.OUTBOX_DEPTH, counted.depth)
    measured.record(telemetry.OUTBOX_AGE, counted.age_s)
    measured.record(telemetry.FAILED_DEADLINES_OPEN, counted.deadlines)
    for lane in Lane:
        aside = counted.set_aside.get(lane, SetAside())
        measured.record(telemetry.DEAD_LETTERS_OPEN, aside.letters, lane=lane.value)
        measured.record(telemetry.PARKED_KEYS, aside.keys, lane=lane.value)


_OUTBOX: Final = text(
    "SELECT (SELECT count(*) FROM (SELECT FROM outbox LIMIT :deepest) AS counted) AS depth, "
    "oldest.key, oldest.headers, "
    "EXISTS (SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database "
    "WHERE datname = current_database() AND locktype = 'advisory' AND objid = :lock "
    "AND objsubid = 1 AND granted) AS led "
    "FROM (VALUES (1)) AS always LEFT JOIN "
    "(SELECT key, headers FROM outbox ORDER BY id LIMIT 1) AS oldest ON true"
)
_LETTERS: Final = text(
    "SELECT lane, count(*) AS open, count(DISTINCT subject) AS keys "
    "FROM dead_letter WHERE state = 'open' GROUP BY lane"
)
_DEADLINES: Final = text("SELECT count(*) FROM failed_deadline WHERE state = 'open'")
