"""Sends records to a cluster again: the same ids, keys and order, marked as a replay.

The mark lets consumers rebuild state without repeating what had an effect outside. Only a cluster
that is marked as one for tests takes records without it. Records of a topic are sent in the order
of the tape by an idempotent producer; a record keeps its partition where the topic has as many as
it had, and ids were not mapped, else the key decides.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from coterie_contracts.envelope import REPLAY_HEADER
from coterie_replay.cluster import TEST_CLUSTER, connected
from coterie_replay.connection import client_options
from coterie_replay.faults import ReplayFault
from coterie_replay.ids import IdMap
from coterie_replay.record import Record, holds_contact_data

__all__ = ["Pace", "Played", "Player", "prepared"]

_MARK: Final = (REPLAY_HEADER, b"1")
_WINDOW: Final = 1_000  # records on their way to the broker at a time


def prepared(
    records: Iterable[Record], *, live: bool = False, ids: IdMap | None = None
) -> Iterator[Record]:
    """Records as they are played: marked, or with `live` without the mark; ids mapped by `ids`.

    Contact data is left out.
    """
    for record in records:
        if holds_contact_data(record):
            continue
        headers = tuple(header for header in record.headers if header[0] != REPLAY_HEADER)
        marked = replace(record, headers=headers if live else (*headers, _MARK))
        yield marked if ids is None else ids.record(marked)


@dataclass(slots=True)
class Pace:
    """Waits before records as long as the log did, divided by `speed`; never without one.

    `clock` and `sleep` are in seconds.
    """

    speed: float | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _began: tuple[float, int] | None = None

    def ahead(self, record: Record) -> float:
        """Seconds until it is the record's turn; 0 or less where it is."""
        if self.speed is None:
            return 0.0
        if self._began is None:
            self._began = self.clock(), record.timestamp
        began, first = self._began
        return began + (record.timestamp - first) / 1000 / self.speed - self.clock()


@dataclass(slots=True)
class Played:
    """How many records of each topic the broker has acknowledged."""

    topics: Counter[str] = field(default_factory=Counter)

    @property
    def records(self) -> int:
        return self.topics.total()


class Player:
    """Plays to the cluster at `bootstrap`, to topics with `prefix` before their names."""

    def __init__(
        self,
        bootstrap: str,
        *,
        live: bool = False,
        ids: IdMap | None = None,
        prefix: str = "",
        pace: Pace | None = None,
    ) -> None:
        self._bootstrap = bootstrap
        self._live = live
        self._ids = ids
        self._prefix = prefix
        self._pace = pace or Pace()
        self._there: dict[str, int] = {}
        self.played = Played()

    async def check(self, topics: Iterable[str], *, create: bool = False) -> None:
        """Refuse what cannot be played before the first record; raises `ReplayFault`.

        `topics` must be there; with `create` missing ones are made, with one replica.
        """
        async with connected(self._bootstrap) as cluster:
            if self._live and not await cluster.is_for_tests():
                raise ReplayFault(
                    f"the cluster at {self._bootstrap} is not marked as one for tests, so nothing "
                    f"is played to it without the replay mark: leave out --live, or create the "
                    f"topic {TEST_CLUSTER} there if it really is one"
                )
            wanted = {self._prefix + topic for topic in topics}
            if create:
                await cluster.create_missing(wanted)
            self._there = await cluster.partitions()
            if missing := sorted(wanted - self._there.keys()):
                raise ReplayFault(
                    f"{len(missing)} topics are not on {self._bootstrap}: "
                    f"{', '.join(missing[:3])}{', …' if len(missing) > 3 else ''}; create them "
                    "first, or pass --create-topics on a broker for tests"
                )

    async def play(
        self, records: Iterable[Record], partitions: Mapping[str, int] | None = None
    ) -> Played:
        """Send `records` after `check`; returns when the broker has acknowledged all of them.

        `partitions` counts those of each topic where they were recorded. Raises `ReplayFault`
        where the broker refuses one; `played` tells how many it took until then. Holds at most
        a thousand records in memory.
        """
        recorded = partitions or {}
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            acks="all",
            enable_idempotence=True,
            linger_ms=5,
            **client_options(),
        )
        window: list[tuple[str, asyncio.Future[object]]] = []
        try:
            await producer.start()
            for record in prepared(records, live=self._live, ids=self._ids):
                if (ahead := self._pace.ahead(record)) > 0:
                    await self._acknowledge(window)
                    await self._pace.sleep(ahead)
                topic = self._prefix + record.topic
                sent = await producer.send(
                    topic,
                    record.value,
                    record.key,
                    partition=self._partition(record, topic, recorded),
                    timestamp_ms=max(record.timestamp, 0),
                    headers=list(record.headers),
                )
                window.append((record.topic, sent))
                if len(window) >= _WINDOW:
                    await self._acknowledge(window)
            await self._acknowledge(window)
        except KafkaError as error:
            raise ReplayFault(
                f"{self._bootstrap} took {self.played.records:,} records and then refused "
                f"({type(error).__name__})"
            ) from None
        finally:
            await producer.stop()
        return self.played

    async def _acknowledge(self, window: list[tuple[str, asyncio.Future[object]]]) -> None:
        pending, window[:] = window[:], []
        outcomes = await asyncio.gather(*(sent for _, sent in pending), return_exceptions=True)
        for (topic, _), outcome in zip(pending, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                raise outcome
            self.played.topics[topic] += 1

    def _partition(self, record: Record, topic: str, recorded: Mapping[str, int]) -> int | None:
        count = self._there.get(topic, 0)
        if self._ids is None and count == recorded.get(record.topic) and record.partition < count:
            return record.partition
        if record.key is None and count:
            return record.partition % count
        return None
