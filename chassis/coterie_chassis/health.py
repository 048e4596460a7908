"""What a probe is told: `/health/live` and `/health/ready`, the same two in every role.

Live means that the loops of this role make progress; a lost broker or database is not their fault
and restarting would not bring it back. Ready means that the parts this role works with answer.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from coterie_chassis.roles import Role
from coterie_contracts.topics import Lane

if TYPE_CHECKING:
    from coterie_chassis.service import Runtime

__all__ = [
    "LIVE",
    "READY",
    "halted",
    "install",
    "live",
    "ready",
    "role",
    "stuck",
    "waiting_for",
]

LIVE: Final = "/health/live"
READY: Final = "/health/ready"
_STUCK_AFTER_S: Final = 60.0


def install(app: FastAPI, runtime: Runtime) -> None:
    """Add both endpoints."""

    async def answer_live() -> JSONResponse:
        return await live(runtime)

    async def answer_ready() -> JSONResponse:
        return await ready(runtime)

    app.add_api_route(LIVE, answer_live, include_in_schema=False)
    app.add_api_route(READY, answer_ready, include_in_schema=False)


async def live(runtime: Runtime) -> JSONResponse:
    """Whether the loops make progress; 503 names those that do not."""
    found = stuck(runtime)
    return JSONResponse({"stuck": found}, status_code=503 if found else 200)


async def ready(runtime: Runtime) -> JSONResponse:
    """Which role this is and what it waits for; a halted lane is told and fails nothing."""
    waiting = await waiting_for(runtime)
    answer = {"role": role(runtime), "waiting_for": waiting, "halted": halted(runtime)}
    return JSONResponse(answer, status_code=503 if waiting else 200)


def role(runtime: Runtime) -> str:
    """What this instance does, `all` where it does everything."""
    return "all" if runtime.only is None else runtime.only.value


def stuck(runtime: Runtime) -> list[str]:
    """The loops of this role that have made no progress for a minute."""
    now = time.monotonic()
    idle = {name: now - next_turn for name, next_turn in runtime.turns.items()}
    if runtime.runs(Role.RELAY):
        idle["relay"] = now - runtime.relay.last_progress
    if runtime.sweeps:
        idle["deadlines"] = now - runtime.sweeper.last_progress
    if runtime.subscriptions is not None:
        idle["consumers"] = runtime.subscriptions.stuck_for()
    return [name for name, seconds in idle.items() if seconds > _STUCK_AFTER_S]


async def waiting_for(runtime: Runtime) -> list[str]:
    """Which of the parts that this role works with do not answer."""
    waiting = []
    try:
        await runtime.database.ping()
    except Exception:  # noqa: BLE001 - any failure means the same here
        waiting.append("database")
    if not await _reaches_kafka(runtime):
        waiting.append("kafka")
    return waiting


def halted(runtime: Runtime) -> dict[Lane, str]:
    """The limits at which lanes of this instance stand."""
    lanes = runtime.subscriptions.lanes if runtime.subscriptions is not None else ()
    return {lane.consumer.lane: lane.halted for lane in lanes if lane.halted is not None}


async def _reaches_kafka(runtime: Runtime) -> bool:
    """Commands need no broker, and of the relays only the one that leads talks to it."""
    if runtime.runs(Role.CONSUMER):
        return runtime.subscriptions is not None and await runtime.subscriptions.ping()
    return runtime.only is Role.API or not runtime.relay.waits_for_kafka
