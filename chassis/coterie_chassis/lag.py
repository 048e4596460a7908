"""How far consumer groups are behind their topics, whichever instance has which partition.

Kafka itself is asked, so any instance can tell of the whole group: one that serves commands alone,
and one whose group's other members have died. A look opens connections of its own and joins no
group, so it moves no partition.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

__all__ = ["Lag", "lags"]

_Offsets = dict[TopicPartition, int]
_REQUEST_MS: Final = 3_000
_READ_S: Final = 1.0
_POLL_MS: Final = 200
_FETCH_WAIT_MS: Final = 20
_FETCH_BYTES: Final = 4_096


@dataclass(frozen=True, slots=True)
class Lag:
    """Records that a group has not applied, and when the oldest of them was written.

    `oldest_at` is None at the end of the log, and where the record could not be read in time.
    """

    events: int
    oldest_at: datetime | None = None


async def lags(
    bootstrap: str, groups: Mapping[str, Collection[str]], **options: Any
) -> dict[str, Lag]:
    """The lag of each group on its topics; `options` are further ones of aiokafka's clients.

    Raises `KafkaError` or `OSError` without a broker.
    """
    topics = sorted({topic for of_group in groups.values() for topic in of_group})
    if not topics:
        return {group: Lag(0) for group in groups}
    admin = AIOKafkaAdminClient(
        bootstrap_servers=bootstrap, request_timeout_ms=_REQUEST_MS, **options
    )
    # Topics that it knows from the start cost one request in all; later ones cost one each.
    consumer = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=bootstrap,
        group_id=None,
        auto_offset_reset="latest",
        request_timeout_ms=_REQUEST_MS,
        fetch_max_wait_ms=_FETCH_WAIT_MS,
        max_partition_fetch_bytes=_FETCH_BYTES,
        **options,
    )
    try:
        await admin.start()
        await consumer.start()
        partitions = sorted(consumer.assignment())
        ends: _Offsets = await consumer.end_offsets(partitions)
        starts: _Offsets = await consumer.beginning_offsets(partitions)
        behind = {
            group: await _behind(admin, group, _of(of_group, ends), starts)
            for group, of_group in groups.items()
        }
        written = await _written(consumer, behind.values())
    finally:
        await consumer.stop()
        await admin.close()
    return {
        group: Lag(
            sum(ends[place] - at for place, at in places.items()),
            min((written[item] for item in places.items() if item in written), default=None),
        )
        for group, places in behind.items()
    }


def _of(topics: Collection[str], ends: _Offsets) -> _Offsets:
    return {place: end for place, end in ends.items() if place.topic in topics}


async def _behind(
    admin: AIOKafkaAdminClient, group: str, ends: _Offsets, starts: _Offsets
) -> _Offsets:
    """Where the group goes on, of each partition that holds something for it."""
    if not ends:
        return {}
    committed = await admin.list_consumer_group_offsets(group, partitions=list(ends))
    at = {place: max(committed[place].offset, starts[place]) for place in ends}
    return {place: offset for place, offset in at.items() if offset < ends[place]}


async def _written(
    consumer: AIOKafkaConsumer, behind: Iterable[_Offsets]
) -> dict[tuple[TopicPartition, int], datetime]:
    """When the record at each of these places was written, of those that can be read in time."""
    found: dict[tuple[TopicPartition, int], datetime] = {}
    with suppress(TimeoutError):
        async with asyncio.timeout(_READ_S):
            for places in behind:
                await _read_first(consumer, places, found)
    return found


async def _read_first(
    consumer: AIOKafkaConsumer,
    places: _Offsets,
    found: dict[tuple[TopicPartition, int], datetime],
) -> None:
    wanted = dict(places)
    for place, offset in wanted.items():
        consumer.seek(place, offset)
    while wanted:
        polled = await consumer.getmany(*wanted, timeout_ms=_POLL_MS)
        for place, records in polled.items():
            moment = datetime.fromtimestamp(records[0].timestamp / 1_000, UTC)
            found[place, wanted.pop(place)] = moment
