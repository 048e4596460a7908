"""The log of a cluster as one stream of records, oldest first, in bounded memory.

Kafka orders records within a partition and no further. The stream keeps that order and takes, of
all partitions, the record that came first by its timestamp, then by its event's `recordedtime`,
which is finer: so a cause stands before its effects wherever the clocks of their writers agree.
Reading joins no consumer group and commits nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from types import TracebackType
from typing import Any, Final, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from coterie_contracts.member import MemberContact
from coterie_contracts.topics import TOPICS
from coterie_replay.cluster import TEST_CLUSTER, Cluster, connected
from coterie_replay.connection import client_options
from coterie_replay.faults import ReplayFault
from coterie_replay.record import Record

__all__ = ["TAPED_TOPICS", "Log"]

TAPED_TOPICS: Final = frozenset(t.name for t in TOPICS) - {MemberContact.topic}
_FETCH_BYTES: Final = 256 * 1024  # of each partition; what memory is bounded by
_POLL_MS: Final = 200
_PAUSE_S: Final = 0.2
_LONG_POLL_MS: Final = 20


@dataclass(slots=True)
class _Partition:
    """`position` is the offset after what was fetched."""

    position: int
    end: int = 0
    fetched: deque[Record] = field(default_factory=deque)


class Log:
    """Records of `topics` on the cluster at `bootstrap`, from their first offsets.

    `prefix` stands before every topic's name there and not in the records. `topics` of None are all
    but Kafka's own. Those that are not there are missing without an error, and followed once they
    appear; contact data is never read. Errors of Kafka's come as `ReplayFault`.
    """

    def __init__(
        self, bootstrap: str, topics: Collection[str] | None = TAPED_TOPICS, *, prefix: str = ""
    ) -> None:
        self._bootstrap = bootstrap
        self._topics = None if topics is None else frozenset(topics)
        self._prefix = prefix
        self._known: dict[TopicPartition, _Partition] = {}
        self.read = 0

    @property
    def partitions(self) -> dict[str, int]:
        """How many partitions each topic has of which there is something to read."""
        counts: dict[str, int] = {}
        for place in self._known:
            name = self._plain(place.topic)
            counts[name] = counts.get(name, 0) + 1
        return dict(sorted(counts.items()))

    @property
    def total(self) -> int:
        """How many offsets there were to read when the ends were last looked up."""
        return self.read + sum(
            max(known.end - known.position, 0) + len(known.fetched)
            for known in self._known.values()
        )

    async def __aenter__(self) -> Self:
        self._connection = connected(self._bootstrap)
        self._cluster: Cluster = await self._connection.__aenter__()
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=_LONG_POLL_MS,
            max_partition_fetch_bytes=_FETCH_BYTES,
            retry_backoff_ms=_LONG_POLL_MS,
            **client_options(),
        )
        try:
            await self._consumer.start()
            await asyncio.sleep(0)  # stopped before its task has begun, it raises CancelledError
            await self._look()
        except BaseException as error:
            await self.__aexit__(type(error), error, None)
            if isinstance(error, KafkaError):
                raise ReplayFault(
                    f"Kafka at {self._bootstrap} cannot be read ({type(error).__name__}): may this "
                    "principal read and describe the topics?"
                ) from None
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._consumer.stop()
        await self._connection.__aexit__(None, None, None)

    async def records(
        self,
        *,
        follow: bool = False,
        idle: Callable[[], None] | None = None,
        pause_s: float = _PAUSE_S,
    ) -> AsyncGenerator[Record]:
        """Records up to the end offsets of this moment; with `follow` for ever.

        `idle` is called whenever all that is there was read; `pause_s` seconds later the ends
        are looked up again.
        """
        try:
            while True:
                async for record in self._merged():
                    self.read += 1
                    yield record
                if not follow:
                    return
                if idle is not None:
                    idle()
                await asyncio.sleep(pause_s)
                await self._look()
        except (KafkaError, OSError) as error:
            raise ReplayFault(
                f"Kafka at {self._bootstrap} stopped answering ({type(error).__name__})"
            ) from None

    async def _merged(self) -> AsyncGenerator[Record]:
        await self._fetch_heads()
        heads = [_head(place, known) for place, known in self._known.items() if known.fetched]
        heapify(heads)
        while heads:
            _, _, place = heappop(heads)
            known = self._known[place]
            yield known.fetched.popleft()
            if not known.fetched and known.position < known.end:
                await self._fetch_heads()
            if known.fetched:
                heappush(heads, _head(place, known))

    async def _fetch_heads(self) -> None:
        """Have a record of every partition that is not at its end."""
        while behind := [
            place
            for place, known in self._known.items()
            if not known.fetched and known.position < known.end
        ]:
            batches = await self._consumer.getmany(*behind, timeout_ms=_POLL_MS)
            for place in behind:
                known = self._known[place]
                if place in batches:
                    records = [r for r in batches[place] if r.offset < known.end]
                    known.fetched.extend(self._record(raw) for raw in records)
                    known.position = min(batches[place][-1].offset + 1, known.end)
                elif not batches:  # offsets that compaction or transactions left empty
                    known.position = await self._consumer.position(place)
                if known.position >= known.end:
                    self._consumer.pause(place)

    async def _look(self) -> None:
        """Find new partitions and the present ends of all of them."""
        counts = await self._cluster.partitions()
        new = [
            TopicPartition(topic, number)
            for topic, count in counts.items()
            if topic.startswith(self._prefix) and self._wants(self._plain(topic))
            for number in range(count)
            if TopicPartition(topic, number) not in self._known
        ]
        if new:
            self._consumer.assign([*self._known, *new])
            for place, offset in (await self._consumer.beginning_offsets(new)).items():
                self._known[place] = _Partition(offset)
        if not self._known:
            return
        for place, end in (await self._consumer.end_offsets(list(self._known))).items():
            known = self._known[place]
            known.end = end
            self._consumer.seek(place, known.position)
            (self._consumer.resume if known.position < end else self._consumer.pause)(place)

    def _wants(self, topic: str) -> bool:
        wanted = not topic.startswith("_") if self._topics is None else topic in self._topics
        return wanted and topic not in {MemberContact.topic, TEST_CLUSTER}

    def _plain(self, topic: str) -> str:
        return topic.removeprefix(self._prefix)

    def _record(self, raw: Any) -> Record:
        return Record(
            topic=self._plain(raw.topic),
            partition=raw.partition,
            offset=raw.offset,
            timestamp=raw.timestamp,
            key=raw.key,
            headers=tuple((name, value) for name, value in raw.headers),
            value=raw.value,
        )


def _head(place: TopicPartition, known: _Partition) -> tuple[int, str, TopicPartition]:
    first = known.fetched[0]
    return first.timestamp, first.header("ce_recordedtime") or "", place
