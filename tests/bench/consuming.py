"""The consumer with all its promises over reading the same records without them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID, uuid4

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from sqlalchemy import Table, insert
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from coterie_chassis.subscriptions import Subscriptions
from coterie_contracts.feedback import ContributionRated
from coterie_contracts.topics import Lane
from tests.bench import service as bench
from tests.bench.measure import Measured, Stopwatch, alternate, row
from tests.bench.relaying import send
from tests.bench.rig import Rig, Stage

__all__ = ["Offsets", "consume", "consuming", "group_of", "produced"]

UNIT = "events/s"
COLUMNS = ("contribution_id", "rater_id", "author_id", "value", "rated_at")
FEWER = 2_000

Offsets = dict[TopicPartition, int]


async def produced(rig: Rig, stage: Stage, count: int) -> Offsets:
    """Put `count` records on the topic; where they begin."""
    begin = await rig.ends()
    async with rig.producer() as producer:
        await send(producer, await stage.keep_outbox(count))
    return begin


@asynccontextmanager
async def consuming(stage: Stage) -> AsyncIterator[Subscriptions]:
    """The service's own subscriptions, of the lane that ratings come in."""
    lanes = [lane for lane in stage.runtime.lanes if lane.lane is Lane.BULK]
    subscriptions = Subscriptions(bench.service.name, lanes, stage.settings)
    await subscriptions.start()
    try:
        yield subscriptions
    finally:
        await subscriptions.stop()


def group_of(stage: Stage) -> str:
    """The consumer group of the stage's lane."""
    return f"{stage.settings.kafka_group_prefix}.{bench.service.name}.{Lane.BULK}"


async def consume(stage: Stage, begin: Offsets, count: int) -> float:
    """Events a second from the first batch in the handler until all are committed.

    From `begin` there are `count` on the topic.
    """
    stage.renew()
    await stage.empty()
    bench.heard.clear()
    await stage.rig.begin_at(group_of(stage), begin)
    async with consuming(stage) as subscriptions:
        (lane,) = subscriptions.lanes
        while bench.heard.count < count or lane.records_behind():  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.002)
        seconds = bench.heard.seconds
    await stage.database.close()
    assert bench.heard.count == count
    return count / seconds


async def copy(stage: Stage, begin: Offsets, count: int) -> float:
    """Events a second of validating the data and COPY of the same columns, without a promise."""
    await stage.empty()
    connection = await asyncpg.connect(stage.url)
    consumer = await reader(stage.rig, begin)
    try:
        await connection.execute("DROP TABLE IF EXISTS copied")
        await connection.execute(
            "CREATE TABLE copied (event_id uuid, contribution_id uuid, rater_id uuid, "
            "author_id uuid, value float8, rated_at timestamptz)"
        )
        done, watch = 0, None
        while done < count:
            batches = await consumer.getmany(timeout_ms=100, max_records=1_000)
            watch = watch or Stopwatch()
            rows = [copied(record) for records in batches.values() for record in records]
            await connection.copy_records_to_table(
                "copied", records=rows, columns=("event_id", *COLUMNS)
            )
            await consumer.commit()
            done += len(rows)
        assert watch is not None
        return count / watch.seconds
    finally:
        await consumer.stop()
        await connection.close()


def copied(record: ConsumerRecord) -> tuple[UUID, UUID, UUID, UUID, float, datetime]:
    body = ContributionRated.model_validate_json(record.value)
    event_id = UUID(dict(record.headers)["ce_id"].decode())
    return (
        event_id,
        body.contribution_id,
        body.rater_id,
        body.author_id,
        body.value,
        body.rated_at,
    )


async def reader(rig: Rig, begin: Offsets) -> AIOKafkaConsumer:
    """A consumer in a group of its own that commits when told."""
    group = f"copy-{uuid4().hex[:8]}"
    await rig.begin_at(group, begin)
    consumer = AIOKafkaConsumer(
        bench.TOPIC, bootstrap_servers=rig.bootstrap, group_id=group, enable_auto_commit=False
    )
    await consumer.start()
    return consumer


async def consume_one_by_one(stage: Stage, begin: Offsets, count: int) -> float:
    """Events a second of a FastStream handler with a session's transaction for each message."""
    await stage.empty()
    group = f"single-{uuid4().hex[:8]}"
    await stage.rig.begin_at(group, begin)
    sessions = async_sessionmaker(stage.database.engine, expire_on_commit=False)
    broker, done, seen = KafkaBroker(stage.rig.bootstrap, logger=None), asyncio.Event(), []

    @broker.subscriber(
        bench.TOPIC,
        group_id=group,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.NACK_ON_ERROR,
    )
    async def keep_opinion(body: ContributionRated) -> None:
        seen.append(seen[0] if seen else Stopwatch())
        async with sessions() as session, session.begin():
            await add(session, bench.opinion, body)
        if len(seen) == count:
            done.set()

    async with broker:
        await broker.start()
        await done.wait()
        return count / seen[0].seconds


async def add(session: AsyncSession, table: Table, body: ContributionRated) -> None:
    row = {name: getattr(body, name) for name in COLUMNS}
    await session.execute(insert(table).values(row))


@row(UNIT, at_least=0.45)
async def consumer_vs_copy(rig: Rig) -> Measured:
    """The consumer with inbox and a bulk effect over reading, validating and COPY."""
    async with rig.stage() as stage:
        begin = await produced(rig, stage, rig.events)
        return await alternate(
            rig,
            lambda: consume(stage, begin, rig.events),
            lambda: copy(stage, begin, rig.events),
        )


@row(UNIT, at_least=40)
async def consumer_vs_per_message(rig: Rig) -> Measured:
    """The same over a FastStream handler with one AsyncSession transaction a message."""
    async with rig.stage() as stage:
        begin = await produced(rig, stage, rig.events)
        return await alternate(
            rig,
            lambda: consume(stage, begin, rig.events),
            lambda: consume_one_by_one(stage, begin, min(FEWER, rig.events)),
        )
