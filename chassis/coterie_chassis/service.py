"""A service: what it serves and handles, and the order in which its parts start and stop.

Start: store (waited for), schema (checked, never changed), relay, deadlines, then commands;
consumers as soon as Kafka answers, for commands do not need it. Stop: commands, consumers finish
their transaction and its offsets, the relay hands over. An instance of one role starts its own
parts alone (see `roles`).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from aiokafka.errors import KafkaError
from fastapi import FastAPI
from sqlalchemy import MetaData, Table, text

from coterie_chassis import (
    circle,
    connections,
    gauges,
    health,
    migrate,
    pages,
    problems,
    retention,
    status,
    tables,
    telemetry,
)
from coterie_chassis.auth import TokenVerifier
from coterie_chassis.consumer import Handler, LaneConsumer
from coterie_chassis.deadletter import Limits
from coterie_chassis.errors import (
    ConfigurationFault,
    describe,
    is_transient,
    no_stray_cancellation,
)
from coterie_chassis.http import Api
from coterie_chassis.inbox import Inbox
from coterie_chassis.outbox import CurrentState
from coterie_chassis.projections import AfterSwap, Projection
from coterie_chassis.relay import Relay
from coterie_chassis.roles import Role
from coterie_chassis.settings import ChassisSettings
from coterie_chassis.store import Database, UnitOfWork
from coterie_chassis.subscriptions import Subscriptions
from coterie_chassis.sweeper import Sweep, Sweeper
from coterie_chassis.telemetry import Telemetry
from coterie_contracts.topics import Lane

__all__ = ["Periodic", "Runtime", "Service", "periodic", "settle_memory"]

_log = logging.getLogger(__name__)
_SWEEP_EVERY_S: Final = 1.0
_LATEST_SWEEP_S: Final = 120.0
_LATEST_WITHOUT_KAFKA_S: Final = 30.0
_KAFKA_ANSWERS_S: Final = 2.0
_LOOK_AGAIN_S: Final = 0.1
_RESTS: Final = 2.0
_MAINTAIN_EVERY_S: Final = 3_600.0
_SUBSCRIBE_AGAIN_S: Final = 5.0


def settle_memory() -> None:
    """Have the garbage collector leave alone what the process has loaded, and come seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@dataclass(frozen=True, slots=True)
class Periodic:
    """Work that recurs, each time in a unit of work of its own.

    It rests at least twice as long as it took, so that commands and events have their turns.
    """

    name: str
    interval_s: Callable[[Any], float]
    run: Callable[[UnitOfWork], Awaitable[None]]


def periodic(
    name: str,
    interval_s: float | Callable[[Any], float],
    run: Callable[[UnitOfWork], Awaitable[None]],
) -> Periodic:
    """Declare recurring work; `interval_s` may be a function of the service's settings."""
    return Periodic(name, interval_s if callable(interval_s) else lambda _: interval_s, run)


@dataclass(frozen=True, kw_only=True)
class Service:
    """What one service is made of; `circle` adds the copy of communities and members.

    Each table of its own is in `projections`, or in `kept` with the reason why the log cannot tell
    it; `after_swap` is called when a rebuild has mended rows.
    """

    name: str
    settings: type[ChassisSettings]
    apis: Sequence[Api]
    metadata: MetaData
    migrations: str
    handlers: Sequence[Handler] = ()
    sweeps: Sequence[Sweep] = ()
    tasks: Sequence[Periodic] = ()
    current_state: Sequence[CurrentState] = ()
    projections: Sequence[Projection] = ()
    kept: Mapping[str, str] = field(default_factory=dict)
    after_swap: AfterSwap | None = None
    circle: bool = True

    def tables(self) -> dict[str, Table]:
        """Every table of the service's database by name, the chassis's included."""
        parts = [tables.metadata, self.metadata, *([circle.metadata] if self.circle else [])]
        return {table.name: table for part in parts for table in part.tables.values()}

    def app(self, settings: ChassisSettings, only: Role | None = None) -> FastAPI:
        """The service as an ASGI application whose lifespan runs what its role needs."""
        runtime = Runtime(self, settings, only)
        return runtime.app(lifespan=runtime.lifespan)


@dataclass
class Runtime:
    """The running parts of a service; of one role where `only` names it."""

    service: Service
    settings: ChassisSettings
    only: Role | None = None
    database: Database = field(init=False)
    verifier: TokenVerifier = field(init=False)
    sweeper: Sweeper = field(init=False)
    relay: Relay = field(init=False)
    lanes: list[LaneConsumer] = field(init=False)
    subscriptions: Subscriptions | None = field(init=False, default=None)
    fault: ConfigurationFault | None = field(init=False, default=None)
    started_at: datetime = field(init=False, default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        settings, service = self.settings, self.service
        self.database = Database(
            settings.database_url.get_secret_value(),
            service=service.name,
            pool_size=settings.pool_size,
            tls=connections.database_tls(settings),
        )
        self.verifier = TokenVerifier(
            settings.jwks, issuer=settings.token_issuer, audience=settings.token_audience
        )
        self.sweeper = Sweeper(service.sweeps, service.name)
        self.inbox = Inbox(settings.inbox_retention_days)
        self.relay = Relay(self.database, settings, service.current_state)
        self.database.on_publish = self.relay.ring
        self._sweep_soon = asyncio.Event()
        self.turns: dict[str, float] = {}
        limits = Limits(
            per_key=settings.dead_letters_per_key,
            in_total=settings.dead_letters_in_total,
            in_a_row=settings.dead_letters_in_a_row,
            ratio=settings.dead_letters_ratio,
        )
        self.lanes = [
            LaneConsumer(
                lane,
                service.handlers,
                self.database,
                self.inbox,
                limits=limits,
                on_driven=self._sweep_soon.set,
            )
            for lane in Lane
        ]

    def runs(self, role: Role) -> bool:
        """Whether this instance does what `role` names."""
        return self.only in {None, role}

    @property
    def listens(self) -> bool:
        """Whether this service has any topic to consume."""
        return any(lane.topics for lane in self.lanes)

    @property
    def sweeps(self) -> bool:
        """Whether deadlines are this instance's: they wait for what the log holds already."""
        return self.runs(Role.CONSUMER if self.listens else Role.RELAY)

    def check(self) -> None:
        """Raise `ConfigurationFault` for what no waiting would mend, before anything is served."""
        if self.only is Role.CONSUMER and not self.listens:
            raise ConfigurationFault(
                f"{self.service.name} listens to no topic: there is no consumer to serve"
            )
        if self.runs(Role.API):
            self.verifier.check()
        if self.only is not Role.API:
            connections.kafka_security(self.settings)

    def app(self, *, lifespan: Callable[[FastAPI], Any] | None = None) -> FastAPI:
        """The HTTP side; without a lifespan nothing runs in the background."""
        app = problems.ProblemApp(
            title=f"Coterie {self.service.name}",
            lifespan=lifespan,
            docs_url=None,
            redoc_url=None,
            max_body_size=self.settings.max_body_bytes,
            # FastAPI's log records hold the input that failed validation.
            telemetry={"operation_spans": False, "logs": False},
        )
        app.state.runtime = self
        problems.install(app)
        if self.runs(Role.API):
            pages.install(app)
            for api in self.service.apis:
                app.include_router(api.router)
        health.install(app, self)
        status.install(app, self)
        return app

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Everything in the order of this module's first lines."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.database.close)
            await self._check()
            if self.runs(Role.RELAY):
                relaying = asyncio.create_task(self.relay.run())
                grace = self.settings.shutdown_grace_s
                stack.push_async_callback(_end, relaying, self.relay.stop, grace)
            if self.runs(Role.CONSUMER):
                stack.push_async_callback(self._unsubscribe, asyncio.create_task(self._subscribe()))
            for work in self._recurring():
                stack.push_async_callback(_cancel, asyncio.create_task(work))
            settle_memory()
            yield

    def _recurring(self) -> list[Coroutine[Any, Any, None]]:
        """What goes on until it is cancelled."""
        loops = [self._look_for_ever()]
        if self.sweeps:
            loops.append(self._sweep_for_ever())
        if self.runs(Role.RELAY):
            loops.append(self._maintain_for_ever())
            loops += [self._repeat(task) for task in self.service.tasks]
        else:
            loops.append(self.relay.announce())
        return loops

    async def _check(self) -> None:
        """Wait for the store; keep a fault that waiting does not mend for the command line."""
        try:
            await _until_up("database", self.database.ping)
            await migrate.check_schema(self.database, self.service)
        except ConfigurationFault as fault:
            self.fault = fault
            raise

    async def _subscribe(self) -> None:
        """Consume as soon as Kafka answers and has the topics."""
        lanes = [lane for lane in self.lanes if lane.topics]

        async def connect() -> None:
            subscriptions = Subscriptions(self.service.name, lanes, self.settings)
            try:
                await subscriptions.start()
            except BaseException:
                await subscriptions.stop()
                raise
            self.subscriptions = subscriptions

        while self.subscriptions is None:
            await _guarded("subscribing", _until_up("Kafka", connect))
            await asyncio.sleep(_SUBSCRIBE_AGAIN_S if self.subscriptions is None else 0)

    async def _unsubscribe(self, subscribing: asyncio.Task[None]) -> None:
        await _cancel(subscribing)
        if self.subscriptions is not None:
            await self.subscriptions.stop()

    async def advance_clock(self, uow: UnitOfWork, community_id: UUID, at: datetime) -> None:
        """Move a driven clock to `at` if that is later, acting on what is due until then."""
        moved = await uow.one_or_none(_ADVANCE, {"community": community_id, "at": at})
        if moved is not None:
            await self.sweeper.run_due(uow, community_id, at)

    async def catch_up(self, uow: UnitOfWork, community_id: UUID) -> None:
        """Act on what a driven clock has passed already, before anything later happens."""
        clock = await uow.one_or_none(_DRIVEN, {"community": community_id})
        if clock is not None:
            await self.sweeper.run_due(uow, community_id, clock.now)

    async def _sweep_for_ever(self) -> None:
        while True:
            await _guarded("deadlines", self._sweep())
            self.sweeper.last_progress = time.monotonic()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SWEEP_EVERY_S):
                    await self._sweep_soon.wait()
            self._sweep_soon.clear()

    async def _sweep(self) -> None:
        if await self.sweeper.has_due(self.database):
            await self._until_log_is_applied()
            await self.sweeper.sweep(self.database)

    async def _until_log_is_applied(self) -> None:
        """Let what the log holds already come before a deadline that passed meanwhile.

        After an outage, or while another instance is slow, an answer that came in time would be
        reminded of. Deadlines wait for it two minutes at most, and 30 s while Kafka does not
        answer: they do not need it.
        """
        began, ends = time.monotonic(), None
        while self.listens:
            waited, longest = time.monotonic() - began, _LATEST_WITHOUT_KAFKA_S
            self.sweeper.last_progress = time.monotonic()
            with contextlib.suppress(KafkaError, OSError):
                async with asyncio.timeout(_KAFKA_ANSWERS_S):
                    if self.subscriptions is not None:
                        ends = ends or await self.subscriptions.log_ends()
                        if await self.subscriptions.have_applied(ends):
                            return
                        longest = _LATEST_SWEEP_S
            if waited > longest:
                return
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def _maintain_for_ever(self) -> None:
        while True:
            await _guarded("inbox retention", self.inbox.prune(self.database))
            await _guarded("archive retention", self.relay.prune_archive())
            await _guarded("retention", retention.prune(self.database, self.settings))
            await asyncio.sleep(_MAINTAIN_EVERY_S)

    async def _look_for_ever(self) -> None:
        measured = Telemetry(self.service.name)
        while True:
            if telemetry.is_measured():
                relay = self.relay if self.runs(Role.RELAY) else None
                look = gauges.look(measured, self.database, relay, self.subscriptions)
                await _guarded("measuring", look)
            await asyncio.sleep(gauges.EVERY_S)

    async def _repeat(self, task: Periodic) -> None:
        async def once() -> None:
            async with self.database.begin() as uow:
                await task.run(uow)

        while True:
            began = time.monotonic()
            await _guarded(task.name, once())
            took = time.monotonic() - began
            pause = max(task.interval_s(self.settings), _RESTS * took, 0.02)
            self.turns[task.name] = time.monotonic() + pause
            await asyncio.sleep(pause)


async def _until_up(what: str, attempt: Callable[[], Awaitable[None]]) -> None:
    """Wait for a part of the platform with growing pauses; other faults are raised at once."""
    pause = 0.1
    while True:
        try:
            await attempt()
        except Exception as error:
            if not (is_transient(error) or isinstance(error, (OSError, KafkaError))):
                raise
            _log.warning("waiting for %s: %s", what, describe(error))
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)
        else:
            return


async def _guarded(what: str, work: Awaitable[object]) -> None:
    """Run recurring work; a failure is logged and the next turn tries again."""
    try:
        with no_stray_cancellation(what):
            await work
    except Exception as error:  # noqa: BLE001 - the next turn tries again whatever failed
        level = logging.WARNING if is_transient(error) else logging.ERROR
        _log.log(level, "%s failed and will be tried again", what, exc_info=error)


async def _end(task: asyncio.Task[None], stop: Callable[[], None], within_s: float) -> None:
    """Let a loop come to its end, or cancel it."""
    stop()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(task, within_s)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


_DRIVEN: Final = text(
    "SELECT now FROM community_clock WHERE community_id = :community AND mode = 'driven' FOR UPDATE"
)
_ADVANCE: Final = text(
    "UPDATE community_clock SET now = :at WHERE community_id = :community "
    "AND mode = 'driven' AND now < :at RETURNING 1 AS moved"
)
