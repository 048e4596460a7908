"""Records that a storm puts into topics: copies of what was told, and what nobody can read."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID, uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from coterie_contracts.topics import TOPICS, Lane
from coterie_local.audit.facts import COMPACTED
from coterie_local.log import Record

__all__ = ["Injected", "copy_some", "forget_offsets", "put_poison", "put_unknown_version"]

Header = tuple[str, bytes]
Place = tuple[str, int, int]
"""Topic, partition and offset."""

_LEAVES_S: Final = 15.0
"""Longer than the session of a member that did not say goodbye."""
_FOREIGN: Final[tuple[Header, ...]] = (
    ("content-type", b"application/json"),
    ("ce_specversion", b"1.0"),
    ("ce_source", b"someone/else"),
    ("ce_type", b"somebody.else.happened.v1"),
)
_NOT_TEXT: Final[tuple[Header, ...]] = (("ce_id", b"\xff\xfe\x00"), ("ce_source", b"else/\xff"))
_UNKNOWN: Final[tuple[Header, ...]] = (
    ("content-type", b"application/json"),
    ("ce_specversion", b"1.0"),
    ("ce_source", b"someone/else"),
    ("ce_type", b"coterie.feedback.submitted.v99"),
)
_POISON: Final[tuple[tuple[bytes | None, tuple[Header, ...]], ...]] = (
    (b'{"hello": "there"}', _FOREIGN),
    (b"not even JSON", ()),
    (None, ()),
    (b"{}", _NOT_TEXT),
    (b"{}", _UNKNOWN),
    (b'{"much": "' + b"x" * 950_000 + b'"}', _FOREIGN),
)
_POISONED: Final = ("feedback.submitted", "member.admitted", "contribution.rated")


@dataclass
class Injected:
    """What a storm has put into the log: places of what cannot be read, ids of what is a copy."""

    poison: set[Place] = field(default_factory=set)
    copies: list[UUID] = field(default_factory=list)
    told_again: bool = False


async def put_poison(bootstrap: str, injected: Injected) -> None:
    """Every kind of unreadable record, in topics that between them reach all consumers."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        for topic in _POISONED:
            for value, headers in _POISON:
                key = str(uuid4()).encode()
                sent = await producer.send_and_wait(topic, value, key=key, headers=list(headers))
                injected.poison.add((topic, sent.partition, sent.offset))


async def put_unknown_version(
    bootstrap: str, topic: str, subject: UUID, injected: Injected
) -> Place:
    """A record that belongs to `subject` for certain, and whose version nobody knows yet."""
    headers: list[Header] = [
        ("content-type", b"application/json"),
        ("ce_specversion", b"1.0"),
        ("ce_id", str(uuid4()).encode()),
        ("ce_source", b"coterie/feedback"),
        ("ce_type", f"coterie.{topic}.v99".encode()),
        ("ce_subject", str(subject).encode()),
    ]
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        sent = await producer.send_and_wait(
            topic, b"{}", key=str(subject).encode(), headers=headers
        )
    place = (topic, int(sent.partition), int(sent.offset))
    injected.poison.add(place)
    return place


async def copy_some(
    bootstrap: str, records: Sequence[Record], choice: random.Random, injected: Injected
) -> None:
    """Tell some events again, and not in their order, each on its own partition."""
    known = [
        record
        for record in records
        if record.topic not in COMPACTED
        and (record.topic, record.partition, record.offset) not in injected.poison
    ]
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        for record in choice.sample(known, min(80, len(known))):
            await producer.send_and_wait(
                record.topic,
                record.value,
                key=record.key,
                partition=record.partition,
                headers=list(record.headers),
            )
            injected.copies.append(UUID(record.header("ce_id")))


async def forget_offsets(bootstrap: str, service: str, partitions: int) -> None:
    """Set a service's groups, which have no members now, back to the beginning of all topics."""
    for lane in Lane:
        names = [t.name for t in TOPICS if service in t.consumers and t.lane is lane]
        if not names:
            continue
        consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=f"coterie.{service}.{lane}",
            enable_auto_commit=False,
        )
        places = [TopicPartition(name, n) for name in names for n in range(partitions)]
        consumer.assign(places)
        await consumer.start()
        try:
            await _once_empty(lambda: consumer.commit(dict.fromkeys(places, 0)))  # noqa: B023 - awaited in this turn
        finally:
            await consumer.stop()


async def _once_empty(commit: Callable[[], Awaitable[None]]) -> None:
    """Commit as soon as the last member has left the group."""
    deadline = time.monotonic() + _LEAVES_S
    while True:
        try:
            return await commit()
        except KafkaError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
