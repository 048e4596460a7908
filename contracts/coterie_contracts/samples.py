"""A readable example of every event: built once, then kept for ever as golden bytes.

Values follow from the names of fields, so seventy events read as one story and none is invented
by hand. A committed example is never written again.
"""

from __future__ import annotations

from datetime import UTC, datetime, time
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import AwareDatetime, BaseModel

from coterie_contracts.community import ClockMode
from coterie_contracts.envelope import Event
from coterie_contracts.model import EventBody
from coterie_contracts.topics import Topic

__all__ = ["sample"]

_AT: Final = datetime(2026, 2, 3, 10, 15, 30, 123456, tzinfo=UTC)
_TEXTS: Final = {
    "actor": "person:3f0c6d1e-0d0b-5c55-9a51-3f7c0a0b1c2d",
    "algorithm": "coterie-merit/1",
    "approved_by": "policy",
    "currency": "EUR",
    "email": "ada@example.org",
    "evidence": "order 2025-1187",
    "item_name": "Coffee card",
    "kind": "agreement",
    "label": "Pump that does not drip",
    "locale": "de-DE",
    "mark": "not_useful",
    "member_benefit": "Members pay a fifth less",
    "name": "Glow Circle",
    "release": "2026.2",
    "requirement": "root/0",
    "season": "2026-Q1",
    "see_it_at": "in your next order",
    "template": "feedback_accepted",
    "time_zone": "Europe/Berlin",
    "title": "A serum that people finish",
    "what_changed": "The pump has a new valve",
    "when": "feedback.verified",
}
_NUMBERS: Final = {
    "amount_minor": 500,
    "funded_minor": 2_000,
    "reserved_minor": 500,
    "spent_minor": 500,
    "capacity": 100,
    "seats_held": 57,
    "importance": 2,
    "value": 0.7,
    "merit": 0.62,
    "offer_ratio": 0.25,
    "ratio_limit": 0.25,
}
_TUPLES: Final = {
    "requirement_kinds": ("agreement", "invitation", "manager_approval"),
    "unsubscribed": ("offer/inbox",),
}


def sample(topic: Topic) -> Event[EventBody]:
    """The example of a topic's event, the same on every call."""
    body = _body(topic.body)
    subject = _id(topic.name.partition(".")[0])
    return Event(
        id=_event_id(topic.name),
        source=f"coterie/{topic.owner}",
        subject=subject,
        time=_AT,
        recorded_time=_AT,
        data=body,
        brand_id=_id("brand"),
        community_id=_id("community"),
        actor=_TEXTS["actor"],
        causation_id=_id("command"),
        correlation_id=_id("command"),
        sequence=None if topic.compacted else 3,
        clock=ClockMode.WALL,
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )


def _body(model: type[EventBody]) -> EventBody:
    return model.model_validate(_fields(model))


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {name: _value(name, field.annotation) for name, field in model.model_fields.items()}


def _value(name: str, kind: Any) -> Any:
    origin = get_origin(kind)
    if origin in {Union, UnionType}:
        return _value(name, next(arm for arm in get_args(kind) if arm is not NoneType))
    if origin is tuple:
        return _TUPLES[name] if name in _TUPLES else (_value(name, get_args(kind)[0]),)
    if not isinstance(kind, type):
        return _value(name, get_args(kind)[0])
    for base, make in _MAKERS.items():
        if issubclass(kind, base):
            return make(name, kind)
    raise TypeError(f"no example for {name}: {kind}")


def _id(name: str) -> UUID:
    return uuid5(NAMESPACE_URL, f"urn:coterie:example:{name.removesuffix('_id')}")


def _event_id(topic: str) -> UUID:
    """A UUIDv8 with the example's time in front, as real ones have."""
    tail = uuid5(NAMESPACE_URL, f"urn:coterie:example:event:{topic}").bytes[:10]
    raw = bytearray(int(_AT.timestamp() * 1000).to_bytes(6, "big") + tail)
    raw[6] = raw[6] & 0x0F | 0x80
    raw[8] = raw[8] & 0x3F | 0x80
    return UUID(bytes=bytes(raw))


_MAKERS: Final[dict[type, Any]] = {
    BaseModel: lambda name, kind: _fields(kind),
    Enum: lambda name, kind: next(iter(kind)),
    UUID: lambda name, kind: _id(name),
    datetime: lambda name, kind: _AT,
    AwareDatetime: lambda name, kind: _AT,
    time: lambda name, kind: time(21) if name == "quiet_from" else time(8),
    bool: lambda name, kind: name not in {"retired", "late", "replayed", "not_askable"},
    int: lambda name, kind: _NUMBERS.get(name, 3),
    float: lambda name, kind: _NUMBERS[name],
    str: lambda name, kind: _TEXTS[name],
}
