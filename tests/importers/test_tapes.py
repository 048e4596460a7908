"""Histories on tape: what an empty platform's consumers make of one equals what the first had.

Services play a history, their relays send it, a tape is recorded from the log and played, marked
as a replay, to another broker, where services consume it that never saw a command. Of the public
histories the first few hundred steps are played, and all of them, for half an hour, where
`COTERIE_WHOLE_HISTORIES` is set; then on Apache Kafka, for the embedded broker forgets.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import select, text

from coterie_chassis.comparison import Digest, Schemas, digest
from coterie_chassis.outbox import message_of
from coterie_chassis.rebuild import rebuild
from coterie_chassis.service import Runtime, Service
from coterie_chassis.store import Database
from coterie_chassis.tables import outbox
from coterie_chassis.testing import Harness, harness, until
from coterie_contracts.envelope import Event, decode
from coterie_contracts.model import EventBody
from coterie_contracts.topics import consumed_by
from coterie_feedback.service import service as feedback
from coterie_local.importers.plan import Plan
from coterie_local.importers.player import Player
from coterie_local.importers.polis import plan_polis
from coterie_local.importers.stackexchange_plan import plan_stackexchange
from coterie_membership.service import service as membership
from coterie_notifications.service import service as notifications
from coterie_recognition.service import service as recognition
from coterie_replay.brokers.apache import ApacheKafka
from coterie_replay.brokers.blocking import block_on
from coterie_replay.brokers.embedded import EmbeddedKafka
from coterie_replay.brokers.topics import create_topics
from coterie_replay.log import Log
from coterie_replay.playing import Player as TapePlayer
from coterie_replay.tape import TapeReader, TapeWriter

from .real import RealServices
from .scripted import Scripted

WHOLE: Final = bool(os.environ.get("COTERIE_WHOLE_HISTORIES"))
WITHIN_S: Final = 3_600 if WHOLE else 300
pytestmark = pytest.mark.timeout(WITHIN_S)

HISTORIES: Final = Path(__file__).parent.parent / "histories"
STEPS: Final = 300
"""How much of a public history is played, if not all of it."""
PARTITIONS: Final = 2
CONSUMERS: Final = (feedback, recognition, notifications)
SERVICES: Final[tuple[tuple[Service, dict[str, Any]], ...]] = (
    (membership, {"identity_key": SecretStr("a key of this test alone, long enough")}),
    (feedback, {}),
    (recognition, {"code_keys": {"test": base64.b64encode(b"t" * 32).decode()}}),
    (notifications, {}),
)
OWN: Final = {
    "badge": "recognition awards again what it hears again, in the order of arrival",
    "merit_standing": "it counts what was published, and is folded as often as something differs",
    "ledger": "the guard decides again, in the order of arrival",
    "notification": "as of `ledger`",
    "contact": "no tape holds an address",
}
"""Projections that are compared on the first platform alone, by a rebuild, and why."""


class Incremental(RealServices):
    """Hands over what is new by the outbox's own numbers: these histories are longer."""

    async def _fresh(self, name: str, service: Harness) -> list[Event[EventBody]]:
        after = self._handed_over.get(name, 0)
        async with service.database.begin() as uow:
            rows = await uow.rows(select(outbox).where(outbox.c.id > after).order_by(outbox.c.id))
        if rows:
            self._handed_over[name] = rows[-1].id
        messages = [message_of(r.topic, r.key, r.headers, r.value) for r in rows]
        return [decode(m.topic, m.headers, m.value) for m in messages if m.value is not None]


@pytest.fixture
def brokers(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The addresses of two brokers of this test's own."""
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(running_broker(tmp_path / name)) for name in ("first", "second")
        )
        yield first, second


@contextmanager
def running_broker(folder: Path) -> Iterator[str]:
    """The address of a broker with all topics."""
    broker = ApacheKafka(folder) if WHOLE else EmbeddedKafka(folder, partitions=PARTITIONS)
    broker.start()
    try:
        if WHOLE:
            block_on(create_topics(broker.bootstrap, partitions=PARTITIONS))
        yield broker.bootstrap
    finally:
        broker.stop()


@pytest.fixture(params=["stackexchange", "polis", "public stackexchange", "public polis"])
def plan(request: pytest.FixtureRequest) -> Plan:
    source = request.param.rpartition(" ")[2]
    if not request.param.startswith("public"):
        folder = HISTORIES / source
        return plan_polis(folder) if source == "polis" else plan_stackexchange(folder, capacity=6)
    public: Path = request.getfixturevalue("histories")
    whole = (
        plan_polis(public / "polis-biodiversity")
        if source == "polis"
        else plan_stackexchange(public / "stackexchange-bicycles-meta", capacity=40)
    )
    return whole if WHOLE else dataclasses.replace(whole, steps=whole.steps[:STEPS])


async def test_a_tape_of_a_history_gives_an_empty_platform_the_same_projections(
    plan: Plan,
    brokers: tuple[str, str],
    fresh_database: Callable[[Service], Awaitable[str]],
    tmp_path: Path,
) -> None:
    tape = tmp_path / "history.jsonl.zst"
    first_broker, second_broker = brokers
    async with first_platform(first_broker, fresh_database) as first:
        await Player(plan, Incremental(first, Scripted().transport()).client()).play()
        await send_everything(first)
        await record(first_broker, tape)
        had = {service.name: await digests(first[service.name].runtime) for service in CONSUMERS}
        for service in CONSUMERS:
            assert (await rebuild(first[service.name].runtime)).equal, service.name
    records = list(TapeReader(tape))
    heard = {
        service.name: {UUID(r.event_id or "") for r in records if r.topic in _heard_by(service)}
        for service in CONSUMERS
    }

    async with consumers(second_broker, fresh_database) as second:
        player = TapePlayer(second_broker)
        await player.check({one.topic for one in records})
        assert (await player.play(records)).records == len(records)
        for name, runtime in second.items():
            await until(lambda r=runtime, n=name: has_heard(r, heard[n]), within_s=WITHIN_S)
        has = {name: await digests(runtime) for name, runtime in second.items()}

    assert has == had
    rows = {table: one.rows for name in had for table, one in had[name].items()}
    assert min(rows["member_copy"], rows["rating"], rows["suggestion"], rows["standing"]) > 3


@asynccontextmanager
async def first_platform(
    kafka: str, fresh_database: Callable[[Service], Awaitable[str]]
) -> AsyncIterator[dict[str, Harness]]:
    """All services, without anything in the background; their relays would send to `kafka`."""
    async with AsyncExitStack() as stack:
        yield {
            service.name: await stack.enter_async_context(
                harness(
                    service,
                    await fresh_database(service),
                    {**own, "kafka_bootstrap": kafka, "kafka_fetch_max_wait_ms": 20},
                )
            )
            for service, own in SERVICES
        }


@asynccontextmanager
async def consumers(
    kafka: str, fresh_database: Callable[[Service], Awaitable[str]]
) -> AsyncIterator[dict[str, Runtime]]:
    """The services that consume, whole and on empty databases."""
    own = {service.name: settings for service, settings in SERVICES}
    async with AsyncExitStack() as stack:
        running = {}
        for service in CONSUMERS:
            settings = service.settings(
                database_url=SecretStr(await fresh_database(service)),
                kafka_bootstrap=kafka,
                kafka_group_prefix=f"test-{uuid4().hex[:8]}",
                kafka_fetch_max_wait_ms=20,
                jwks="unused",
                token_issuer="unused",
                **own[service.name],
            )
            runtime = Runtime(service, settings)
            await stack.enter_async_context(runtime.lifespan(None))  # type: ignore[arg-type]
            running[service.name] = runtime
        yield running


async def send_everything(services: dict[str, Harness]) -> None:
    """Have each service's relay send its outbox."""
    for service in services.values():
        relay = service.runtime.relay
        running = asyncio.create_task(relay.run())
        await until(lambda s=service: _is_empty(s.database))
        relay.stop()
        await running


async def _is_empty(database: Database) -> bool:
    async with database.begin() as uow:
        return not (await uow.execute(text("SELECT count(*) FROM outbox"))).scalar_one()


async def record(bootstrap: str, path: Path) -> None:
    async with Log(bootstrap) as log:
        with TapeWriter(path, log.partitions) as tape:
            async for one in log.records():
                tape.write(one)


async def has_heard(runtime: Runtime, ids: set[UUID]) -> bool:
    async with runtime.database.begin() as uow:
        rows = await uow.rows(
            text("SELECT count(*) AS n FROM inbox WHERE event_id = ANY(CAST(:ids AS uuid[]))"),
            {"ids": sorted(ids)},
        )
    return int(rows[0].n) == len(ids)


async def digests(runtime: Runtime) -> dict[str, Digest]:
    """What is compared of the projections that follow from what a service hears."""
    schemas = Schemas("public", "public")
    async with runtime.database.begin() as uow:
        return {
            each.table.name: await digest(
                uow,
                dataclasses.replace(each, apart=tuple(a for a in each.apart if a.where is None)),
                schemas,
                schemas.live,
            )
            for each in runtime.service.projections
            if each.table.name not in OWN
        }


def _heard_by(service: Service) -> set[str]:
    return {topic.name for topic in consumed_by(service.name) if not topic.compacted}
