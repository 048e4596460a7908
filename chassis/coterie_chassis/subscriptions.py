"""The lanes of a service on Kafka, through FastStream's broker.

Raw records come in (parser and decoder never raise), so one bad record cannot cost its batch.
A failed batch is sought back and redelivered after a pause; a stray `CancelledError` is turned
into an ordinary failure, because it would end FastStream's loop for good.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaAckableMessage, KafkaMessage

from coterie_chassis.consumer import LaneConsumer
from coterie_chassis.deadletter import Record
from coterie_chassis.errors import HaltedConsumer, is_transient

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

    from coterie_chassis.settings import ChassisSettings

__all__ = ["Subscriptions"]

_log = logging.getLogger(__name__)
_TARGET_S: Final = 0.25
_SMALLEST: Final = 1
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0


class Redeliver(Exception):
    """The batch could not be applied now; its offsets stay where they are."""


class _Lane:
    """One lane's loop: cuts batches so that a transaction lasts about 250 ms at most."""

    def __init__(self, service: str, consumer: LaneConsumer, settings: ChassisSettings) -> None:
        self.consumer = consumer
        self.group = f"{settings.kafka_group_prefix}.{service}.{consumer.lane}"
        self.last_progress = time.monotonic()
        self.halted: str | None = None
        self._largest = settings.batch_size
        self._size = min(100, settings.batch_size)
        self._pause = _FIRST_PAUSE_S

    async def take(self, records: Sequence[Record]) -> None:
        """Apply a delivered batch. Raises `Redeliver` after a pause when it must come again."""
        try:
            start = 0
            while start < len(records):
                piece = records[start : start + self._size]
                await self._apply(piece)
                start += len(piece)
            self._pause = _FIRST_PAUSE_S
            self.halted = None
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            raise Redeliver("a handler leaked a cancellation") from None
        except Exception as error:
            await self._wait_after(error)
            raise Redeliver(str(error)) from error

    async def _apply(self, piece: Sequence[Record]) -> None:
        began = time.monotonic()
        await self.consumer.apply(piece)
        self.last_progress = time.monotonic()
        took = self.last_progress - began
        if took > _TARGET_S:
            self._size = max(_SMALLEST, self._size // 2)
        elif took < _TARGET_S / 2 and len(piece) == self._size:
            self._size = min(self._largest, self._size * 2)

    async def _wait_after(self, error: Exception) -> None:
        if isinstance(error, HaltedConsumer):
            self.halted = str(error)
            self._pause = _LONGEST_PAUSE_S
        level = logging.WARNING if is_transient(error) else logging.ERROR
        _log.log(level, "batch will be redelivered", exc_info=error, extra={"lane": self.group})
        self.last_progress = time.monotonic()
        await asyncio.sleep(self._pause)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE_S)


class Subscriptions:
    """All lanes of a service, each a consumer group of its own."""

    def __init__(
        self, service: str, consumers: Sequence[LaneConsumer], settings: ChassisSettings
    ) -> None:
        self.lanes = [_Lane(service, consumer, settings) for consumer in consumers]
        self._settings = settings
        self.broker = KafkaBroker(
            settings.kafka_bootstrap,
            client_id=f"coterie-{service}",
            graceful_timeout=settings.shutdown_grace_s,
            allow_auto_create_topics=False,
            apply_types=False,
            logger=None,
        )
        for lane in self.lanes:
            self._subscribe(lane)

    async def start(self) -> None:
        """Connect and begin; raises at once where Kafka does not answer."""
        await self.broker.start()
        for lane, subscriber in zip(self.lanes, self.broker.subscribers, strict=True):
            _beat_on_every_poll(lane, subscriber)

    async def stop(self) -> None:
        """Stop reading, finish the batch under way and its commit."""
        await self.broker.stop()

    async def ping(self) -> bool:
        """Whether Kafka answers."""
        return await self.broker.ping(timeout=2.0)

    def stuck_for(self) -> float:
        """Seconds since the least lively lane's loop last did anything."""
        now = time.monotonic()
        return max((now - lane.last_progress for lane in self.lanes), default=0.0)

    def _subscribe(self, lane: _Lane) -> None:
        settings = self._settings

        async def parse(message: Any) -> KafkaMessage:
            return KafkaAckableMessage(
                body=b"",
                raw_message=message,
                headers={},
                message_id=f"{message[0].offset}",
                consumer=subscriber.consumer,
            )

        async def decode(message: KafkaMessage) -> tuple[ConsumerRecord[Any, Any], ...]:
            return message.raw_message

        subscriber: Any = self.broker.subscriber(
            *lane.consumer.topics,
            batch=True,
            group_id=lane.group,
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.NACK_ON_ERROR,
            max_records=settings.batch_size,
            batch_timeout_ms=settings.batch_wait_ms,
            fetch_max_wait_ms=settings.kafka_fetch_max_wait_ms,
            session_timeout_ms=settings.kafka_session_timeout_ms,
            heartbeat_interval_ms=settings.kafka_session_timeout_ms // 4,
            parser=parse,
            decoder=decode,
            no_reply=True,
        )

        @subscriber  # type: ignore[untyped-decorator]
        async def consume(records: tuple[ConsumerRecord[Any, Any], ...]) -> None:
            await lane.take([_record(raw) for raw in records])


def _beat_on_every_poll(lane: _Lane, subscriber: Any) -> None:
    """Polling is the loop's sign of life, also when there is nothing to consume.

    FastStream's own ping stays true after its loop has ended.
    """
    poll = subscriber.consumer.getmany

    async def getmany(*arguments: Any, **options: Any) -> Any:
        lane.last_progress = time.monotonic()
        return await poll(*arguments, **options)

    subscriber.consumer.getmany = getmany


def _record(raw: ConsumerRecord[Any, Any]) -> Record:
    return Record(raw.topic, raw.partition, raw.offset, raw.key, raw.headers, raw.value)
