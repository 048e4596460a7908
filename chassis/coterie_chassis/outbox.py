"""What a transaction publishes, encoded when it is written.

An oversize event fails the command that makes it and never reaches the relay. Rows of one
aggregate are written under that aggregate's row lock, so their ids follow its commit order.

Headers are kept as one string of bytes, because the relay reads them for every row that it sends:
their names, which vary little and are taken apart once, then their values, all joined by zero
bytes. No value holds one.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from coterie_chassis.decisions import Cause, Draft, Refusal, event_id
from coterie_chassis.telemetry import traceparent_for
from coterie_contracts.envelope import Event, Message, encode

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
    headers = stored_headers(message.headers)
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
    return Message(topic, key, tuple(headers_of(headers)), value)


def stored_headers(headers: Headers) -> bytes:
    """Headers as a row keeps them. Raises `ValueError` for one that holds a zero byte."""
    names = " ".join([name for name, _ in headers]).encode()
    stored = _SEPARATOR.join([names, *[value for _, value in headers]])
    if stored.count(_SEPARATOR) != len(headers):
        raise ValueError("a header holds a zero byte")
    return stored


def headers_of(stored: bytes) -> list[tuple[str, bytes]]:
    """What `stored_headers` keeps."""
    names, *values = stored.split(_SEPARATOR)
    return list(zip(_names_of(names), values, strict=True))


@lru_cache(maxsize=_SHAPES)
def _names_of(joined: bytes) -> tuple[str, ...]:
    return tuple(joined.decode().split())


def dump_json(value: Any) -> str:
    """JSON for a column; UUIDs and times as text."""
    return json.dumps(value, separators=(",", ":"), default=_plain)


def _plain(value: object) -> str:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"no JSON for {type(value).__name__}")
