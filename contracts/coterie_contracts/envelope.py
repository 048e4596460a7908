"""CloudEvents 1.0 on Kafka, binary mode: `ce_` headers as UTF-8, the value is the data alone.

Decoding never guesses: a record is an `Event` or an `Unreadable` that says what is wrong with it.
The partition key is the aggregate's id, which is also the CloudEvents `subject`.
Source: CloudEvents 1.0.2, Kafka Protocol Binding, section 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Generic, TypeVar
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from coterie_contracts.community import ClockMode
from coterie_contracts.model import EventBody, utc
from coterie_contracts.topics import BODIES

__all__ = ["REPLAY_HEADER", "Event", "Message", "UnknownVersion", "Unreadable", "decode", "encode"]

B_co = TypeVar("B_co", bound=EventBody, covariant=True)

CONTENT_TYPE: Final = "application/json"
REPLAY_HEADER: Final = "coterie-replay"
_UUID: Final = TypeAdapter(UUID).validator  # a fifth of what the constructor costs
_SEQUENCE_DIGITS: Final = 18  # what a 64-bit column holds for certain
_READ: Final = frozenset(
    {
        "ce_specversion",
        "ce_id",
        "ce_source",
        "ce_type",
        "ce_subject",
        "ce_time",
        "ce_brandid",
        "ce_communityid",
        "ce_actor",
        "ce_causationid",
        "ce_correlationid",
        "ce_recordedtime",
        "ce_sequence",
        "ce_clock",
        "traceparent",
        REPLAY_HEADER,
    }
)


class Unreadable(ValueError):
    """A record that is no event of ours; its message says why."""


class UnknownVersion(Unreadable):
    """An event of ours whose type or version this reader does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Generic[B_co]):
    """A fact with its context.

    `time` is when it happened on its community's clock, `recorded_time` the writer's database
    clock. `sequence` counts the published changes of the aggregate `subject` without gaps;
    events of one change share it. `actor` is `person:<uuid>`, `system` or `importer`.
    """

    id: UUID
    source: str
    subject: UUID
    time: datetime
    recorded_time: datetime
    data: B_co
    brand_id: UUID | None = None
    community_id: UUID | None = None
    actor: str
    causation_id: UUID
    correlation_id: UUID
    sequence: int | None = None
    clock: ClockMode = ClockMode.WALL
    replayed: bool = False
    traceparent: str | None = None

    @property
    def topic(self) -> str:
        return self.data.topic


@dataclass(frozen=True, slots=True)
class Message:
    """A Kafka record before it has a partition and an offset. A `value` of None is a tombstone."""

    topic: str
    key: bytes
    headers: tuple[tuple[str, bytes], ...]
    value: bytes | None


def encode(event: Event[EventBody], *, tombstone: bool = False) -> Message:
    """The record for `event`; `tombstone` keeps the attributes and drops the data."""
    subject = str(event.subject)
    attributes: list[tuple[str, str | None]] = [
        ("content-type", CONTENT_TYPE),
        ("ce_specversion", "1.0"),
        ("ce_id", str(event.id)),
        ("ce_source", event.source),
        ("ce_type", event.data.event_type()),
        ("ce_subject", subject),
        ("ce_time", utc(event.time)),
        ("ce_partitionkey", subject),
        ("ce_brandid", None if event.brand_id is None else str(event.brand_id)),
        ("ce_communityid", None if event.community_id is None else str(event.community_id)),
        ("ce_actor", event.actor),
        ("ce_causationid", str(event.causation_id)),
        ("ce_correlationid", str(event.correlation_id)),
        ("ce_recordedtime", utc(event.recorded_time)),
        ("ce_sequence", None if event.sequence is None else str(event.sequence)),
        ("ce_clock", event.clock.value if event.clock is not ClockMode.WALL else None),
        ("traceparent", event.traceparent),
        (REPLAY_HEADER, "1" if event.replayed else None),
    ]
    return Message(
        topic=event.topic,
        key=subject.encode(),
        headers=tuple((name, value.encode()) for name, value in attributes if value is not None),
        value=None if tombstone else event.data.model_dump_json().encode(),
    )


def decode(
    topic: str, headers: Sequence[tuple[str, bytes | None]], value: bytes | None
) -> Event[EventBody]:
    """The event in a record.

    Raises `UnknownVersion` for a type that this reader does not have on this topic, `Unreadable`
    for everything else that is not an event: missing or non-UTF-8 attributes, a null value, data
    that does not fit its model.
    """
    attributes = _attributes(headers)
    body = BODIES.get(event_type := _required(attributes, "ce_type"))
    if body is None or body.topic != topic:
        raise UnknownVersion(f"type {event_type!r} is not known on topic {topic!r}")
    if value is None:
        raise Unreadable("null value")
    if _required(attributes, "ce_specversion") != "1.0":
        raise Unreadable(f"ce_specversion {attributes['ce_specversion']!r} is not '1.0'")
    try:
        data = body.model_validate_json(value)
    except ValidationError as error:
        raise Unreadable(_summary(error)) from None
    return Event(
        id=_uuid(attributes, "ce_id"),
        source=_text(attributes, "ce_source"),
        subject=_uuid(attributes, "ce_subject"),
        time=_time(attributes, "ce_time"),
        recorded_time=_time(attributes, "ce_recordedtime"),
        data=data,
        brand_id=_optional_uuid(attributes, "ce_brandid"),
        community_id=_optional_uuid(attributes, "ce_communityid"),
        actor=_text(attributes, "ce_actor"),
        causation_id=_uuid(attributes, "ce_causationid"),
        correlation_id=_uuid(attributes, "ce_correlationid"),
        sequence=_sequence(attributes),
        clock=ClockMode.DRIVEN if attributes.get("ce_clock") == "driven" else ClockMode.WALL,
        replayed=REPLAY_HEADER in attributes,
        traceparent=_traceparent(attributes),
    )


def _attributes(headers: Sequence[tuple[str, bytes | None]]) -> dict[str, str]:
    try:
        return {name: value.decode() for name, value in headers if name in _READ}  # type: ignore[union-attr] # told below
    except (AttributeError, UnicodeDecodeError):
        raise Unreadable(_what_is_wrong(headers)) from None


def _what_is_wrong(headers: Sequence[tuple[str, bytes | None]]) -> str:
    for name, value in headers:
        if name not in _READ:
            continue
        if value is None:
            return f"header {name!r} is null"
        try:
            value.decode()
        except UnicodeDecodeError:
            return f"header {name!r} is not UTF-8"
    return "headers cannot be read"


def _required(attributes: dict[str, str], name: str) -> str:
    if not (value := attributes.get(name)):
        raise Unreadable(f"header {name!r} is missing")
    return value


def _text(attributes: dict[str, str], name: str) -> str:
    """Text as PostgreSQL can keep it, which takes no zero character."""
    if "\0" in (value := _required(attributes, name)):
        raise Unreadable(f"header {name!r} holds a zero character")
    return value


def _uuid(attributes: dict[str, str], name: str) -> UUID:
    try:
        parsed: UUID = _UUID.validate_python(attributes[name])
    except (KeyError, ValidationError):
        _required(attributes, name)
        raise Unreadable(f"header {name!r} is not a UUID") from None
    return parsed


def _optional_uuid(attributes: dict[str, str], name: str) -> UUID | None:
    return _uuid(attributes, name) if name in attributes else None


def _time(attributes: dict[str, str], name: str) -> datetime:
    try:
        value = datetime.fromisoformat(_required(attributes, name))
    except ValueError as error:
        raise (
            error
            if isinstance(error, Unreadable)
            else Unreadable(f"header {name!r} is not RFC 3339")
        ) from None
    if value.tzinfo is UTC:
        return value
    if value.tzinfo is None:
        raise Unreadable(f"header {name!r} has no time zone")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise Unreadable(f"header {name!r} is out of range") from None


def _sequence(attributes: dict[str, str]) -> int | None:
    if (text := attributes.get("ce_sequence")) is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _SEQUENCE_DIGITS):
        raise Unreadable("header 'ce_sequence' is not a whole number")
    return int(text)


def _traceparent(attributes: dict[str, str]) -> str | None:
    """What cannot be a trace context is dropped: it never costs an event."""
    value = attributes.get("traceparent", "")
    return value if value.isascii() and value.isprintable() and value else None


def _summary(error: ValidationError) -> str:
    """Where the data is wrong, without the data itself."""
    return "; ".join(
        f"{'.'.join(str(part) for part in fault['loc']) or 'data'}: {fault['type']}"
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    )
