"""What a Kafka cluster has: topics with their partitions, and whether it is one for tests.

A cluster is marked as a test cluster by a topic of that name. It needs no right to read it and no
place to configure it, goes with the cluster, and nobody makes it by mistake.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, for_code

from coterie_contracts.topics import PARTITIONS, TOPICS
from coterie_replay.connection import client_options
from coterie_replay.faults import ReplayFault

__all__ = ["TEST_CLUSTER", "Cluster", "connected", "delete_topics"]

TEST_CLUSTER: Final = "coterie.test-cluster"
_TIMEOUT_MS: Final = 30_000
_LOOK_AGAIN_S: Final = 0.02
_DECLARED: Final = {topic.name: topic for topic in TOPICS}


class Cluster:
    """A cluster while `connected`."""

    def __init__(self, admin: AIOKafkaAdminClient) -> None:
        self._admin = admin

    async def partitions(self) -> dict[str, int]:
        """The partition count of every topic."""
        return {row["topic"]: len(row["partitions"]) for row in await self._admin.describe_topics()}

    async def is_for_tests(self) -> bool:
        return TEST_CLUSTER in await self._admin.list_topics()

    async def mark_as_test_cluster(self) -> None:
        await self.create({TEST_CLUSTER: 1})

    async def create_missing(self, topics: Iterable[str]) -> None:
        """Create those of `topics` that are not there, with as many partitions as declared."""
        there = await self._admin.list_topics()
        missing = {topic: _declared_partitions(topic) for topic in topics if topic not in there}
        if missing:
            await self.create(missing)

    async def delete(self, prefix: str) -> None:
        """Delete every topic whose name begins with `prefix`, which is not empty.

        The embedded broker cannot delete any.
        """
        doomed = [topic for topic in await self._admin.list_topics() if topic.startswith(prefix)]
        if prefix and doomed and await self._takes_requests():
            await self._admin.delete_topics(doomed)

    async def create(self, partitions: dict[str, int]) -> None:
        """Create topics that are not there, with one replica each and kept for ever.

        The embedded broker creates none on request: it makes those that are asked about.
        """
        rows = [
            NewTopic(name, count, 1, topic_configs=_configuration(name))
            for name, count in partitions.items()
        ]
        if not await self._takes_requests():
            await self._admin.describe_topics(list(partitions))
            return
        answer = await self._admin.create_topics(rows, timeout_ms=_TIMEOUT_MS)
        for name, code, message in answer.topic_errors:
            error = for_code(code)
            if code and error.__name__ != "TopicAlreadyExistsError":
                raise error(f"topic {name}: {message}")
        await self._until_led(list(partitions))

    async def _until_led(self, topics: list[str]) -> None:
        """Return when clients find every partition: brokers learn of a new topic a little later."""
        async with asyncio.timeout(_TIMEOUT_MS / 1000):
            while not all(map(_is_led, await self._admin.describe_topics(topics))):  # noqa: ASYNC110 - brokers tell nobody
                await asyncio.sleep(_LOOK_AGAIN_S)

    async def _takes_requests(self) -> bool:
        """Whether there is a controller: the embedded broker has none."""
        told = await self._admin.describe_cluster()
        return told["controller_id"] in {broker["node_id"] for broker in told["brokers"]}


async def delete_topics(bootstrap: str, prefix: str) -> None:
    """Delete every topic whose name begins with `prefix`."""
    async with connected(bootstrap) as cluster:
        await cluster.delete(prefix)


@asynccontextmanager
async def connected(bootstrap: str) -> AsyncIterator[Cluster]:
    """The cluster at `bootstrap`; raises `ReplayFault` where none answers, or it refuses."""
    admin = AIOKafkaAdminClient(
        bootstrap_servers=bootstrap, request_timeout_ms=_TIMEOUT_MS, **client_options()
    )
    try:
        try:
            await admin.start()
        except (KafkaError, OSError, ValueError) as error:
            raise ReplayFault(
                f"no Kafka answers at {bootstrap} ({type(error).__name__}): is it up, and is that "
                "its HOST:PORT?"
            ) from None
        try:
            yield Cluster(admin)
        except (KafkaError, TimeoutError) as error:
            raise ReplayFault(
                f"Kafka at {bootstrap} refuses what is asked of it ({type(error).__name__}): may "
                "this principal do that?"
            ) from None
    finally:
        await admin.close()


def _declared_partitions(topic: str) -> int:
    """How many partitions the contracts give a topic, whatever prefix stands before its name."""
    for name, row in _DECLARED.items():
        if topic == name or topic.endswith(f".{name}"):
            return row.partitions
    return PARTITIONS


def _is_led(topic: dict[str, Any]) -> bool:
    faults = (topic["error_code"], *(row["error_code"] for row in topic["partitions"]))
    return bool(topic["partitions"]) and not any(faults)


def _configuration(topic: str) -> dict[str, str]:
    return {"retention.ms": "-1", "cleanup.policy": "delete"}
