"""The whole way of an event: everything at once, and one at a time."""

from __future__ import annotations

import asyncio
import sys
from statistics import median, quantiles
from uuid import uuid4

import asyncpg
from aiokafka import AIOKafkaConsumer

from coterie_replay.cluster import connected
from tests.bench import service as bench
from tests.bench.consuming import Offsets, consume, consuming, group_of
from tests.bench.measure import Measured, Stopwatch, alternate, row
from tests.bench.rig import Rig, Stage

__all__: list[str] = []

TRIES = 100


async def all_at_once(stage: Stage, source: Stage, begin: Offsets, count: int) -> float:
    """Events a second from the first command of another process until all took effect here.

    `begin` is where the topic ends now.
    """
    stage.renew()
    for emptied in (stage, source):
        await emptied.empty()
    bench.heard.clear()
    await stage.rig.begin_at(group_of(stage), begin)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.upstream", source.url),
        *(stage.rig.bootstrap, str(count)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    async with consuming(stage) as subscriptions:
        (lane,) = subscriptions.lanes
        assert await child.stdout.readline() == b"ready\n"
        watch = Stopwatch()
        child.stdin.write(b"begin\n")
        while bench.heard.count < count or lane.records_behind():  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.002)
        seconds = watch.seconds
    assert await child.wait() == 0
    await stage.database.close()
    return count / seconds


@row("events/s", at_least=0.4)
async def sustained_end_to_end(rig: Rig) -> Measured:
    """Commands, relay, Kafka, consumer and effect all at once over the consumer alone."""
    begin: Offsets = {}

    async def ours() -> float:
        begin.update(await rig.ends())
        return await all_at_once(stage, source, begin, rig.events)

    async with rig.stage() as stage, rig.stage() as source:
        return await alternate(rig, ours, lambda: consume(stage, begin, rig.events))


class Effects:
    """Publishes one event at a time through a running service and waits for its effect."""

    def __init__(self, stage: Stage, connection: asyncpg.Connection) -> None:
        self._stage = stage
        self._connection = connection
        self._number = 0
        bench.heard.clear()

    async def milliseconds(self) -> float:
        """From the commit of a command to the committed effect."""
        self._number += 1
        (draft,) = bench.ratings([uuid4()], self._number, 1)
        bench.heard.more.clear()
        async with self._stage.database.begin() as uow:
            uow.publish(bench.cause(uow, self._number), draft)
        watch = Stopwatch()
        await bench.heard.more.wait()
        while not self._is_applied():  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.0002)
        seconds = watch.seconds
        assert await self._connection.fetchval(_EFFECT, draft.subject)
        return seconds * 1_000

    def _is_applied(self) -> bool:
        """Whether the handler was given it and its transaction is committed."""
        subscriptions = self._stage.runtime.subscriptions
        return (
            bench.heard.count == self._number
            and subscriptions is not None
            and not any(lane.records_behind() for lane in subscriptions.lanes)
        )


_EFFECT = "SELECT 1 FROM opinion WHERE contribution_id = $1"


async def bare(rig: Rig, topic: str) -> list[float]:
    """Milliseconds of a produce and fetch of one record, with nothing around it."""
    async with (
        rig.producer() as producer,
        AIOKafkaConsumer(topic, bootstrap_servers=rig.bootstrap) as consumer,
    ):
        await consumer.seek_to_end()
        times = []
        for _ in range(TRIES):
            watch = Stopwatch()
            await producer.send_and_wait(topic, b"x" * 440, key=uuid4().bytes)
            await consumer.getone()
            times.append(watch.seconds * 1_000)
        return times


@row("ms, median", at_most=5)
async def idle_latency_vs_bare(rig: Rig) -> Measured:
    """Commit of a command to the effect in the next service over a bare produce and fetch."""
    ours: list[float] = []
    theirs: list[float] = []

    async def effects() -> float:
        times = [await waited.milliseconds() for _ in range(TRIES)]
        ours.extend(times)
        return median(times)

    async def fetches() -> float:
        times = await bare(rig, nobodys)
        theirs.extend(times)
        return median(times)

    ends = await rig.ends()
    nobodys = f"bare-{uuid4().hex[:8]}.{bench.TOPIC}"
    async with connected(rig.bootstrap) as cluster:
        await cluster.create({nobodys: len(ends)})
    async with rig.stage() as stage:
        await rig.begin_at(group_of(stage), ends)
        connection = await asyncpg.connect(stage.url)
        waited = Effects(stage, connection)
        async with stage.runtime.lifespan(stage.runtime.app()):
            await waited.milliseconds()
            measured = await alternate(rig, effects, fetches)
        await connection.close()
    told = {"": ours, "bare_": theirs}
    also = {
        f"{name}{point}": round(quantiles(times, n=100)[cut], 2)
        for name, times in told.items()
        for point, cut in (("p50_ms", 49), ("p99_ms", 98))
    }
    return Measured(measured.pairs, also)
