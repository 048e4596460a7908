"""The whole Kafka log as plain records, each topic from its first event to its end.

Reading joins no consumer group and commits nothing, so watching never disturbs who works. A record
keeps its bytes: what is judged later is what was published, not what a codec made of it.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from coterie_contracts.topics import TOPICS
from coterie_replay.brokers.processes import LocalFault

__all__ = ["LogReader", "Record", "dump", "load", "read_kafka"]

T = TypeVar("T")
_NAMES: Final = frozenset(topic.name for topic in TOPICS)
_POLL_MS: Final = 200


@dataclass(frozen=True, slots=True)
class Record:
    """A Kafka record; `timestamp` is the broker's, in milliseconds. A null value is a tombstone."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    value: bytes | None

    def header(self, name: str) -> str | None:
        """The header as text; None where it is missing, null or not UTF-8."""
        value = dict(self.headers).get(name)
        return None if value is None else value.decode(errors="ignore")


class LogReader:
    """Every record of every topic of ours on one cluster.

    `beginnings` holds the first offset that each partition still has. A topic that nobody has used
    yet is not there on a broker that creates topics on demand; one that appears is followed.
    """

    def __init__(self, bootstrap: str) -> None:
        self.beginnings: dict[tuple[str, int], int] = {}
        self._bootstrap = bootstrap
        self._positions: dict[TopicPartition, int] = {}

    async def __aenter__(self) -> Self:
        self._admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=20,
        )
        try:
            await self._admin.start()
            await self._consumer.start()
        except BaseException:
            await self._consumer.stop()
            await self._admin.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._consumer.stop()
        await self._admin.close()

    async def records(
        self,
        follow_until: Callable[[], Awaitable[bool]] | None = None,
        *,
        settle_s: float = 1.0,
    ) -> AsyncIterator[Record]:
        """Records in each partition's order, up to the end offsets of this moment.

        With `follow_until`, which is asked between reads and must not block, reading goes on until
        it says true and then until no end offset has moved for `settle_s` seconds. Raises
        aiokafka's `KafkaError` where the cluster cannot be reached.
        """
        ends = await self._ends()
        while True:
            async for record in self._up_to(ends):
                yield record
            if follow_until is None:
                return
            finished = await follow_until()
            await asyncio.sleep(settle_s if finished else _POLL_MS / 1000)
            later = await self._ends()
            if finished and later == ends:
                return
            ends = later

    async def _up_to(self, ends: dict[TopicPartition, int]) -> AsyncIterator[Record]:
        while behind := [tp for tp, end in ends.items() if self._positions[tp] < end]:
            batches = await self._consumer.getmany(timeout_ms=_POLL_MS)
            if not batches:
                for partition in behind:  # passes offsets that compaction left empty
                    self._positions[partition] = await self._consumer.position(partition)
            for partition, messages in batches.items():
                for message in messages:
                    self._positions[partition] = message.offset + 1
                    yield Record(
                        message.topic,
                        message.partition,
                        message.offset,
                        message.timestamp,
                        message.key,
                        tuple((name, value) for name, value in message.headers),
                        message.value,
                    )

    async def _ends(self) -> dict[TopicPartition, int]:
        await self._assign_new_partitions()
        if not self._positions:
            return {}
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets(list(self._positions))
        return ends

    async def _assign_new_partitions(self) -> None:
        described = await self._admin.describe_topics()
        new = [
            TopicPartition(topic["topic"], partition["partition"])
            for topic in described
            if topic["topic"] in _NAMES
            for partition in topic["partitions"]
            if TopicPartition(topic["topic"], partition["partition"]) not in self._positions
        ]
        if not new:
            return
        self._consumer.assign([*self._positions, *new])
        begins = await self._consumer.beginning_offsets(new)
        for partition, offset in begins.items():
            self.beginnings[partition.topic, partition.partition] = offset
            self._positions[partition] = offset
        for partition, offset in self._positions.items():
            self._consumer.seek(partition, offset)


def read_kafka(bootstrap: str, read: Callable[[str], Coroutine[Any, Any, T]]) -> T:
    """What `read` makes of the log at `bootstrap`; raises `LocalFault` where no Kafka answers."""
    try:
        return asyncio.run(read(bootstrap))
    except (KafkaError, OSError) as error:
        raise LocalFault(
            f"no Kafka answers at {bootstrap} ({type(error).__name__}): is the platform up?"
        ) from None


def dump(records: Iterable[Record], path: Path) -> None:
    """Write a log as JSON Lines, one record a line, bytes in base64."""
    with path.open("w") as lines:
        for record in records:
            lines.write(json.dumps(_to_json(record), separators=(",", ":")) + "\n")


def load(path: Path) -> Iterator[Record]:
    """Read what `dump` wrote. Raises `ValueError` naming the line that is not a record."""
    with path.open() as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield _from_json(json.loads(line))
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {number}: not a record ({error})") from None


def _to_json(record: Record) -> dict[str, Any]:
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": _text(record.key),
        "headers": [[name, _text(value)] for name, value in record.headers],
        "value": _text(record.value),
    }


def _from_json(line: dict[str, Any]) -> Record:
    return Record(
        str(line["topic"]),
        int(line["partition"]),
        int(line["offset"]),
        int(line["timestamp"]),
        _bytes(line["key"]),
        tuple((str(name), _bytes(value)) for name, value in line["headers"]),
        _bytes(line["value"]),
    )


def _text(value: bytes | None) -> str | None:
    return None if value is None else b64encode(value).decode()


def _bytes(value: str | None) -> bytes | None:
    return None if value is None else b64decode(value, validate=True)
