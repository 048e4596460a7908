"""Topics on a broker, exactly as the contracts' table says.

A topic that exists keeps its partition count for ever: more partitions would move the keys of
aggregates to other partitions and so break their order. A difference is refused, never repaired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from coterie_chassis.errors import ConfigurationFault
from coterie_contracts.topics import TOPICS, Topic

__all__ = ["LOOK_UP_MS", "create_missing", "owned_by"]

LOOK_UP_MS: Final = 10
"""A consumer asked for offsets looks up one unknown topic in each pause of its retries."""
_TIMEOUT_MS: Final = 60_000


def owned_by(service: str) -> tuple[Topic, ...]:
    """The topics that `service` alone writes to, in the order of the table."""
    return tuple(topic for topic in TOPICS if topic.owner == service)


async def create_missing(
    topics: Sequence[Topic],
    bootstrap: str,
    *,
    partitions: int | None = None,
    replicas: int = 1,
    **options: Any,
) -> int:
    """Create what is missing at `bootstrap`, wait until it can be used; how many were created.

    `partitions` overrides the table's count, for tests; `options` are further ones of aiokafka's
    clients. Raises `ConfigurationFault` when a topic exists with another partition count or the
    broker refuses, `KafkaError` when it may do so later.
    """
    admin = AIOKafkaAdminClient(
        bootstrap_servers=bootstrap, request_timeout_ms=_TIMEOUT_MS, **options
    )
    await admin.start()
    try:
        existing = await _partition_counts(admin, topics)
        _refuse_differences(topics, existing, partitions)
        missing = [topic for topic in topics if topic.name not in existing]
        if missing:
            rows = [_new_topic(topic, partitions, replicas) for topic in missing]
            answer = await admin.create_topics(rows, timeout_ms=_TIMEOUT_MS)
            _raise_errors(answer.topic_errors)
            await _until_led(bootstrap, rows, options)
        return len(missing)
    finally:
        await admin.close()


async def _partition_counts(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> dict[str, int]:
    present = {topic.name for topic in topics} & set(await admin.list_topics())
    if not present:
        return {}
    described = await admin.describe_topics(sorted(present))
    return {row["topic"]: len(row["partitions"]) for row in described}


def _refuse_differences(
    topics: Sequence[Topic], existing: Mapping[str, int], partitions: int | None
) -> None:
    for topic in topics:
        wanted = partitions or topic.partitions
        if existing.get(topic.name, wanted) != wanted:
            raise ConfigurationFault(
                f"topic {topic.name} has {existing[topic.name]} partitions instead of {wanted}: "
                "keys would move; use another broker, or delete the topic with all it holds"
            )


def _new_topic(topic: Topic, partitions: int | None, replicas: int) -> NewTopic:
    return NewTopic(
        name=topic.name,
        num_partitions=partitions or topic.partitions,
        replication_factor=replicas,
        topic_configs=topic.config,
    )


async def _until_led(bootstrap: str, rows: Sequence[NewTopic], options: Mapping[str, Any]) -> None:
    """Return when every new partition has a leader that answers, so that no client must retry."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        request_timeout_ms=_TIMEOUT_MS,
        retry_backoff_ms=LOOK_UP_MS,
        **options,
    )
    await consumer.start()
    try:
        await consumer.end_offsets(
            [
                TopicPartition(row.name, number)
                for row in rows
                for number in range(row.num_partitions)
            ]
        )
    finally:
        await consumer.stop()


def _raise_errors(errors: list[tuple[str, int, str | None]]) -> None:
    for name, code, message in errors:
        error = for_code(code)
        if not code or error is TopicAlreadyExistsError:
            continue
        if error.retriable:
            raise error(f"topic {name}: {message}")
        raise ConfigurationFault(f"topic {name}: {message or error.__name__}")
