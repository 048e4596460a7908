"""The audit of a real cluster: everything from the first record on, also while records arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.errors import KafkaConnectionError

from coterie_contracts.feedback import FeedbackSubmitted
from coterie_local.audit import audit_kafka
from coterie_local.log import LogReader, Record
from coterie_replay.brokers.apache import ApacheKafka
from coterie_replay.brokers.embedded import EmbeddedKafka
from coterie_replay.brokers.topics import create_topics

from .season import clean_log

PARTITIONS = 3
DEADLINE_S = 30


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    embedded = EmbeddedKafka(tmp_path, partitions=PARTITIONS)
    embedded.start()
    yield embedded
    embedded.stop()


async def publish(bootstrap: str, records: Sequence[Record]) -> None:
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", enable_idempotence=True
    ) as producer:
        for record in records:
            await producer.send_and_wait(
                record.topic,
                record.value,
                key=record.key,
                partition=record.partition % PARTITIONS,
                headers=list(record.headers),
            )


def content(records: Sequence[Record]) -> set[tuple[object, ...]]:
    return {(record.topic, record.key, record.headers, record.value) for record in records}


async def test_the_whole_log_is_read_with_its_bytes(broker: EmbeddedKafka) -> None:
    records = clean_log()
    await publish(broker.bootstrap, records)
    async with LogReader(broker.bootstrap) as reader:
        read = [record async for record in reader.records()]
    assert len(read) == len(records)
    assert content(read) == content(records)
    assert set(reader.beginnings.values()) == {0}


async def test_an_audit_follows_while_events_flow(broker: EmbeddedKafka) -> None:
    records = clean_log()
    half = len(records) // 2
    await publish(broker.bootstrap, records[:half])
    finished = asyncio.Event()

    async def until() -> bool:
        return finished.is_set()

    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as tasks:
        auditing = tasks.create_task(audit_kafka(broker.bootstrap, until))
        await publish(broker.bootstrap, records[half:])
        assert not auditing.done()
        finished.set()
    report = auditing.result()
    assert report.ok(require_facts=True)
    assert report.events == len(records)


async def test_a_cluster_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KafkaConnectionError):
        await audit_kafka("127.0.0.1:1")


async def test_an_empty_cluster_proves_nothing(broker: EmbeddedKafka) -> None:
    report = await audit_kafka(broker.bootstrap)
    assert report.events == 0
    assert not report.ok(require_facts=True)


async def test_a_partition_whose_first_events_are_gone_is_an_incomplete_log(
    apache_kafka: ApacheKafka,
) -> None:
    apache_kafka.start()
    await create_topics(apache_kafka.bootstrap, partitions=PARTITIONS)
    records = clean_log()
    await publish(apache_kafka.bootstrap, records)
    assert (await audit_kafka(apache_kafka.bootstrap)).ok(require_facts=True)
    submitted = next(record for record in records if record.topic == FeedbackSubmitted.topic)
    gone = TopicPartition(submitted.topic, submitted.partition % PARTITIONS)
    admin = AIOKafkaAdminClient(bootstrap_servers=apache_kafka.bootstrap)
    await admin.start()
    try:
        await admin.delete_records({gone: RecordsToDelete(before_offset=1)})
    finally:
        await admin.close()
    report = await audit_kafka(apache_kafka.bootstrap)
    assert report.verdict == "error: log incomplete"
    assert "partitions" in {one.rule for one in report.violations}
