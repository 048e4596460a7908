"""Reads two topics through FastStream so that no record is lost or counted twice.

Each setting here is there for a reason. `NACK_ON_ERROR`: every other policy commits a batch that
failed. `earliest`: the default is to skip what was there before. Parser and decoder hand the raw
records on and never raise, because FastStream would skip a whole batch for one bad header; each
record is decoded by itself below. Offsets are committed when `count` returns, after the store's
transaction: what is delivered again in between, the store knows.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from typing import TYPE_CHECKING, Any, Final

from aiokafka.client import AIOKafkaClient
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaAckableMessage, KafkaMessage

from coterie_contracts.envelope import Unreadable, decode
from coterie_contracts.feedback import FeedbackImplemented, FeedbackVerified
from insider_stats.store import Fact, SetAside, Store

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord, TopicPartition

__all__ = ["TOPICS", "MissingTopics", "Reader"]

TOPICS: Final = (FeedbackImplemented.topic, FeedbackVerified.topic)
_log = logging.getLogger("insider-stats")
_PAUSE_S: Final = 1.0
_LOOK_EVERY_S: Final = 0.1


class MissingTopics(LookupError):
    """The topics that the broker does not have; aiokafka would wait for them without a word."""


class Reader:
    """One consumer of the store's group."""

    def __init__(self, bootstrap: str, store: Store) -> None:
        self.broker = KafkaBroker(
            bootstrap,
            client_id="insider-stats",
            allow_auto_create_topics=False,
            apply_types=False,
            logger=None,
        )
        self._bootstrap = bootstrap
        self._store = store
        self._subscriber: Any = self.broker.subscriber(
            *TOPICS,
            batch=True,
            max_records=500,
            batch_timeout_ms=100,
            group_id=store.group_id(),
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.NACK_ON_ERROR,
            parser=self._parse,
            decoder=self._raw,
            no_reply=True,
        )
        self._subscriber(self._count)

    async def check(self) -> None:
        """Raise `KafkaConnectionError` or `MissingTopics` where there is nothing to read."""
        client = AIOKafkaClient(bootstrap_servers=self._bootstrap)
        try:
            await client.bootstrap()
            there = (await client.fetch_all_metadata()).topics()
        finally:
            await client.close()
        if missing := [topic for topic in TOPICS if topic not in there]:
            raise MissingTopics(", ".join(missing))

    async def caught_up(self) -> None:
        """Return once everything is counted that the log held when reading began."""
        ends: dict[TopicPartition, int] = {}
        while True:
            if (consumer := self._subscriber.consumer) is not None:
                ends = ends or await consumer.end_offsets(consumer.assignment())
                done = [await consumer.committed(place) or 0 for place in ends]
                if ends and all(map(int.__ge__, done, ends.values())):
                    return
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _count(self, records: tuple[ConsumerRecord[Any, Any], ...]) -> None:
        facts, unread = [], []
        for record in records:
            try:
                event = decode(record.topic, record.headers, record.value)
            except Unreadable as error:  # an unknown version is one: upgrade coterie-contracts
                unread.append(SetAside(record.topic, record.partition, record.offset, str(error)))
                _log.warning("set aside %s/%d/%d: %s", *unread[-1])
                continue
            if isinstance(event.data, FeedbackImplemented | FeedbackVerified):
                about = event.data.community_id, event.data.feedback_id
                facts.append(Fact(event.id, event.topic, *about))
        try:
            new = self._store.take(facts, unread)
        except sqlite3.Error as error:
            _log.error("%s; the batch comes again", error)
            await asyncio.sleep(_PAUSE_S)  # without it FastStream delivers again at once
            raise
        _log.info("%d records, %d new facts", len(records), new)

    async def _parse(self, message: tuple[ConsumerRecord[Any, Any], ...]) -> KafkaMessage:
        return KafkaAckableMessage(
            body=b"",
            raw_message=message,
            headers={},
            message_id=str(message[0].offset),
            consumer=self._subscriber.consumer,
        )

    async def _raw(self, message: KafkaMessage) -> Any:
        return message.raw_message
