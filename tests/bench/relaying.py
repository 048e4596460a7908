"""The relay over aiokafka's own producer: what order, durability and exact removal cost."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer
from sqlalchemy import text

from coterie_chassis.relay import Relay
from coterie_contracts.envelope import Message
from tests.bench.measure import Measured, Stopwatch, alternate, row
from tests.bench.rig import Rig, Stage

__all__ = ["drain", "leading", "warm"]

UNIT = "events/s"
_WARM_ROUNDS = 8


class WithoutArchive(Relay):
    """Deletes what it has sent, for what keeping it costs."""

    async def _remove(self, ids: Sequence[int]) -> None:
        async with self._database.engine.begin() as connection:
            await connection.execute(_DELETE, {"ids": list(ids)})


_DELETE = text("DELETE FROM outbox WHERE id = ANY(CAST(:ids AS bigint[]))")


@asynccontextmanager
async def leading(stage: Stage, kind: type[Relay] = Relay) -> AsyncIterator[Relay]:
    """A relay that leads and waits."""
    relay = kind(stage.database, stage.settings)
    run = asyncio.create_task(relay.run())
    try:
        while not relay.leading:  # noqa: ASYNC110 - the condition has no event
            await asyncio.sleep(0.01)
        yield relay
    finally:
        relay.stop()
        await run


async def drain(stage: Stage, count: int, kind: type[Relay] = Relay) -> float:
    """Events a second from the commit of `count` rows until none is left."""
    async with leading(stage, kind) as relay:
        await stage.fill_outbox()
        watch = Stopwatch()
        relay.ring()
        await stage.drained()
        return count / watch.seconds


async def send(producer: AIOKafkaProducer, messages: Sequence[Message]) -> float:
    """Events a second of `send`, with all acknowledgements awaited at the end."""
    watch = Stopwatch()
    futures = [
        await producer.send(m.topic, key=m.key, value=m.value, headers=list(m.headers))
        for m in messages
    ]
    await asyncio.gather(*futures)
    return len(messages) / watch.seconds


async def send_batches(producer: AIOKafkaProducer, by_partition: dict[int, list[Message]]) -> float:
    """Events a second of full batches, one after the other in each partition."""
    watch = Stopwatch()
    futures: list[Any] = []
    cursors = dict.fromkeys(by_partition, 0)
    while any(cursors[partition] < len(ms) for partition, ms in by_partition.items()):
        for partition, messages in by_partition.items():
            batch = producer.create_batch()
            for message in messages[cursors[partition] :]:
                added = batch.append(
                    timestamp=None,
                    key=message.key,
                    value=message.value,
                    headers=list(message.headers),
                )
                if added is None:
                    break
                cursors[partition] += 1
            if batch.record_count():
                topic = messages[0].topic
                futures.append(await producer.send_batch(batch, topic, partition=partition))
    await asyncio.gather(*futures)
    return sum(map(len, by_partition.values())) / watch.seconds


async def warm(rig: Rig) -> None:
    """Let a broker that has just started compile what it runs: it takes a core for seconds."""
    async with rig.stage() as stage:
        await stage.keep_outbox(rig.events)
        for number in range(_WARM_ROUNDS):
            rig.say(f"warming the broker, {number + 1} of {_WARM_ROUNDS}")
            await drain(stage, rig.events)


@row(UNIT, at_least=1.2)
async def relay_vs_raw_send(rig: Rig) -> Measured:
    """The ordered relay over aiokafka's `send()` of the same records."""
    async with rig.stage() as stage, rig.producer() as producer:
        messages = await stage.keep_outbox(rig.events)
        return await alternate(
            rig, lambda: drain(stage, rig.events), lambda: send(producer, messages)
        )


@row(UNIT, at_least=0.35)
async def relay_vs_send_batch(rig: Rig) -> Measured:
    """The ordered relay over full `send_batch` batches to partitions known beforehand."""
    async with rig.stage() as stage, rig.producer() as producer:
        messages = await stage.keep_outbox(rig.events)
        by_partition = defaultdict(list)
        await producer.partitions_for(messages[0].topic)
        for message in messages:
            partition = producer._partition(
                message.topic, None, message.key, message.value, message.key, message.value
            )
            by_partition[partition].append(message)
        return await alternate(
            rig, lambda: drain(stage, rig.events), lambda: send_batches(producer, by_partition)
        )


@row(UNIT)
async def relay_archive_cost(rig: Rig) -> Measured:
    """The relay with its archive over the same without."""
    async with rig.stage() as stage:
        await stage.keep_outbox(rig.events)
        return await alternate(
            rig,
            lambda: drain(stage, rig.events),
            lambda: drain(stage, rig.events, WithoutArchive),
        )
