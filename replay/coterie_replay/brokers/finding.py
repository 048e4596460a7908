"""A broker for tests from what there is: one that runs, Docker, Java with Maven, or pip alone.

Nothing is replaced in silence: what was asked for by name and is not to be had is a fault.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from coterie_replay.brokers.apache import ApacheKafka, cluster_id_of, missing_parts
from coterie_replay.brokers.embedded import EmbeddedKafka
from coterie_replay.brokers.processes import LocalFault

__all__ = ["ADDRESS", "CHOICE", "PARTITIONS", "Broker", "NoBroker", "broker_for_tests"]

ADDRESS: Final = "KAFKA_BOOTSTRAP_SERVERS"
CHOICE: Final = "COTERIE_TEST_KAFKA"
DOCKER_IMAGE: Final = "confluentinc/cp-kafka:8.0.0"
PARTITIONS: Final = 4


class NoBroker(LocalFault):
    """There is none of the kind that was asked for; one that is there and fails is no such case."""


@dataclass(frozen=True)
class Broker:
    """`kind` is external, docker, apache or embedded."""

    bootstrap: str
    kind: str
    cluster_id: str
    version: str

    @property
    def real(self) -> bool:
        """Whether it has all that Kafka has: rebalances, admin requests, a log on disk."""
        return self.kind != "embedded"


@contextmanager
def broker_for_tests(folder: Path, environment: Mapping[str, str] = os.environ) -> Iterator[Broker]:
    """The broker at `KAFKA_BOOTSTRAP_SERVERS`, or else one that runs until `with` ends.

    `COTERIE_TEST_KAFKA` (docker, apache or embedded) names the only one that will do; without it
    they are tried in this order. Raises `NoBroker` where none is to be had,
    `LocalFault` where one does not start. Blocks.
    """
    if address := environment.get(ADDRESS):
        yield Broker(address, "external", cluster_id_of(address), "not told to clients")
        return
    sources = {"docker": _docker, "apache": _apache, "embedded": _embedded}
    if (choice := environment.get(CHOICE)) is not None:
        if choice not in sources:
            raise LocalFault(f"{CHOICE}={choice} is none of: {', '.join(sources)}")
        sources = {choice: sources[choice]}
    for source in sources.values():
        for broker in source(folder):
            yield broker
            return
    raise NoBroker(f"Kafka: {choice} is not to be had here")


def _docker(_: Path) -> Iterator[Broker]:
    try:
        from docker.errors import (  # type: ignore[import-untyped] # noqa: PLC0415 - an extra
            DockerException,
        )
        from testcontainers.community.kafka import KafkaContainer  # noqa: PLC0415
    except ImportError:
        return
    try:
        container = KafkaContainer(DOCKER_IMAGE).with_kraft()
    except DockerException:
        return
    with container.with_env("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false"):
        bootstrap = container.get_bootstrap_server()
        told = container.exec(["kafka-broker-api-versions", "--version"]).output.decode().split()
        yield Broker(bootstrap, "docker", cluster_id_of(bootstrap), told[0] if told else "unknown")


def _apache(folder: Path) -> Iterator[Broker]:
    if missing_parts() is not None:
        return
    broker = ApacheKafka(folder)
    broker.start()
    try:
        yield Broker(broker.bootstrap, "apache", broker.cluster_id, broker.version)
    finally:
        broker.stop()


def _embedded(folder: Path) -> Iterator[Broker]:
    broker = EmbeddedKafka(folder, partitions=PARTITIONS)
    broker.start()
    version = f"librdkafka {broker.version}'s mock"
    try:
        yield Broker(broker.bootstrap, "embedded", cluster_id_of(broker.bootstrap), version)
    finally:
        broker.stop()
