"""Whether the log can be judged: nothing missing at a partition's start, nor inside a sequence.

A lost event may hide a broken rule, so a gap is an error and not a finding.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from uuid import UUID

from coterie_contracts.envelope import Event
from coterie_contracts.model import EventBody, Ledgered, Seated
from coterie_local.audit.facts import COMPACTED, Log
from coterie_local.audit.histories import sent_by_person
from coterie_local.audit.report import Fault

__all__ = [
    "aggregate_sequences_are_gapless",
    "ledger_sequences_are_gapless",
    "partitions_are_whole",
    "recipient_sequences_are_gapless",
    "records_are_readable",
    "seat_sequences_are_gapless",
]

Numbered = tuple[int, Event[EventBody]]


def partitions_are_whole(log: Log) -> Iterator[Fault | None]:
    """A fact is a partition: it begins at offset 0 and skips none. Compacted topics are exempt."""
    whole: dict[tuple[str, int], Fault | None] = {}
    for (topic, partition), first in log.beginnings.items():
        whole[topic, partition] = (
            Fault(None, f"{topic}/{partition} begins at offset {first}: older events are gone")
            if first > 0
            else None
        )
    for (topic, partition), records in log.by_partition.items():
        expected = 0
        for record in records:
            if record.offset > expected:
                where = f"{topic}/{partition} lacks offsets {expected} to {record.offset - 1}"
                whole[topic, partition] = Fault(_id(record.header("ce_id")), where)
                break
            expected = record.offset + 1
        else:
            whole.setdefault((topic, partition), None)
    yield from (fault for (topic, _), fault in sorted(whole.items()) if topic not in COMPACTED)


def records_are_readable(log: Log) -> Iterator[Fault | None]:
    """A fact is a record that a service of ours wrote."""
    yield from (None for _ in log.deliveries)
    for broken in log.broken:
        place = f"{broken.record.topic}/{broken.record.partition}@{broken.record.offset}"
        yield Fault(_id(broken.record.header("ce_id")), f"{place} is unreadable: {broken.why}")


def aggregate_sequences_are_gapless(log: Log) -> Iterator[Fault | None]:
    """A fact is an event: its aggregate's `sequence` follows, and events of one change share it."""
    aggregates: dict[tuple[str, UUID], list[Event[EventBody]]] = defaultdict(list)
    for event in log.of(EventBody):
        if event.topic not in COMPACTED:
            aggregates[event.source, event.subject].append(event)
    for (source, subject), events in aggregates.items():
        yield from _changes(f"{source} {subject}", events)


def _changes(aggregate: str, events: list[Event[EventBody]]) -> Iterator[Fault | None]:
    previous = 0
    change: UUID | None = None
    for event in sorted(events, key=lambda e: (e.sequence or 0, e.recorded_time, e.id)):
        if event.sequence is None or event.sequence < 1:
            yield Fault(event.id, f"{event.topic} of {aggregate} has no sequence")
            continue
        if event.sequence == previous and event.causation_id != change:
            yield Fault(event.id, f"two changes of {aggregate} are both number {previous}")
        elif event.sequence > previous + 1:
            yield Fault(event.id, _gap(aggregate, previous, event.sequence))
        else:
            yield None
        previous, change = event.sequence, event.causation_id


def seat_sequences_are_gapless(log: Log) -> Iterator[Fault | None]:
    """A fact is an event about seats: `seat_sequence` is its community's next."""
    communities: dict[UUID | None, list[Numbered]] = defaultdict(list)
    for event in log.of(Seated):
        communities[event.community_id].append((event.data.seat_sequence, event))
    for community, events in communities.items():
        yield from _strict(f"seats of community {community}", events)


def ledger_sequences_are_gapless(log: Log) -> Iterator[Fault | None]:
    """A fact is an event about money: `ledger_sequence` is its budget's next."""
    budgets: dict[UUID, list[Numbered]] = defaultdict(list)
    for event in log.of(Ledgered):
        if event.data.budget_id is None:
            continue
        if event.data.ledger_sequence is None:
            yield Fault(event.id, f"{event.topic} moves money and has no ledger_sequence")
        else:
            budgets[event.data.budget_id].append((event.data.ledger_sequence, event))
    for budget, events in budgets.items():
        yield from _strict(f"ledger of budget {budget}", events)


def recipient_sequences_are_gapless(log: Log) -> Iterator[Fault | None]:
    """A fact is a message of any class but `account`: its `recipient_sequence` is the next."""
    for (_, person), messages in sent_by_person(log).items():
        numbered: list[Numbered] = []
        for sent in messages:
            if sent.data.recipient_sequence is None:
                yield Fault(sent.id, f"{sent.topic} has no recipient_sequence")
            else:
                numbered.append((sent.data.recipient_sequence, sent))
        yield from _strict(f"what {person} was told", numbered)


def _strict(what: str, events: Iterable[Numbered]) -> Iterator[Fault | None]:
    previous = 0
    for number, event in sorted(events, key=lambda one: (one[0], one[1].recorded_time, one[1].id)):
        if number == previous:
            yield Fault(event.id, f"{what}: number {number} is taken twice")
        elif number > previous + 1:
            yield Fault(event.id, _gap(what, previous, number))
        else:
            yield None
        previous = number


def _gap(what: str, previous: int, number: int) -> str:
    missing = f"{previous + 1}" if number == previous + 2 else f"{previous + 1} to {number - 1}"
    return f"{what} lacks number {missing} before {number}"


def _id(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None
