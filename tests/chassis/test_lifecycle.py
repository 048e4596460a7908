"""How a service starts without its broker, ends with its work done, and shows that it is stuck."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import jwt
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import text

from coterie_chassis import health
from coterie_chassis.auth import Role
from coterie_chassis.consumer import LaneConsumer
from coterie_chassis.deadletter import Record
from coterie_chassis.service import Runtime, Service
from coterie_chassis.testing import person, until
from coterie_contracts.feedback import FeedbackSubmitted
from coterie_contracts.topics import Lane
from coterie_replay.brokers.apache import ApacheKafka
from coterie_replay.brokers.embedded import EmbeddedKafka
from coterie_replay.brokers.processes import free_port
from coterie_replay.brokers.topics import create_topics

from . import sample
from .platform import Broker, Platform, true

ROOT = Path(__file__).resolve().parents[2]
ANN = person("ann", Role.MEMBER)
GATE = 42
PARTITIONS = 2


@pytest.fixture
async def start(
    fresh_database: Callable[[Service], Awaitable[str]],
) -> AsyncIterator[Callable[..., Awaitable[Platform]]]:
    """Platforms on databases of their own."""
    sample.mend()
    started: list[Platform] = []

    async def make(bootstrap: str, **settings: object) -> Platform:
        url = await fresh_database(sample.service)
        started.append(Platform(url, bootstrap, **settings))
        return started[-1]

    yield make
    for platform in started:
        await platform.database.close()


Start = Callable[..., Awaitable[Platform]]


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    broker = EmbeddedKafka(tmp_path / "kafka", partitions=PARTITIONS)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(params=["embedded", "apache"])
async def own_broker(request: pytest.FixtureRequest) -> str:
    """The address of a broker without records, whose topics have `PARTITIONS` partitions."""
    if request.param == "embedded":
        return str(request.getfixturevalue("embedded").bootstrap)
    apache: ApacheKafka = request.getfixturevalue("apache_kafka")
    await asyncio.to_thread(apache.start)
    await create_topics(apache.bootstrap, partitions=PARTITIONS)
    return apache.bootstrap


@asynccontextmanager
async def forwarded(port: int, to: str) -> AsyncIterator[None]:
    """A port that leads to the broker at `to`."""
    host, _, number = to.rpartition(":")

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(host, int(number))
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))

    server = await asyncio.start_server(forward, "127.0.0.1", port)
    yield
    server.close()


async def test_commands_are_taken_before_kafka_is_there_and_their_events_follow(
    start: Start, embedded: EmbeddedKafka
) -> None:
    port = free_port()
    platform = await start(f"127.0.0.1:{port}")
    community = uuid4()
    async with platform.served() as h:
        await h.know(community)
        answer = await h.post("/notes", {"community_id": community, "text": "x"}, as_=ANN)
        assert answer.status_code == 201
        ready, live = await h.client.get("/health/ready"), await h.client.get("/health/live")
        assert (ready.status_code, live.status_code) == (503, 200)
        assert ready.json()["waiting_for"] == ["kafka"]

        note_id = UUID(answer.json()["note_id"])
        async with forwarded(port, embedded.bootstrap):
            await until(lambda: has_heard(platform, {note_id: [1]}))
            assert (await h.client.get("/health/ready")).status_code == 200


async def test_a_service_that_still_waits_for_kafka_can_be_stopped(start: Start) -> None:
    platform = await start(f"127.0.0.1:{free_port()}")
    async with asyncio.timeout(10), platform.instance() as runtime:
        assert runtime.subscriptions is None


async def test_topics_that_come_late_and_a_broker_that_is_killed_cost_nothing(
    start: Start, apache_kafka: ApacheKafka, caplog: pytest.LogCaptureFixture
) -> None:
    platform = await start(apache_kafka.bootstrap, kafka_session_timeout_ms=6_000)
    keys = {uuid4() for _ in range(5)}
    await asyncio.to_thread(apache_kafka.start)
    async with platform.instance() as runtime:
        await publish(platform, keys, range(1, 3))
        await until(lambda: true(lambda: "topics that the broker does not have" in caplog.text))
        assert "feedback.submitted" in caplog.text
        await create_topics(apache_kafka.bootstrap, partitions=PARTITIONS)
        await until(lambda: has_heard(platform, {key: [1, 2] for key in keys}), within_s=60)

        await asyncio.to_thread(apache_kafka.kill)
        await publish(platform, keys, range(3, 5))
        assert (await health.ready(runtime)).status_code == 503
        assert (await health.live(runtime)).status_code == 200
        await asyncio.to_thread(apache_kafka.start)
        await until(lambda: has_heard(platform, {key: [1, 2, 3, 4] for key in keys}), within_s=90)
        await until(lambda: is_ready(runtime))


async def is_ready(runtime: Runtime) -> bool:
    return (await health.ready(runtime)).status_code == 200


async def publish(platform: Platform, keys: set[UUID], sequences: range) -> None:
    for sequence in sequences:
        async with platform.database.begin() as uow:
            for key in sorted(keys):
                platform.fact(uow, key, sequence)


async def has_heard(platform: Platform, wanted: dict[UUID, list[int]]) -> bool:
    return await platform.heard(set(wanted)) == wanted


async def test_a_consumer_whose_coordinator_has_died_shows_no_progress(
    start: Start, any_kafka: Broker, topics: int
) -> None:
    platform = await start(any_kafka.bootstrap)
    async with platform.instance() as runtime:
        await until(lambda: true(lambda: runtime.subscriptions is not None))
        subscriptions = runtime.subscriptions
        assert subscriptions is not None
        await until(lambda: true(lambda: subscriptions.stuck_for() < 0.5))

        def dead() -> None:
            raise KafkaError("Unexpected error during coordination")

        lane = subscriptions.lanes[0]
        assert lane.kafka is not None
        lane.kafka._coordinator.check_errors = dead

        # FastStream polls again every 5 s, and each of these polls fails.
        await until(lambda: true(lambda: subscriptions.stuck_for() > 6))
        assert await subscriptions.ping(), "the ping alone would not tell"


BLOCK = f"""
CREATE FUNCTION wait_at_the_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared({GATE});
    RETURN NEW;
END $$;
CREATE TRIGGER gate BEFORE INSERT ON heard FOR EACH STATEMENT EXECUTE FUNCTION wait_at_the_gate()
"""
WAITING = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND NOT granted"
LEADING = (
    "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 7203553 AND database = "
    "(SELECT oid FROM pg_database WHERE datname = current_database())"
)


class Gate:
    """While it is closed, nothing that the sample service hears can be written."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def close(self) -> None:
        await self._connection.execute(f"SELECT pg_advisory_lock({GATE})")

    async def open(self) -> None:
        await self._connection.execute(f"SELECT pg_advisory_unlock({GATE})")

    async def somebody_waits(self) -> bool:
        return await self._connection.fetchval(WAITING, GATE) is not None

    async def somebody_leads(self) -> bool:
        return await self._connection.fetchval(LEADING) is not None


@asynccontextmanager
async def gate_of(platform: Platform) -> AsyncIterator[Gate]:
    url = platform.database.url.set(drivername="postgresql")
    connection = await asyncpg.connect(url.render_as_string(hide_password=False))
    await connection.execute(BLOCK)
    try:
        yield Gate(connection)
    finally:
        await connection.close()


async def committed(platform: Platform, lane: Lane, topic: str) -> tuple[int, int]:
    """Offsets that a lane has committed, and the topic's ends, both summed over partitions."""
    async with AIOKafkaConsumer(
        bootstrap_servers=platform.settings.kafka_bootstrap,
        group_id=f"{platform.settings.kafka_group_prefix}.sample.{lane}",
        enable_auto_commit=False,
    ) as consumer:
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        offsets = [await consumer.committed(partition) for partition in partitions]
        starts = await consumer.beginning_offsets(partitions)
        done = sum(
            starts[tp] if offset is None else offset
            for tp, offset in zip(partitions, offsets, strict=True)
        )
        return done, sum(ends.values())


def key_set(folder: Path) -> Path:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(public)) | {"kid": "one", "alg": "ES256"}
    path = folder / "jwks.json"
    path.write_text(json.dumps({"keys": [jwk]}))
    return path


@pytest.fixture
def jwks(tmp_path: Path) -> Path:
    return key_set(tmp_path)


async def refuses_connections(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return True
    writer.close()
    return False


async def test_sigterm_ends_a_service_after_the_batch_and_its_offsets_and_frees_the_relay(
    start: Start, own_broker: str, jwks: Path
) -> None:
    platform = await start(own_broker)
    port, key = free_port(), uuid4()
    serve = "from coterie_chassis.cli import run; from tests.chassis.sample import service; "
    env = {"COTERIE_HTTP_PORT": str(port), "COTERIE_JWKS": str(jwks)}
    async with gate_of(platform) as gate:
        await gate.close()
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", serve + "run(service)", "serve"),
            env={**os.environ, **platform.environment(), **env},
            cwd=ROOT,
        )
        try:
            await publish(platform, {key}, range(1, 2))
            await until(gate.somebody_waits)
            child.send_signal(signal.SIGTERM)
            await until(lambda: refuses_connections(port))
            assert child.returncode is None, "the batch is under way"

            await gate.open()

            async with asyncio.timeout(10):
                await child.wait()
            assert child.returncode in {0, -signal.SIGTERM}
            assert not await gate.somebody_leads(), "the next leader need not wait for a timeout"
        finally:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    assert await has_heard(platform, {key: [1]})
    done, end = await committed(platform, Lane.PROMPT, FeedbackSubmitted.topic)
    assert done == end


async def test_stopping_waits_for_the_batch_under_way(
    start: Start, embedded: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coterie_chassis.subscriptions._AFTER_DRAIN_S", 0.01)
    platform = await start(embedded.bootstrap)
    key = uuid4()
    async with gate_of(platform) as gate:
        await gate.close()
        async with platform.instance() as runtime:
            await publish(platform, {key}, range(1, 2))
            await until(gate.somebody_waits)
            subscriptions = runtime.subscriptions
            assert subscriptions is not None

            stopping = asyncio.create_task(subscriptions.stop())
            await until(lambda: true(subscriptions.lanes[0]._draining.is_set))
            assert not stopping.done()
            await gate.open()
            await stopping
            assert await has_heard(platform, {key: [1]})
            done, end = await committed(platform, Lane.PROMPT, FeedbackSubmitted.topic)
            assert done == end


@pytest.mark.needs_apache_kafka
async def test_partitions_are_given_away_behind_what_is_done(
    start: Start, kafka: Broker, topics: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second instance joins while the first is in the middle of a batch of many pieces."""
    monkeypatch.setattr("coterie_chassis.subscriptions._TARGET_S", 0.0)  # one record a piece
    delivered: list[tuple[str, int, int]] = []
    apply = LaneConsumer.apply

    async def counting(
        self: LaneConsumer, records: Sequence[Record], following: Sequence[Record] = ()
    ) -> None:
        await apply(self, records, following)
        delivered.extend((r.topic, r.partition, r.offset) for r in records)

    monkeypatch.setattr(LaneConsumer, "apply", counting)
    platform = await start(kafka.bootstrap)
    keys = {uuid4() for _ in range(30)}
    async with gate_of(platform) as gate, platform.instance() as first:
        await until(lambda: true(lambda: first.subscriptions is not None))
        await publish(platform, {uuid4()}, range(1, 3))
        await until(lambda: true(lambda: len(delivered) >= 2))
        delivered.clear()
        await gate.close()
        await publish(platform, keys, range(1, 4))
        await until(gate.somebody_waits)
        async with platform.instance():
            lanes = first.subscriptions.lanes if first.subscriptions is not None else []
            await until(lambda: true(lambda: any(lane._draining.is_set() for lane in lanes)))
            await gate.open()
            await until(lambda: has_heard(platform, {key: [1, 2, 3] for key in keys}))

    ours = [position for position in delivered if position[0] == FeedbackSubmitted.topic]
    assert len(ours) >= 90
    assert len(ours) == len(set(ours)), "no record was delivered to both"


async def test_a_database_that_is_missing_a_migration_is_one_line_and_2(
    start: Start, jwks: Path
) -> None:
    platform = await start("127.0.0.1:1")
    async with platform.database.begin() as uow:
        await uow.execute(text("DELETE FROM alembic_version WHERE version_num = 'sample_0001'"))
    serve = "from coterie_chassis.cli import run; from tests.chassis.sample import service; "
    env = {"COTERIE_HTTP_PORT": str(free_port()), "COTERIE_JWKS": str(jwks)}
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", serve + "run(service)", "serve"),
        env={**os.environ, **platform.environment(), **env},
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )

    async with asyncio.timeout(30):
        _, said = await child.communicate()

    assert child.returncode == 2, said.decode()
    assert said.decode().splitlines()[-1].startswith("coterie-sample: the schema of sample lacks")


async def test_a_port_in_use_is_one_line_and_2(start: Start, jwks: Path) -> None:
    platform = await start("127.0.0.1:1")
    serve = "from coterie_chassis.cli import run; from tests.chassis.sample import service; "
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        env = {"COTERIE_HTTP_PORT": str(port), "COTERIE_JWKS": str(jwks)}
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", serve + "run(service)", "serve"),
            env={**os.environ, **platform.environment(), **env},
            cwd=ROOT,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(30):
            _, said = await child.communicate()

    assert child.returncode == 2
    (line,) = said.decode().splitlines()
    assert f"COTERIE_HTTP_PORT {port}: Address already in use" in line
