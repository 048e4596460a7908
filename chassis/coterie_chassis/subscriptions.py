"""The lanes of a service on Kafka, through FastStream's broker.

Raw records come in (parser and decoder never raise), so one bad record cannot cost its batch.
A failed batch is sought back and redelivered after a pause. Offsets are named one by one and
committed after the database's commit; before partitions are given away, and before the end, the
transaction under way and its offsets are finished.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaAckableMessage, KafkaMessage
from faststream.message import AckStatus

from coterie_chassis import connections, telemetry
from coterie_chassis.consumer import LaneConsumer
from coterie_chassis.deadletter import Record
from coterie_chassis.errors import (
    HaltedConsumer,
    MissingTopics,
    is_transient,
    no_stray_cancellation,
)
from coterie_chassis.telemetry import Telemetry

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, ConsumerRecord

    from coterie_chassis.settings import ChassisSettings
    from coterie_contracts.topics import Lane

__all__ = ["LaneLoop", "Subscriptions", "group_of"]

_log = logging.getLogger(__name__)
_BATCHES_AT_ONCE: Final = 4  # more, so that one is decoded while another is applied
_POLL_WITHIN_S: Final = 10.0
_TARGET_S: Final = 0.25
_SMALLEST: Final = 1
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0
_DRAIN_S: Final = 5.0
_AFTER_DRAIN_S: Final = 2.0
_SAY_HALTED_EVERY_S: Final = 60.0
_NOTICE_NEW_TOPICS_MS: Final = 30_000

Offsets = dict[TopicPartition, int]
Commit = Callable[[Offsets], Awaitable[None]]


def group_of(settings: ChassisSettings, service: str, lane: Lane) -> str:
    """The consumer group of a lane, the same for all instances of a service."""
    return f"{settings.kafka_group_prefix}.{service}.{lane}"


class LaneLoop:
    """One lane's loop: cuts batches so that a transaction lasts about 250 ms at most."""

    def __init__(self, service: str, consumer: LaneConsumer, settings: ChassisSettings) -> None:
        self.consumer = consumer
        self.group = group_of(settings, service, consumer.lane)
        self.since = datetime.now(UTC)
        self.last_progress = time.monotonic()
        self.halted: str | None = None
        self.kafka: AIOKafkaConsumer | None = None
        self._telemetry = Telemetry(service)
        self._largest = settings.batch_size
        self._size = min(100, settings.batch_size)
        self._pause = _FIRST_PAUSE_S
        self._said_halted_at = 0.0
        self._next: Offsets = {}
        self._draining = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    async def take(self, records: Sequence[Record], commit: Commit) -> Sequence[Record]:
        """Apply a delivered batch and commit its offsets; returns those that must come again.

        Pauses first where that helps. Raises nothing but a cancellation.
        """
        if self._draining.is_set():
            await asyncio.sleep(_FIRST_PAUSE_S)
            return records
        for partition, offset in _first_of(records).items():
            self._next.setdefault(partition, offset)
        self._idle.clear()
        try:
            return await self._apply_all(records, commit)
        finally:
            self._idle.set()

    async def drain(self, within_s: float = _DRAIN_S) -> None:
        """Stop after the transaction under way; returns when its offsets are committed."""
        self._draining.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), within_s)

    def assigned(self) -> None:
        """A new assignment begins at what is committed."""
        self._next.clear()
        self._draining.clear()

    def polled(self) -> None:
        """A poll that succeeded is the loop's sign of life, also when it found nothing."""
        self.last_progress = time.monotonic()

    async def log_ends(self) -> Offsets:
        """Where the lane's topics end now, the partitions of other instances included.

        Raises `KafkaError`, or waits, while the broker is away.
        """
        kafka = self._connected()
        ends: Offsets = await kafka.end_offsets(
            [
                TopicPartition(topic, number)
                for topic in self.consumer.topics
                for number in kafka.partitions_for_topic(topic) or ()
            ]
        )
        return ends

    async def has_applied(self, ends: Offsets) -> bool:
        """Whether this instance or another of its group has applied everything before `ends`.

        A halted lane has as much as it will have. Raises as `log_ends` does.
        """
        if self.halted is not None:
            return True
        kafka = self._connected()
        mine = kafka.assignment()
        behind = [
            place
            for place, end in ends.items()
            if end > (self._next.get(place, 0) if place in mine else 0)
        ]
        committed = await kafka._coordinator.fetch_committed_offsets(behind)
        behind = [p for p in behind if p not in committed or committed[p].offset < ends[p]]
        if not behind:
            return True
        starts: Offsets = await kafka.beginning_offsets(behind)
        return all(starts[place] >= ends[place] for place in behind)

    def _connected(self) -> AIOKafkaConsumer:
        if self.kafka is None:
            raise ConnectionError(f"{self.group} is not connected")
        return self.kafka

    def records_behind(self) -> int:
        """Records of the assigned partitions that are not applied, as far as the broker told."""
        if self.kafka is None:
            return 0
        assigned = self.kafka.assignment()
        known = {tp: offset for tp, offset in self._next.items() if tp in assigned}
        return sum(max((self.kafka.highwater(tp) or 0) - known[tp], 0) for tp in known)

    async def _apply_all(self, records: Sequence[Record], commit: Commit) -> Sequence[Record]:
        done, failure, began = 0, None, time.monotonic()
        piece = records[: self._size]
        while piece and self._goes_on(done, began):
            end = done + len(piece)
            following = records[end : end + self._size]
            try:
                with no_stray_cancellation(self.group):
                    await self._apply(piece, following)
            except Exception as error:  # noqa: BLE001 - whatever it was, the records come again
                failure = error
                break
            done, piece = end, following
            if len(piece) > self._size:
                piece = piece[: self._size]
        if done:
            await commit(_next_after(records[:done]))
        if failure is not None:
            await self._wait_after(failure)
        else:
            self._pause = _FIRST_PAUSE_S
            self.halted = None
        return records[done:]

    def _goes_on(self, done: int, began: float) -> bool:
        """Whether to begin another piece: the broker takes a slow lane that polls late for dead."""
        is_late = done >= self._largest and time.monotonic() - began > _POLL_WITHIN_S
        return not is_late and not self._draining.is_set()

    async def _apply(self, piece: Sequence[Record], following: Sequence[Record]) -> None:
        began = time.monotonic()
        await self.consumer.apply(piece, following)
        self.last_progress = time.monotonic()
        self._next |= _next_after(piece)
        took = self.last_progress - began
        if took > _TARGET_S:
            self._size = max(_SMALLEST, self._size // 2)
        elif took < _TARGET_S / 2 and len(piece) == self._size:
            self._size = min(self._largest, self._size * 2)

    async def _wait_after(self, error: Exception) -> None:
        self._telemetry.record(telemetry.CONSUMER_REDELIVERIES, 1, lane=self.consumer.lane.value)
        self.last_progress = time.monotonic()
        if isinstance(error, HaltedConsumer):
            self._say_halted(error)
            self._pause = _LONGEST_PAUSE_S
        else:
            level = logging.WARNING if is_transient(error) else logging.ERROR
            _log.log(level, "batch comes again", exc_info=error, extra={"lane": self.group})
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._draining.wait(), self._pause)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE_S)

    def _say_halted(self, error: HaltedConsumer) -> None:
        now = time.monotonic()
        if self.halted is None or now - self._said_halted_at > _SAY_HALTED_EVERY_S:
            self._said_halted_at = now
            _log.error("consumer halted: %s", error, extra={"lane": self.group})
        self.halted = str(error)


class Subscriptions:
    """All lanes of a service, each a consumer group of its own."""

    def __init__(
        self, service: str, consumers: Sequence[LaneConsumer], settings: ChassisSettings
    ) -> None:
        self.lanes = [LaneLoop(service, consumer, settings) for consumer in consumers]
        self._settings = settings
        self.broker = KafkaBroker(
            settings.kafka_bootstrap,
            client_id=f"coterie-{service}",
            graceful_timeout=_AFTER_DRAIN_S,
            allow_auto_create_topics=False,
            metadata_max_age_ms=_NOTICE_NEW_TOPICS_MS,
            apply_types=False,
            logger=None,
            security=connections.kafka_security(settings),
        )
        # The broker's own collection of them has no order.
        self._subscribers = [(lane, self._subscribe(lane)) for lane in self.lanes]

    async def start(self) -> None:
        """Connect and begin. Raises at once where Kafka does not answer or topics are missing."""
        await self._check_topics()
        await self.broker.start()
        for lane, subscriber in self._subscribers:
            _beat_on_every_poll(lane, subscriber)

    async def stop(self) -> None:
        """Stop reading, finish the transaction under way and the commit of its offsets."""
        await asyncio.gather(*(lane.drain(self._settings.shutdown_grace_s) for lane in self.lanes))
        await self.broker.stop()

    async def ping(self) -> bool:
        """Whether Kafka answers."""
        return await self.broker.ping(timeout=2.0)

    def stuck_for(self) -> float:
        """Seconds since the least lively lane's loop last did anything."""
        now = time.monotonic()
        return max((now - lane.last_progress for lane in self.lanes), default=0.0)

    async def log_ends(self) -> list[Offsets]:
        """Where the topics of each lane end now. Raises `KafkaError` or waits without a broker."""
        return [await lane.log_ends() for lane in self.lanes]

    async def have_applied(self, ends: Sequence[Offsets]) -> bool:
        """Whether every lane's group, whatever instance, has applied all before these `ends`."""
        for lane, of_lane in zip(self.lanes, ends, strict=True):
            if not await lane.has_applied(of_lane):
                return False
        return True

    async def _check_topics(self) -> None:
        """aiokafka would wait 40 s for each topic that is not there, and not name it."""
        there = (await connections.kafka_metadata(self._settings)).topics()
        wanted = {topic for lane in self.lanes for topic in lane.consumer.topics}
        if missing := sorted(wanted - there):
            raise MissingTopics(f"topics that the broker does not have yet: {', '.join(missing)}")

    def _subscribe(self, lane: LaneLoop) -> Any:
        settings = self._settings

        async def parse(message: Any) -> KafkaMessage:
            return _Batch(
                body=b"",
                raw_message=message,
                headers={},
                message_id=f"{message[0].offset}",
                consumer=subscriber.consumer,
            )

        async def decode(message: KafkaMessage) -> tuple[ConsumerRecord[Any, Any], ...]:
            return message.raw_message

        async def commit(offsets: Offsets) -> None:
            try:
                await subscriber.consumer.commit(offsets)
            except KafkaError as error:
                _log.warning(
                    "offsets are not committed, their records will come again: %s",
                    error,
                    extra={"lane": lane.group},
                )

        subscriber: Any = self.broker.subscriber(
            *lane.consumer.topics,
            batch=True,
            group_id=lane.group,
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.NACK_ON_ERROR,
            max_records=settings.batch_size * _BATCHES_AT_ONCE,
            batch_timeout_ms=settings.batch_wait_ms,
            fetch_max_wait_ms=settings.kafka_fetch_max_wait_ms,
            session_timeout_ms=settings.kafka_session_timeout_ms,
            heartbeat_interval_ms=settings.kafka_session_timeout_ms // 4,
            listener=_DrainBeforeRevoke(lane),
            parser=parse,
            decoder=decode,
            no_reply=True,
        )

        @subscriber  # type: ignore[untyped-decorator]
        async def consume(records: tuple[ConsumerRecord[Any, Any], ...]) -> None:
            rest = await lane.take([_record(raw) for raw in records], commit)
            _seek(subscriber.consumer, _first_of(rest))

        return subscriber


class _Batch(KafkaAckableMessage):
    """A delivered batch, whose lane commits its offsets itself."""

    async def ack(self) -> None:
        self.committed = AckStatus.ACKED

    async def nack(self) -> None:
        """Whatever went wrong outside of the lane: all of it comes again."""
        records = [_record(raw) for raw in self.raw_message]
        _seek(self.consumer, _first_of(records))
        self.committed = AckStatus.NACKED


class _DrainBeforeRevoke(ConsumerRebalanceListener):  # type: ignore[misc]
    """The next owner of a partition begins behind what this one has committed."""

    def __init__(self, lane: LaneLoop) -> None:
        self._lane = lane

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        await self._lane.drain()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._lane.assigned()


def _beat_on_every_poll(lane: LaneLoop, subscriber: Any) -> None:
    """Have the lane hear of each poll that succeeds.

    FastStream's own ping stays true after its loop or aiokafka's coordinator has ended; the first
    polls no more, the second fails every poll. It is given no empty poll, for it would sleep after
    one, and whatever came meanwhile with it.
    """
    lane.kafka = subscriber.consumer
    poll = subscriber.consumer.getmany

    async def getmany(*arguments: Any, **options: Any) -> Any:
        while True:
            polled = await poll(*arguments, **options)
            lane.polled()
            if polled:
                return polled

    subscriber.consumer.getmany = getmany


def _seek(kafka: AIOKafkaConsumer, offsets: Offsets) -> None:
    """Rewind partitions; one that was given away meanwhile is its new owner's."""
    assigned = kafka.assignment()
    for partition, offset in offsets.items():
        if partition in assigned:
            kafka.seek(partition, offset)


def _first_of(records: Sequence[Record]) -> Offsets:
    offsets: Offsets = {}
    for record in records:
        offsets.setdefault(TopicPartition(record.topic, record.partition), record.offset)
    return offsets


def _next_after(records: Sequence[Record]) -> Offsets:
    return {TopicPartition(r.topic, r.partition): r.offset + 1 for r in records}


def _record(raw: ConsumerRecord[Any, Any]) -> Record:
    return Record(raw.topic, raw.partition, raw.offset, raw.key, raw.headers, raw.value)
