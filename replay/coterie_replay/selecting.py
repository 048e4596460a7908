"""Which records of a tape or a log are wanted.

What an aggregate caused is followed by `causationid` from event to event. Causes mostly stand
before their effects; where they do not, because a log orders nothing across topics, the records are
read again until no new effect is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from uuid import UUID

from coterie_replay.record import Record

__all__ = ["Selection", "effects_of"]


@dataclass(frozen=True, slots=True)
class Selection:
    """What is named must all hold; an empty set asks for nothing.

    `since` is inclusive, `until` exclusive; both compare with the event's `time`. `types` are
    event types or topics, with `*` and `?`: `feedback.*`, `coterie.reward.issued.v1`. `ids` are
    those of events.
    """

    since: datetime | None = None
    until: datetime | None = None
    communities: frozenset[UUID] = frozenset()
    types: frozenset[str] = frozenset()
    ids: frozenset[str] | None = None

    def wants(self, record: Record) -> bool:
        return (
            (self.ids is None or record.event_id in self.ids)
            and (not self.communities or record.community in self.communities)
            and (not self.types or any(_fits(record, wanted) for wanted in self.types))
            and (self.since is None or record.happened >= self.since)
            and (self.until is None or record.happened < self.until)
        )

    def of(self, records: Iterable[Record]) -> Iterator[Record]:
        return (record for record in records if self.wants(record))


def effects_of(aggregates: Iterable[UUID], read: Callable[[], Iterable[Record]]) -> frozenset[str]:
    """The ids of the aggregates' events and of everything that these caused.

    `read` is called for each reading from the beginning. Holds the ids that are found in memory.
    """
    wanted = frozenset(aggregates)
    found: set[str] = set()
    known = -1
    while len(found) > known:
        known = len(found)
        for record in read():
            if record.event_id is not None and (
                record.subject in wanted or record.header("ce_causationid") in found
            ):
                found.add(record.event_id)
    return frozenset(found)


def _fits(record: Record, wanted: str) -> bool:
    return fnmatchcase(record.topic, wanted) or fnmatchcase(record.type or "", wanted)
