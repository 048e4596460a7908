"""Changes records the way a faulty service would: new bytes, and a place at a partition's end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar
from uuid import UUID, uuid4, uuid5

from coterie_contracts.envelope import Event
from coterie_contracts.model import EventBody, utc
from coterie_local.audit.facts import Fact, Log
from coterie_local.log import Record

B = TypeVar("B", bound=EventBody)

_SPACE = UUID("0d5c1b7e-2222-5333-8444-555566667777")


class Planted(NamedTuple):
    """A log with one violation, and the event that the audit must name for it."""

    records: list[Record]
    event_id: UUID


def fresh(*parts: object) -> UUID:
    return uuid5(_SPACE, "/".join(map(str, parts)))


def event_id_at(moment: datetime) -> UUID:
    """A new UUIDv8 with `moment` in it, as the outbox gives."""
    raw = bytearray(int(moment.timestamp() * 1000).to_bytes(6, "big") + uuid4().bytes[6:])
    raw[6] = raw[6] & 0x0F | 0x80
    return UUID(bytes=bytes(raw))


def facts_of(records: Sequence[Record], body: type[B]) -> list[Fact[B]]:
    """Facts of one type, in the order in which they were recorded. At least one must be there."""
    found = Log(records).facts_of(body)
    assert found, f"the log has no {body.__name__} to plant on"
    return sorted(found, key=lambda fact: (fact.event.recorded_time, fact.event.id))


def last(events: Iterable[Fact[B]], number: Callable[[B], int]) -> Fact[B]:
    return max(events, key=lambda fact: number(fact.event.data))


def later(records: Sequence[Record]) -> datetime:
    """A moment after everything in the log was recorded."""
    return max(fact.event.recorded_time for fact in Log(records).facts) + timedelta(seconds=1)


def changed(record: Record, headers: dict[str, str] | None = None, **data: object) -> Record:
    """`record` with other attributes, or other fields in its data."""
    value = json.loads(record.value or b"{}") | {
        name: str(one) if isinstance(one, UUID) else one for name, one in data.items()
    }
    known = {name: text.encode() for name, text in (headers or {}).items()}
    return replace(
        record,
        headers=tuple((name, known.get(name, old)) for name, old in record.headers),
        value=json.dumps(value).encode() if data else record.value,
    )


def swapped(records: Sequence[Record], old: Record, new: Record) -> list[Record]:
    """`new` in the place of `old` and of every repeated delivery of it."""
    assert old in records
    event_id = old.header("ce_id")
    return [
        replace(new, partition=record.partition, offset=record.offset + new.offset - old.offset)
        if record.header("ce_id") == event_id
        else record
        for record in records
    ]


def appended(records: Sequence[Record], record: Record) -> list[Record]:
    """`record` at the end of its partition."""
    place = (record.topic, record.partition)
    end = max((one.offset + 1 for one in records if (one.topic, one.partition) == place), default=0)
    return [*records, replace(record, offset=end)]


def reissued(
    records: Sequence[Record],
    template: Fact[EventBody],
    subject: UUID,
    at: datetime | None = None,
    /,
    **data: object,
) -> Planted:
    """Append a new event like `template`: the first change of `subject`, by a command of its own.

    `at` is when it happened; it is recorded after everything else.
    """
    recorded = later(records)
    new_id = event_id_at(recorded)
    headers = {
        "ce_id": str(new_id),
        "ce_subject": str(subject),
        "ce_partitionkey": str(subject),
        "ce_time": utc(at or template.event.time),
        "ce_recordedtime": utc(recorded),
        "ce_causationid": str(uuid4()),
        "ce_correlationid": str(uuid4()),
        "ce_sequence": "1",
    }
    record = replace(changed(template.record, headers, **data), key=str(subject).encode())
    return Planted(appended(records, record), new_id)


def lone_change(records: Sequence[Record], *, at_end: bool = False) -> Fact[EventBody]:
    """An event that shares its change with no other; `at_end`: of its aggregate's last change."""
    events: list[Event[EventBody]] = [
        fact.event for fact in Log(records).facts if fact.event.topic != "member.contact"
    ]
    changes: dict[tuple[str, UUID, int | None], int] = {}
    newest: dict[tuple[str, UUID], int] = {}
    for event in events:
        key = (event.source, event.subject)
        changes[*key, event.sequence] = changes.get((*key, event.sequence), 0) + 1
        newest[key] = max(newest.get(key, 0), event.sequence or 0)
    return next(
        fact
        for fact in reversed(facts_of(records, EventBody))
        if changes.get((fact.event.source, fact.event.subject, fact.event.sequence)) == 1
        and (not at_end or newest[fact.event.source, fact.event.subject] == fact.event.sequence)
    )
