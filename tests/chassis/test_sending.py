"""Batches go where every Kafka client would put their records, whole, in order, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import MessageSizeTooLargeError

from coterie_chassis.sending import MAX_BATCH_BYTES, Sender
from coterie_replay.brokers.finding import PARTITIONS, Broker

from .reading import whole_topic

TOPIC, OTHER = "batches.sent", "batches.also"  # of no service: what they hold is no event
HEADERS = [("content-type", b"application/json"), ("ce_type", b"a.b")]


@pytest.fixture(scope="module")
async def broker(any_kafka: Broker) -> Broker:
    if any_kafka.real:
        admin = AIOKafkaAdminClient(bootstrap_servers=any_kafka.bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in (TOPIC, OTHER)])
        await admin.close()
    return any_kafka


@asynccontextmanager
async def sender_to(broker: Broker) -> AsyncIterator[Sender]:
    sender = Sender(broker.bootstrap, client_id="test")
    await sender.start()
    try:
        yield sender
    finally:
        await sender.abort()


async def values_of(broker: Broker, key: bytes, topic: str = TOPIC) -> list[tuple[int, bytes]]:
    """Partition and value of each record with `key`, in the topic's order."""
    records = whole_topic(broker.bootstrap, topic)
    return [(r.partition, r.value) async for r in records if r.key == key]


async def test_a_key_goes_where_other_clients_put_it(broker: Broker) -> None:
    keys = [str(uuid4()).encode() for _ in range(40)]
    async with (
        sender_to(broker) as sender,
        AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as other,
    ):
        await sender.send(await sender.pack([(TOPIC, key, HEADERS, b"ours") for key in keys]))
        theirs = {key: (await other.send_and_wait(TOPIC, b"x", key=key)).partition for key in keys}

    ours = {
        record.key: (record.partition, list(record.headers))
        async for record in whole_topic(broker.bootstrap, TOPIC)
        if record.value == b"ours"
    }
    assert ours == {key: (theirs[key], HEADERS) for key in keys}
    assert len(set(theirs.values())) > 1


async def test_more_than_a_batch_holds_arrives_whole_and_in_order(broker: Broker) -> None:
    key, other = (str(uuid4()).encode() for _ in range(2))
    values = [bytes([number]) * (MAX_BATCH_BYTES // 3) for number in range(7)]
    async with sender_to(broker) as sender:
        packed = await sender.pack(
            [
                *((TOPIC, key, HEADERS, value) for value in values),
                (OTHER, other, HEADERS, None),
            ]
        )
        assert packed.count == 8
        await sender.send(packed)

    assert [value for _, value in await values_of(broker, key)] == values
    assert [value for _, value in await values_of(broker, other, OTHER)] == [None]


@pytest.mark.parametrize("place", [0, 1])
async def test_a_record_that_fits_in_no_batch_is_refused_with_its_batch(
    broker: Broker, place: int
) -> None:
    key = str(uuid4()).encode()
    records = [(TOPIC, key, HEADERS, b"small"), (TOPIC, key, HEADERS, b"small")]
    records[place] = (TOPIC, key, HEADERS, b"x" * MAX_BATCH_BYTES)
    async with sender_to(broker) as sender:
        with pytest.raises(MessageSizeTooLargeError, match=TOPIC):
            await sender.pack(records)
        await sender.send(await sender.pack([(TOPIC, key, HEADERS, b"next")]))

    assert [value for _, value in await values_of(broker, key)] == [b"next"]
