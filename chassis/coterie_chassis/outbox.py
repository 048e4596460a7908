"""What a transaction publishes, encoded when it is written.

An oversize event fails the command that makes it and never reaches the relay. Rows of one
aggregate are written under that aggregate's row lock, so their ids follow its commit order.

Headers are kept as one string of bytes, because the relay reads them for every row that it sends:
their shape, which varies little and is taken apart once, then their values, all joined by zero
bytes. No value holds one. A shape is a letter for each header, and what is the same in every event
or repeats the record's key is in the letter and not among the values: a row is written twice and
read once before it is gone, so a quarter less of it is a quarter less work. Where a header has no
letter the shape spells every name.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from coterie_chassis.decisions import Cause, Draft, Refusal, event_id
from coterie_chassis.telemetry import traceparent_for
from coterie_contracts.envelope import REPLAY_HEADER, Event, Message, encode

if TYPE_CHECKING:
    from coterie_chassis.store import UnitOfWork

__all__ = [
    "MAX_RECORD_BYTES",
    "CurrentState",
    "dump_json",
    "headers_of",
    "message_of",
    "row_of",
    "stored_headers",
]

MAX_RECORD_BYTES: Final = 900_000
_SEPARATOR: Final = b"\0"
_LETTERED: Final = ":"  # begins the name of no header
_SHAPES: Final = 1_024

Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class CurrentState:
    """How a compacted topic, which no archive keeps, is told again: from its owner's tables.

    `page` is called inside the relay with the last subject of the page before, None at first. It
    returns what stands now in the order of subjects, tombstones included, and nothing at the end;
    it must not write.
    """

    topic: str
    page: Callable[[UnitOfWork, UUID | None], Awaitable[Sequence[tuple[Cause, Draft]]]]


def row_of(draft: Draft, cause: Cause, *, service: str, now: datetime) -> dict[str, Any]:
    """The outbox row for a draft. Raises `Refusal` where Kafka would refuse its size."""
    event = Event(
        id=event_id(cause, service, draft.body.event_type(), draft.subject, draft.discriminator),
        source=f"coterie/{service}",
        subject=draft.subject,
        time=cause.at,
        recorded_time=now,
        data=draft.body,
        brand_id=cause.brand_id,
        community_id=cause.community_id,
        actor=cause.actor,
        causation_id=cause.id,
        correlation_id=cause.correlation_id,
        sequence=draft.sequence,
        clock=cause.clock,
        replayed=cause.replayed,
        traceparent=traceparent_for(cause.traceparent),
    )
    message = encode(event, tombstone=draft.tombstone)
    headers = stored_headers(message.headers, message.key)
    size = len(message.value or b"") + len(headers)
    if size > MAX_RECORD_BYTES:
        raise Refusal(
            "event-too-large",
            f"A {message.topic} event of {size} bytes is over the limit of {MAX_RECORD_BYTES}.",
            status=413,
        )
    return {
        "event_id": event.id,
        "topic": message.topic,
        "key": message.key,
        "headers": headers,
        "value": message.value,
    }


def message_of(topic: str, key: bytes, headers: bytes, value: bytes | None) -> Message:
    """The record that an outbox or archive row stands for."""
    return Message(topic, key, tuple(headers_of(headers, key)), value)


def stored_headers(headers: Headers, key: bytes) -> bytes:
    """Headers of a record as a row keeps them. Raises `ValueError` for one with a zero byte."""
    letters, values = "", []
    for name, value in headers:
        if letter := _LETTER_OF.get((name, None if value == key else value)):
            letters += letter
        elif letter := _LETTER_OF.get((name, ...)):
            letters += letter
            values.append(value)
        else:
            return _joined(" ".join([name for name, _ in headers]), [v for _, v in headers])
    return _joined(_LETTERED + letters, values)


def _joined(shape: str, values: Sequence[bytes]) -> bytes:
    stored = _SEPARATOR.join([shape.encode(), *values])
    if stored.count(_SEPARATOR) != len(values):
        raise ValueError("a header holds a zero byte")
    return stored


def headers_of(stored: bytes, key: bytes) -> list[tuple[str, bytes]]:
    """What `stored_headers` keeps of a record with this key."""
    values = stored.split(_SEPARATOR)
    names, implied = _taken_apart(values.pop(0))
    for place, value in implied:
        values.insert(place, key if value is None else value)
    return list(zip(names, values, strict=True))


@lru_cache(maxsize=_SHAPES)
def _taken_apart(shape: bytes) -> tuple[Sequence[str], Sequence[tuple[int, bytes | None]]]:
    """Names, and which of their values, by their place, are not stored; None stands for the key."""
    text = shape.decode()
    if not text.startswith(_LETTERED):
        return text.split(), ()
    known = [_LETTERS[letter] for letter in text.removeprefix(_LETTERED)]
    implied = [(n, value) for n, (_, value) in enumerate(known) if value is not ...]
    return [name for name, _ in known], implied


def dump_json(value: Any) -> str:
    """JSON for a column; UUIDs and times as text."""
    return json.dumps(value, separators=(",", ":"), default=_plain)


def _plain(value: object) -> str:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"no JSON for {type(value).__name__}")


# Rows that are stored already name headers by these letters: add to them, change none. A value is
# the header's own with each row (`...`), the record's key (None), or always this one.
_LETTERS: Final[dict[str, tuple[str, bytes | EllipsisType | None]]] = {
    "C": ("content-type", b"application/json"),
    "V": ("ce_specversion", b"1.0"),
    "S": ("ce_subject", None),
    "P": ("ce_partitionkey", None),
    "i": ("ce_id", ...),
    "o": ("ce_source", ...),
    "t": ("ce_type", ...),
    "h": ("ce_time", ...),
    "b": ("ce_brandid", ...),
    "c": ("ce_communityid", ...),
    "a": ("ce_actor", ...),
    "u": ("ce_causationid", ...),
    "r": ("ce_correlationid", ...),
    "w": ("ce_recordedtime", ...),
    "q": ("ce_sequence", ...),
    "k": ("ce_clock", ...),
    "e": ("traceparent", ...),
    "y": (REPLAY_HEADER, ...),
}
_LETTER_OF: Final = {header: letter for letter, header in _LETTERS.items()}
