"""A real broker that keeps what it acknowledged, whatever ends it."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.client import AIOKafkaClient

from coterie_contracts.topics import TOPICS
from coterie_replay.brokers import apache as kafka_module
from coterie_replay.brokers.apache import ApacheKafka
from coterie_replay.brokers.processes import LocalFault
from coterie_replay.brokers.topics import create_topics

TOPIC = TOPICS[0].name


async def _produce(bootstrap: str, *values: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        for value in values:
            await producer.send_and_wait(TOPIC, value, partition=0)


async def _read(bootstrap: str, count: int) -> list[bytes]:
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        consumer.assign([TopicPartition(TOPIC, 0)])
        await consumer.seek_to_beginning()
        return [(await consumer.getone()).value for _ in range(count)]


async def test_a_kill_and_a_restart_keep_data_and_cluster_id(apache_kafka: ApacheKafka) -> None:
    apache_kafka.start()
    cluster_id, bootstrap = apache_kafka.cluster_id, apache_kafka.bootstrap
    await create_topics(bootstrap, partitions=1)
    await _produce(bootstrap, b"before the kill")
    apache_kafka.kill()
    apache_kafka.start()
    await _produce(bootstrap, b"before the restart")
    apache_kafka.restart()
    assert apache_kafka.bootstrap == bootstrap
    assert apache_kafka.cluster_id == cluster_id
    assert await _read(bootstrap, 2) == [b"before the kill", b"before the restart"]


async def test_a_second_listener_advertises_the_address_of_a_proxy(
    tmp_path: Path, java_and_maven: None
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        address = f"127.0.0.1:{proxy.getsockname()[1]}"
        broker = ApacheKafka(tmp_path, advertised={"PROXY": address})
        broker.start()
        try:
            client = AIOKafkaClient(bootstrap_servers=broker.listeners["PROXY"])
            await client.bootstrap()
            known = {f"{node.host}:{node.port}" for node in client.cluster.brokers()}
            await client.close()
            assert known == {address}
        finally:
            broker.kill()


@pytest.mark.needs_apache_kafka
async def test_topics_are_created_once_and_never_get_other_partitions(
    kafka: Any, topics: int
) -> None:
    assert await create_topics(kafka.bootstrap, partitions=topics) == 0
    with pytest.raises(LocalFault, match=r"4 partitions instead of 7"):
        await create_topics(kafka.bootstrap, partitions=7)


@pytest.fixture
def without_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_a_missing_java_says_what_to_do(without_programs: Path, tmp_path: Path) -> None:
    with pytest.raises(LocalFault, match=r"needs Java 17.*install it .*--kafka"):
        ApacheKafka(tmp_path / "data").start()


def test_a_missing_maven_says_what_to_do(
    without_programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java = without_programs / "java"
    java.write_text("#!/bin/sh\n")
    java.chmod(0o755)
    monkeypatch.setattr(kafka_module, "LIBS", tmp_path / "libs")
    with pytest.raises(LocalFault, match=r"no `mvn`.*apt-get install maven"):
        ApacheKafka(tmp_path / "data").start()


def test_a_folder_that_cannot_keep_it_is_named_with_what_to_do(
    tmp_path: Path, java_and_maven: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = tmp_path / "taken"
    taken.touch()
    monkeypatch.setattr(kafka_module, "CACHE", taken)
    monkeypatch.setattr(kafka_module, "LIBS", taken / "kafka")
    with pytest.raises(LocalFault, match=r"taken: .*COTERIE_CACHE"):
        kafka_module.fetch()
