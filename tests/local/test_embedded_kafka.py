"""The embedded broker speaks enough Kafka for one process a service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from coterie_contracts.topics import TOPICS
from coterie_replay.brokers.embedded import EmbeddedKafka

PARTITIONS = 3


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    embedded = EmbeddedKafka(tmp_path, partitions=PARTITIONS)
    embedded.start()
    yield embedded
    embedded.stop()


async def _produce(bootstrap: str, topic: str, count: int) -> None:
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", enable_idempotence=True
    ) as producer:
        for number in range(count):
            await producer.send_and_wait(topic, b"%d" % number, key=b"k", headers=[("h", b"1")])


async def test_every_topic_has_the_partitions_asked_for(broker: EmbeddedKafka) -> None:
    async with AIOKafkaConsumer(bootstrap_servers=broker.bootstrap) as consumer:
        assert await consumer.topics() == {topic.name for topic in TOPICS}
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        for topic in TOPICS:
            assert await producer.partitions_for(topic.name) == set(range(PARTITIONS))


async def test_a_group_reads_in_order_what_was_produced_and_continues_after_its_commit(
    broker: EmbeddedKafka,
) -> None:
    topic = TOPICS[0].name
    await _produce(broker.bootstrap, topic, 20)
    read: list[bytes] = []
    for _ in range(2):
        async with AIOKafkaConsumer(
            topic,
            bootstrap_servers=broker.bootstrap,
            group_id="readers",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=20,
        ) as consumer:
            records = [await consumer.getone() for _ in range(10)]
            assert {record.headers for record in records} == {(("h", b"1"),)}
            read += [record.value for record in records]
            await consumer.commit()
    assert read == [b"%d" % number for number in range(20)]


def test_stopping_it_leaves_no_process(broker: EmbeddedKafka) -> None:
    pid = broker.pid
    assert pid is not None
    assert psutil.pid_exists(pid)
    broker.stop()
    assert not psutil.pid_exists(pid)
