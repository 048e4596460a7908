"""The log as rules see it: each event once, in an order that no delivery can change.

Arrival order across topics means nothing, so records are put in (topic, partition, offset) order
before anything is judged, and rules order further by the sequences inside the events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Final, Generic, TypeVar, cast
from uuid import UUID

from coterie_contracts.envelope import Event, Unreadable, decode
from coterie_contracts.model import EventBody
from coterie_contracts.topics import TOPICS
from coterie_local.log import Record

__all__ = ["COMPACTED", "Fact", "Log"]

B = TypeVar("B", bound=EventBody)
B_co = TypeVar("B_co", bound=EventBody, covariant=True)

COMPACTED: Final = frozenset(topic.name for topic in TOPICS if topic.compacted)
_SOURCE: Final = "coterie/"


@dataclass(frozen=True, slots=True)
class Fact(Generic[B_co]):
    """An event and the record that carried it."""

    event: Event[B_co]
    record: Record


@dataclass(frozen=True, slots=True)
class Broken:
    """A record that names a service of ours as its source and cannot be read."""

    record: Record
    why: str


class Log:
    """`beginnings` is each partition's first offset, where the reader knows it."""

    def __init__(
        self, records: Iterable[Record], beginnings: Mapping[tuple[str, int], int] | None = None
    ) -> None:
        self.records = sorted(records, key=lambda r: (r.topic, r.partition, r.offset))
        self.beginnings = dict(beginnings or {})
        self.deliveries: list[Fact[EventBody]] = []
        self.broken: list[Broken] = []
        self.foreign = 0
        for record in self.records:
            self._read(record)

    def _read(self, record: Record) -> None:
        try:
            self.deliveries.append(Fact(decode(record.topic, record.headers, record.value), record))
        except Unreadable as error:
            if record.value is None and record.topic in COMPACTED:
                return
            if (record.header("ce_source") or "").startswith(_SOURCE):
                self.broken.append(Broken(record, str(error)))
            else:
                self.foreign += 1

    @cached_property
    def facts(self) -> list[Fact[EventBody]]:
        """Each event once: the first of its deliveries."""
        first: dict[UUID, Fact[EventBody]] = {}
        for fact in self.deliveries:
            first.setdefault(fact.event.id, fact)
        return list(first.values())

    @cached_property
    def by_partition(self) -> dict[tuple[str, int], list[Record]]:
        """Records in offset order."""
        return {
            key: list(records)
            for key, records in groupby(self.records, key=lambda r: (r.topic, r.partition))
        }

    def of(self, body: type[B]) -> list[Event[B]]:
        """Events whose data is a `body`, subclasses included."""
        return [fact.event for fact in self.facts_of(body)]

    def facts_of(self, body: type[B]) -> list[Fact[B]]:
        """The same with their records."""
        return [cast("Fact[B]", fact) for fact in self.facts if isinstance(fact.event.data, body)]
