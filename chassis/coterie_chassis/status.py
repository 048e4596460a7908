"""What an operator may ask of any instance: how its service does, as one small JSON document.

Each part is told or is null, so the answer comes while the database or Kafka is away, which is when
it is wanted most. What concerns the whole service (outbox, lag, what was set aside) is read where
all its instances leave it; what only this instance knows says so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Collection, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

from aiokafka.errors import KafkaError
from fastapi import Depends, FastAPI
from fastapi.security import HTTPAuthorizationCredentials
from pydantic import Field

from coterie_chassis import connections, gauges, health
from coterie_chassis.auth import Role as Caller
from coterie_chassis.decisions import Forbidden
from coterie_chassis.errors import ConfigurationFault, describe, is_transient
from coterie_chassis.gauges import Counts, SetAside
from coterie_chassis.http import View, authenticate, bearer
from coterie_chassis.lag import Lag, lags
from coterie_chassis.roles import Role
from coterie_chassis.subscriptions import group_of
from coterie_contracts.topics import Lane

if TYPE_CHECKING:
    from coterie_chassis.service import Runtime

__all__ = ["PATH", "LaneStatus", "OutboxStatus", "ServiceStatus", "install"]

PATH: Final = "/operator/status"
_log = logging.getLogger(__name__)
_PATIENCE_S: Final = 4.0
T = TypeVar("T")


class OutboxStatus(View):
    """What waits to be sent, over all instances."""

    depth: int = Field(description="events to be sent, counted up to 100,000")
    age_s: float = Field(description="since the oldest of them was recorded; 0 without any")
    led: bool = Field(description="whether any instance holds the relay's lock")


class LaneStatus(View):
    """A consumer group over all its members; `halted` is of this instance alone."""

    lane: Lane
    group: str
    events_behind: int | None = Field(description="not applied; null without Kafka, as in role api")
    seconds_behind: float | None = Field(
        description="since the oldest of them was written; 0 at the end, null if not read"
    )
    halted: str | None = Field(description="the limit at which this instance's lane stands")
    dead_letters: int | None = Field(description="open, followers included; null without database")
    parked_keys: int | None


class ServiceStatus(View):
    """How a service does, told by one of its instances."""

    service: str
    role: str = Field(description="of this instance: api, consumer, relay or all")
    version: str
    started_at: datetime = Field(description="of this instance")
    now: datetime
    stuck: list[str] = Field(description="loops of this instance that make no progress")
    waiting_for: list[str] = Field(description="parts that do not answer this instance")
    outbox: OutboxStatus | None = Field(description="null without database")
    failed_deadlines: int | None = Field(description="open; null without database")
    lanes: list[LaneStatus]


def install(app: FastAPI, runtime: Runtime) -> None:
    """Add the route to `app`; it needs a token with the role `operator`."""

    async def show_status(
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    ) -> ServiceStatus:
        """How this service does: progress, outbox, lag, what was set aside."""
        principal = await authenticate(runtime, credentials)
        if not principal.has(Caller.OPERATOR):
            raise Forbidden("missing-role", "This needs the role operator.")
        return await status(runtime)

    app.add_api_route(PATH, show_status, tags=["operator"])


async def status(runtime: Runtime) -> ServiceStatus:
    """How the service of `runtime` does; takes about four seconds at most."""
    name = runtime.service.name
    topics = {
        group_of(runtime.settings, name, lane.lane): lane.topics
        for lane in runtime.lanes
        if lane.topics
    }
    waiting, counted, behind = await asyncio.gather(
        health.waiting_for(runtime),
        _told("the database", gauges.counts(runtime.database)),
        _told("Kafka", _lags(runtime, topics)),
    )
    return ServiceStatus(
        service=name,
        role=health.role(runtime),
        version=_version(name),
        started_at=runtime.started_at,
        now=datetime.now(UTC),
        stuck=health.stuck(runtime),
        waiting_for=waiting,
        outbox=None if counted is None else OutboxStatus.model_validate(counted),
        failed_deadlines=None if counted is None else counted.deadlines,
        lanes=[_lane(runtime, lane.lane, counted, behind) for lane in runtime.lanes if lane.topics],
    )


def _lane(
    runtime: Runtime, lane: Lane, counted: Counts | None, behind: dict[str, Lag] | None
) -> LaneStatus:
    group = group_of(runtime.settings, runtime.service.name, lane)
    lag = None if behind is None else behind[group]
    aside = None if counted is None else counted.set_aside.get(lane, SetAside())
    return LaneStatus(
        lane=lane,
        group=group,
        events_behind=None if lag is None else lag.events,
        seconds_behind=None if lag is None else _seconds(lag),
        halted=health.halted(runtime).get(lane),
        dead_letters=None if aside is None else aside.letters,
        parked_keys=None if aside is None else aside.keys,
    )


async def _lags(runtime: Runtime, topics: Mapping[str, Collection[str]]) -> dict[str, Lag] | None:
    """The lag of each group; commands alone are served where no broker may be reached."""
    if runtime.only is Role.API:
        return None
    options = connections.kafka_options(runtime.settings)
    return await lags(runtime.settings.kafka_bootstrap, topics, **options)


async def _told(what: str, asked: Awaitable[T]) -> T | None:
    """The answer, or None from a part that does not give one now."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await asked
    except Exception as error:
        away = (OSError, KafkaError, ConfigurationFault)  # an api has no keys for Kafka
        if not (is_transient(error) or isinstance(error, away)):
            raise
        _log.warning("the status of %s is not told: %s", what, describe(error))
        return None


def _seconds(lag: Lag) -> float | None:
    if lag.oldest_at is not None:
        return max((datetime.now(UTC) - lag.oldest_at).total_seconds(), 0.0)
    return None if lag.events else 0.0


def _version(service: str) -> str:
    """The release that is installed here."""
    try:
        return version_of(f"coterie-{service}")
    except PackageNotFoundError:
        return "unknown"
