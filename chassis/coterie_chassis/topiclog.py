"""Topics as one log, from their first events, in the order in which events were recorded.

Kafka orders a partition and nothing else, so the heads of all partitions are merged by their
`recordedtime`. Reading joins no consumer group and commits nothing. Memory is bounded by what one
fetch brings for each partition.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import AsyncIterator, Collection, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from coterie_chassis import connections
from coterie_chassis.deadletter import Record
from coterie_chassis.errors import MissingTopics

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

    from coterie_chassis.settings import ChassisSettings

__all__ = ["Offsets", "TopicLog"]

Offsets = Mapping[TopicPartition, int]

_POLL_MS: Final = 200
_AHEAD: Final = 500
_PATIENCE_S: Final = 30.0
_UNTIMED: Final = datetime(1970, 1, 1, tzinfo=UTC)


class TopicLog:
    """The log of `topics`, to be entered before anything else.

    `beginnings` holds the first offset that each partition still has. Raises `MissingTopics`, or
    a `KafkaError` where the broker cannot be reached.
    """

    def __init__(self, settings: ChassisSettings, topics: Collection[str]) -> None:
        self.beginnings: Offsets = {}
        self._settings = settings
        self._topics = sorted(topics)
        self._buffers: dict[TopicPartition, deque[ConsumerRecord[bytes, bytes]]] = {}
        self._next: dict[TopicPartition, int] = {}
        self._fetched = 0
        self._consumer = self._new_consumer(None)

    async def __aenter__(self) -> Self:
        partitions = await self._partitions()
        await self._consumer.start()
        try:
            self._consumer.assign(partitions)
            self.beginnings = await self._consumer.beginning_offsets(partitions)
            self._next = dict(self.beginnings)
            self._buffers = {partition: deque() for partition in partitions}
            for partition, offset in self._next.items():
                self._consumer.seek(partition, offset)
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._consumer.stop()

    async def ends(self) -> Offsets:
        """The offset behind the last record of each partition, now."""
        ends: Offsets = await self._consumer.end_offsets(list(self._next))
        return ends

    async def committed(self, group: str, topics: Collection[str]) -> Offsets:
        """How far `group` is on its topics; a partition's beginning where it says nothing."""
        mine = [partition for partition in self._next if partition.topic in topics]
        consumer = self._new_consumer(group)
        await consumer.start()
        try:
            consumer.assign(mine)
            told = {partition: await consumer.committed(partition) for partition in mine}
        finally:
            await consumer.stop()
        return {
            partition: max(offset or 0, self.beginnings[partition])
            for partition, offset in told.items()
        }

    @property
    def passed_over(self) -> int:
        """How many offsets had no record any more: what compaction took."""
        reached = sum(offset - self.beginnings[place] for place, offset in self._next.items())
        return reached - self._fetched

    def behind(self, stops: Offsets) -> int:
        """How many offsets lie between what was handed out and `stops`."""
        return sum(max(stop - self._at(partition), 0) for partition, stop in stops.items())

    async def until(self, stops: Offsets, *, size: int = 1_000) -> AsyncIterator[list[Record]]:
        """What lies before `stops` and was not handed out yet, in batches of `size` at most."""
        wanted = {p: stop for p, stop in stops.items() if self._at(p) < stop}
        heads: list[tuple[datetime, TopicPartition]] = []
        await self._fill(wanted, wanted)
        for partition in wanted:
            self._push(heads, partition, wanted)
        batch: list[Record] = []
        while heads:
            _, partition = heapq.heappop(heads)
            batch.append(_record(self._buffers[partition].popleft()))
            if len(batch) == size:
                yield batch
                batch = []
            if not self._buffers[partition]:
                await self._fill([partition], wanted)
            self._push(heads, partition, wanted)
        if batch:
            yield batch

    def _at(self, partition: TopicPartition) -> int:
        buffered = self._buffers[partition]
        return buffered[0].offset if buffered else self._next[partition]

    def _push(
        self,
        heads: list[tuple[datetime, TopicPartition]],
        partition: TopicPartition,
        stops: Offsets,
    ) -> None:
        buffered = self._buffers[partition]
        if buffered and buffered[0].offset < stops[partition]:
            heapq.heappush(heads, (_recorded(buffered[0]), partition))

    async def _fill(self, partitions: Collection[TopicPartition], stops: Offsets) -> None:
        """Have something of each of `partitions` at hand, unless its stop is reached.

        What others have lying ready is taken along, so that a fetch serves all of them.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while empty := [p for p in partitions if self._lacks(p, stops, 0)]:
            short = [p for p in stops if self._lacks(p, stops, _AHEAD)]
            fetched = await self._consumer.getmany(*short, timeout_ms=_POLL_MS)
            for partition, records in fetched.items():
                self._buffers[partition].extend(records)
                self._next[partition] = records[-1].offset + 1
                self._fetched += len(records)
                deadline = time.monotonic() + _PATIENCE_S
            if not fetched:
                for partition in empty:  # passes offsets that compaction left empty
                    self._next[partition] = await self._consumer.position(partition)
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"Kafka gives no record of {empty[0].topic}, partition {empty[0].partition}, "
                    f"at offset {self._next[empty[0]]} in {_PATIENCE_S:.0f} s"
                )

    def _lacks(self, partition: TopicPartition, stops: Offsets, at_hand: int) -> bool:
        """Whether there is more to fetch and no more than `at_hand` records wait."""
        return len(self._buffers[partition]) <= at_hand and self._next[partition] < stops[partition]

    async def _partitions(self) -> list[TopicPartition]:
        metadata = await connections.kafka_metadata(self._settings)
        if missing := sorted(set(self._topics) - metadata.topics()):
            raise MissingTopics(f"topics that the broker does not have: {', '.join(missing)}")
        return [
            TopicPartition(topic, number)
            for topic in self._topics
            for number in sorted(metadata.partitions_for_topic(topic))
        ]

    def _new_consumer(self, group: str | None) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=self._settings.kafka_fetch_max_wait_ms,
            **connections.kafka_options(self._settings),
        )


def _recorded(raw: ConsumerRecord[bytes, bytes]) -> datetime:
    """When an event was recorded; of what is no event of ours, when the broker had it."""
    told = dict(raw.headers).get("ce_recordedtime")
    try:
        at = datetime.fromisoformat((told or b"").decode())
    except ValueError:
        return datetime.fromtimestamp(max(raw.timestamp, 0) / 1000, UTC)
    return at if at.tzinfo is not None else _UNTIMED


def _record(raw: ConsumerRecord[bytes, bytes]) -> Record:
    return Record(raw.topic, raw.partition, raw.offset, raw.key, raw.headers, raw.value)
