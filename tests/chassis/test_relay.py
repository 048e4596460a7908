"""Whoever stops where, no event of a key is delivered for the first time before an earlier one."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import psutil
import pytest
from asyncpg import Connection
from sqlalchemy import text

from coterie_chassis import relay as relaying
from coterie_chassis.decisions import Cause, Draft
from coterie_chassis.outbox import CurrentState
from coterie_chassis.relay import Relay
from coterie_chassis.sending import Sender
from coterie_chassis.service import Service
from coterie_chassis.store import UnitOfWork
from coterie_chassis.testing import statements_of, until
from coterie_contracts.envelope import decode
from coterie_contracts.feedback import FeedbackSubmitted
from coterie_contracts.member import MemberContact
from coterie_replay.brokers.embedded import EmbeddedKafka

from . import sample
from .platform import Broker, Platform, true
from .reading import whole_topic
from .stopping import STEPS

KEYS, BATCH = 5, 10
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
async def platform(
    fresh_database: Callable[[Service], Awaitable[str]], any_kafka: Broker, topics: int
) -> AsyncIterator[Platform]:
    sample.mend()
    url = await fresh_database(sample.service)
    platform = Platform(url, any_kafka.bootstrap, relay_batch_size=BATCH)
    yield platform
    await platform.database.close()


@pytest.fixture
def frozen_broker(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    """A broker of the test's own, to be stopped in the middle."""
    broker = EmbeddedKafka(tmp_path / "kafka", partitions=2)
    broker.start()
    yield broker
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGCONT)
    broker.stop()


async def publish(platform: Platform, keys: set[UUID], sequences: range) -> None:
    for sequence in sequences:
        async with platform.database.begin() as uow:
            for key in sorted(keys):
                platform.fact(uow, key, sequence)


@asynccontextmanager
async def leading(platform: Platform) -> AsyncIterator[Relay]:
    """A relay alone, from when it leads."""
    relay = Relay(platform.database, platform.settings)
    run = asyncio.create_task(relay.run())
    try:
        await until(lambda: true(lambda: relay.leading))
        yield relay
    finally:
        relay.stop()
        await run


async def delivered(platform: Platform, keys: set[UUID]) -> dict[UUID, list[int]]:
    """Sequences of each key as the topic holds them, repeats included."""
    found: dict[UUID, list[int]] = defaultdict(list)
    async for record in whole_topic(platform.settings.kafka_bootstrap, FeedbackSubmitted.topic):
        event = decode(record.topic, record.headers, record.value)
        if event.subject in keys:
            found[event.subject].append(event.sequence or 0)
    return found


def first_deliveries(sequences: list[int]) -> list[int]:
    return list(dict.fromkeys(sequences))


@pytest.mark.parametrize("step", STEPS)
async def test_a_leader_stopped_at_any_step_disturbs_no_order(
    platform: Platform, step: str
) -> None:
    """Stopped for longer than its session lives, replaced, and woken while another leads."""
    keys = {uuid4() for _ in range(KEYS)}
    await publish(platform, keys, range(1, 9))
    if step == "refilling":
        async with leading(platform):
            await until(lambda: _none_waits(platform))
        async with platform.database.begin() as uow:
            await uow.execute(text("INSERT INTO republish_request DEFAULT VALUES"))
        await publish(platform, keys, range(9, 11))
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.chassis.stopping", step),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **platform.environment()},
        cwd=ROOT,
    )
    try:
        await until(lambda: true(lambda: _is_stopped(child.pid)))
        assert await platform.waiting() > 0, "it was stopped in the middle"
        async with leading(platform):
            await publish(platform, keys, range(11 if step == "refilling" else 9, 13))
            await until(lambda: _none_waits(platform))
            child.send_signal(signal.SIGCONT)
            assert child.stdout is not None
            async with asyncio.timeout(30):
                assert await child.stdout.readline() == b"does not lead\n"
            await publish(platform, keys, range(13, 15))
            await until(lambda: _none_waits(platform))
    finally:
        child.kill()
        await child.wait()

    found = await delivered(platform, keys)
    assert {key: first_deliveries(found[key]) for key in keys} == {
        key: list(range(1, 15)) for key in keys
    }
    if step != "refilling":
        repeats = sum(len(found[key]) - 14 for key in keys)
        assert repeats <= 2 * BATCH, "only what was under way at the stop comes twice"


async def _none_waits(platform: Platform) -> bool:
    return await platform.waiting() == 0


def _is_stopped(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_STOPPED


async def test_a_leader_that_loses_its_lock_aborts_what_it_is_sending(
    fresh_database: Callable[[Service], Awaitable[str]], frozen_broker: EmbeddedKafka
) -> None:
    platform = Platform(await fresh_database(sample.service), frozen_broker.bootstrap)
    keys = {uuid4()}
    async with leading(platform) as relay:
        await publish(platform, keys, range(1, 3))
        await until(lambda: _none_waits(platform))
        assert frozen_broker.pid is not None
        os.kill(frozen_broker.pid, signal.SIGSTOP)
        await publish(platform, keys, range(3, 5))
        await until(lambda: true(lambda: _sending() != []))

        async with platform.database.begin() as uow:
            await uow.execute(text(END_LEADERSHIP))

        await until(lambda: true(lambda: not relay.leading), within_s=5)
        await until(lambda: true(lambda: _sending() == []), within_s=10)
        assert await platform.waiting() == 2, "what was not acknowledged is still to be sent"
        os.kill(frozen_broker.pid, signal.SIGCONT)
        await until(lambda: _none_waits(platform))

    assert first_deliveries((await delivered(platform, keys))[next(iter(keys))]) == [1, 2, 3, 4]
    await platform.database.close()


def _sending() -> list[asyncio.Task[object]]:
    """Batches under way."""
    return [
        task
        for task in asyncio.all_tasks()
        if getattr(task.get_coro(), "__qualname__", "") == Relay._send.__qualname__
    ]


def _senders() -> int:
    """Background tasks of producers."""
    return sum(
        getattr(task.get_coro(), "__qualname__", "") == "Sender._sender_routine"
        for task in asyncio.all_tasks()
    )


END_LEADERSHIP = """
SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
AND objid = 7203553 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


async def test_a_leader_whose_lock_is_not_proven_for_as_long_as_it_may_last_sends_nothing(
    platform: Platform,
) -> None:
    async with leading(platform) as relay:
        relay._check_lock()
        relay._proven_at -= relaying._LEASE_S + 0.1
        with pytest.raises(relaying.LostLeadership):
            relay._check_lock()


async def test_a_producer_that_failed_is_replaced_by_a_new_one(
    fresh_database: Callable[[Service], Awaitable[str]],
    frozen_broker: EmbeddedKafka,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relaying, "_SEND_TIMEOUT_S", 0.5)
    platform = Platform(await fresh_database(sample.service), frozen_broker.bootstrap)
    keys = {uuid4(), uuid4()}
    before = _senders()
    async with leading(platform) as relay:
        await publish(platform, keys, range(1, 3))
        await until(lambda: _none_waits(platform))
        assert frozen_broker.pid is not None
        os.kill(frozen_broker.pid, signal.SIGSTOP)
        await publish(platform, keys, range(3, 6))

        await until(lambda: true(lambda: not relay.leading))
        os.kill(frozen_broker.pid, signal.SIGCONT)
        await until(lambda: _none_waits(platform))
        assert _senders() == before + 1, "the old producer is gone for good"

    assert _senders() == before
    found = await delivered(platform, keys)
    assert {key: first_deliveries(found[key]) for key in keys} == {
        key: [1, 2, 3, 4, 5] for key in keys
    }
    await platform.database.close()


async def test_a_refill_tells_compacted_topics_from_current_state_tombstones_included(
    platform: Platform,
) -> None:
    members = sorted(uuid4() for _ in range(25))
    erased = set(members[::5])

    async def page(uow: UnitOfWork, after: UUID | None) -> list[tuple[Cause, Draft]]:
        cause = Cause(
            id=uuid4(), actor="system", at=uow.now, recorded_at=uow.now, correlation_id=uuid4()
        )
        following = [m for m in members if after is None or m > after][:10]
        return [(cause, _contact(member, erased=member in erased)) for member in following]

    state = CurrentState(topic=MemberContact.topic, page=page)
    relay = Relay(platform.database, platform.settings, [state])
    async with platform.database.begin() as uow:
        asked = (await uow.execute(text(ASK))).scalar_one()
    run = asyncio.create_task(relay.run())

    async def served() -> bool:
        async with platform.database.begin() as uow:
            query = text("SELECT sent FROM republish_request WHERE id = :id")
            return (await uow.execute(query, {"id": asked})).scalar_one() == len(members)

    await until(served)
    relay.stop()
    await run

    records = whole_topic(platform.settings.kafka_bootstrap, MemberContact.topic)
    told = {UUID(record.key.decode()): record.value async for record in records}
    values = {member: told[member] for member in members}
    assert {member for member, value in values.items() if value is None} == erased
    assert await platform.waiting() == 0
    assert await platform.archived() == 0


ASK = "INSERT INTO republish_request DEFAULT VALUES RETURNING id"


def _contact(member: UUID, *, erased: bool) -> Draft:
    body = MemberContact(member_id=member, community_id=uuid4(), email="ann@example.org")
    return Draft(member, body, tombstone=erased)


async def test_what_is_sent_is_read_and_removed_once_a_batch(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {uuid4() for _ in range(KEYS)}
    await publish(platform, keys, range(1, 9))
    relay, sender = await _ready(platform)
    await relay._ensure_archive_partition()
    sent = _noted(monkeypatch)
    with statements_of(platform.database) as counter:
        await _drain(relay, sender)
    await sender.abort()

    batches = 8 * KEYS // BATCH
    assert counter.statements == []
    assert len(sent["fetch"]) == batches + 1, "and the last look, which finds nothing"
    assert 1 <= len(sent["execute"]) <= batches, "one takes all that wait"
    assert all("DELETE" in statement for statement in sent["execute"])
    assert await platform.archived() == 8 * KEYS


async def _ready(platform: Platform) -> tuple[Relay, Sender]:
    """A relay that believes to lead, and its sender."""
    relay = Relay(platform.database, platform.settings)
    sender = Sender(platform.settings.kafka_bootstrap, client_id="test")
    await sender.start()
    relay._proven_at = time.monotonic()
    return relay, sender


async def _drain(relay: Relay, sender: Sender) -> None:
    """Send what waits, until it is removed."""
    async with relay._leaving() as leaving:
        await relay._drain(sender, await relay._next_batch(sender, except_for=[]), leaving)


def _noted(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What is sent by the driver's own methods, by method."""
    sent: dict[str, list[str]] = {"fetch": [], "execute": []}
    for name, statements in sent.items():
        original = getattr(Connection, name)

        async def noting(
            self: Connection,
            statement: str,
            *values: object,
            _original: Callable[..., Awaitable[object]] = original,
            _statements: list[str] = statements,
        ) -> object:
            _statements.append(statement)
            return await _original(self, statement, *values)

        monkeypatch.setattr(Connection, name, noting)
    return sent


def test_ids_in_flight_are_named_exactly() -> None:
    assert relaying._ranges([]) == ""
    assert relaying._ranges([1, 2, 3, 7, 9, 10]) == "[1,3],[7,7],[9,10]"


async def test_a_row_in_a_gap_of_those_in_flight_is_read(platform: Platform) -> None:
    await publish(platform, {uuid4()}, range(1, 7))
    relay = Relay(platform.database, platform.settings)
    ids = [row[0] for row in await relay._fetch(except_for=[])]

    taken = [relaying._ranges([ids[0], ids[1], ids[3]]), relaying._ranges([ids[5]])]

    assert [row[0] for row in await relay._fetch(except_for=taken)] == [ids[2], ids[4]]


async def test_ids_in_flight_are_parsed_once_and_what_leaves_fits_in_memory(
    platform: Platform,
) -> None:
    leaving = 10_000  # the largest batch that can be set
    await publish(platform, {uuid4() for _ in range(500)}, range(1, 1 + leaving // 500))
    relay = Relay(platform.database, platform.settings)
    await relay._ensure_archive_partition()

    async with relay._driver() as driver:
        ids = [row["id"] for row in await driver.fetch("SELECT id FROM outbox")]
        read = await _plan(driver, relaying._OLDEST, f"{{{relaying._ranges(ids)}}}", 1)
        left = await _plan(driver, relaying._ARCHIVE, relaying._listed(ids), [])

    assert len(ids) == leaving
    assert "InitPlan" in read, "else the ranges are parsed for each row"
    assert "Disk" not in left, left


async def _plan(driver: asyncpg.Connection[Any], statement: str, *values: Any) -> str:
    rows = await driver.fetch(f"EXPLAIN (ANALYZE) {statement}", *values)
    return "\n".join(row[0] for row in rows)


async def test_only_a_full_batch_or_the_doorbell_has_the_relay_look_again(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay, sender = await _ready(platform)
    looks = []
    for rows, rings in ((1, False), (1, True), (BATCH, False)):
        await publish(platform, {uuid4() for _ in range(rows)}, range(1, 2))
        async with relay._leaving() as leaving:
            batch = await relay._next_batch(sender, except_for=[])
            if rings:
                relay.ring()
            with monkeypatch.context() as noted:
                sent = _noted(noted)
                await relay._drain(sender, batch, leaving)
                looks.append(len(sent["fetch"]))
    await sender.abort()

    assert looks == [0, 1, 1]


async def test_an_event_waits_for_no_removal_of_those_before(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, removed, removes = uuid4(), asyncio.Event(), Relay._remove

    async def slowly(self: Relay, ids: Sequence[int]) -> None:
        await removed.wait()
        await removes(self, ids)

    async def has_come(sequences: list[int]) -> bool:
        return (await delivered(platform, {key}))[key] == sequences

    monkeypatch.setattr(Relay, "_remove", slowly)
    async with leading(platform) as relay:
        platform.database.on_publish = relay.ring
        for sequence in (1, 2, 3):
            await publish(platform, {key}, range(sequence, sequence + 1))
            await until(partial(has_come, list(range(1, sequence + 1))))
        assert await platform.waiting() == 3
        removed.set()
        await until(lambda: _none_waits(platform))

    assert (await delivered(platform, {key}))[key] == [1, 2, 3], "none is sent twice"


async def test_a_removal_that_fails_while_nothing_else_comes_is_made_good(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, removes, failed = uuid4(), Relay._remove, asyncio.Event()

    async def failing_once(self: Relay, ids: Sequence[int]) -> None:
        if not failed.is_set():
            failed.set()
            raise ConnectionResetError
        await removes(self, ids)

    monkeypatch.setattr(Relay, "_remove", failing_once)
    async with leading(platform):
        await publish(platform, {key}, range(1, 3))
        await until(lambda: _none_waits(platform))

    assert failed.is_set()
    assert first_deliveries((await delivered(platform, {key}))[key]) == [1, 2]


async def test_a_removal_that_fails_is_told_and_its_rows_stay(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {uuid4() for _ in range(KEYS)}
    await publish(platform, keys, range(1, 9))
    relay, sender = await _ready(platform)

    async def failing(_: Relay, ids: object) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as broken:
        broken.setattr(Relay, "_remove", failing)
        with pytest.raises(ConnectionResetError):
            await _drain(relay, sender)
    assert not await _none_waits(platform)
    await _drain(relay, sender)
    await sender.abort()

    assert await platform.archived() == 8 * KEYS
    assert {k: first_deliveries(v) for k, v in (await delivered(platform, keys)).items()} == {
        key: list(range(1, 9)) for key in keys
    }


async def test_a_connection_that_fails_under_a_read_is_not_used_again(platform: Platform) -> None:
    await publish(platform, {uuid4()}, range(1, 3))
    relay = Relay(platform.database, platform.settings)
    async with platform.database.engine.connect() as connection:
        mine = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
    await _end(platform, mine)

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await relay._fetch(except_for=[])

    assert len(await relay._fetch(except_for=[])) == 2


async def _end(platform: Platform, backend: int) -> None:
    """Have the server end a session, and wait until it is gone."""
    admin = await asyncpg.connect(platform.settings.database_url.get_secret_value())
    await admin.execute("SELECT pg_terminate_backend($1, 5000)", backend)
    await admin.close()
