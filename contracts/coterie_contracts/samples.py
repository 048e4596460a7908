"""A readable example of every event: built once, then kept for ever as golden bytes.

Values follow from the names of fields, so seventy events read as one story; `_TOLD` holds what
an event says differently from its field's usual value. A committed example is never written again.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import AwareDatetime, BaseModel

from coterie_contracts.community import ClockMode
from coterie_contracts.envelope import Event
from coterie_contracts.model import EventBody
from coterie_contracts.topics import Topic

__all__ = ["key_of", "sample"]

_AT: Final = datetime(2026, 2, 3, 10, 15, 30, 123456, tzinfo=UTC)
_TEXTS: Final = {
    "actor": "person:3f0c6d1e-0d0b-5c55-9a51-3f7c0a0b1c2d",
    "algorithm": "damped-voices/1",
    "approved_by": "policy",
    "currency": "EUR",
    "email": "ada@example.org",
    "evidence": "house rules, version 3",
    "item_name": "Coffee card",
    "kind": "agreement",
    "label": "Pump that does not drip",
    "locale": "de-DE",
    "mark": "not_useful",
    "member_benefit": "Members pay a fifth less",
    "name": "Glow Circle",
    "release": "2026.2",
    "requirement": "all_of/0",
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
    "funded_minor": 10_000,
    "reserved_minor": 1_000,
    "spent_minor": 2_500,
    "available_minor": 300,
    "audience_size": 57,
    "capacity": 100,
    "seats_held": 57,
    "seat_sequence": 61,
    "previous_capacity": 80,
    "ledger_sequence": 14,
    "importance": 2,
    "round": 1,
    "attempt": 1,
    "max_uses": 1,
    "uses": 1,
    "priority": 0,
    "value": 0.7,
    "merit": 0.62,
    "offer_cap": 2,
    "offer_window_days": 28,
    "offer_ratio": 0.25,
    "offer_ratio_window_days": 28,
    "offer_gap_days": 10,
    "offer_after_days": 14,
    "community_cap": 3,
    "community_window_days": 7,
    "personal_cap_per_day": 4,
    "window_days": 28,
    "count_before": 1,
    "cap": 2,
    "offers_before": 1,
    "value_count": 12,
    "ratio_limit": 0.25,
    "ratio_window_days": 28,
    "recipient_sequence": 14,
}
_DAYS: Final = {
    "admitted_at": -90,
    "closes_at": 14,
    "contributed_at": -30,
    "due_at": 14,
    "expires_at": 3,
    "implemented_at": -5,
    "not_before": 1,
    "reapply_after": 90,
    "sent_at": 0,
    "until": 14,
}
_TUPLES: Final = {
    "requirement_kinds": ("agreement", "invitation", "manager_approval"),
    "unsubscribed": ("offer/inbox",),
}
_DERIVED: Final = re.compile(r"uuid5\((\w+), (?:(\w+)|'(\w+)')\)")
_FALSE: Final = {"retired", "late", "not_askable", "provisional", "counted_as_offer"}
_OFFER: Final[dict[str, Any]] = {"notification_class": "offer", "template": "offer"}
_NO_SEASON: Final[dict[str, Any]] = {"season": None}
_TOLD: Final[dict[str, dict[str, Any]]] = {
    "community.opened": {"status": "open"},
    "community.changed": {"status": "paused"},
    "clock.advanced": {"mode": "driven"},
    "application.submitted": {"invitation_id": None},
    "seat.lapsed": {"final": False},
    "member.suspended": {"status": "suspended"},
    "member.left": {"status": "left", "seats_held": 56},
    "member.released": {"status": "released", "seats_held": 56},
    "member.removed": {"status": "removed", "seats_held": 56},
    "member.erased": {"seats_held": 56},
    "feedback.submitted": {"campaign_id": None},
    "feedback.unconfirmed": {"by": "deadline"},
    "badge.awarded": _NO_SEASON,
    "badge.revoked": _NO_SEASON,
    "budget.funded": {"amount_minor": 5_000},
    "notification.sent": _OFFER | {"counted_as_offer": True},
    "notification.deferred": {"notification_class": "personal", "channel": "email"},
    "notification.suppressed": _OFFER | {"reason": "ratio"},
    "notification.digested": {"notification_class": "community", "template": "community_news"},
    "notification.failed": {"notification_class": "personal", "channel": "email", "final": False},
}


def sample(topic: Topic, body: type[EventBody] | None = None) -> Event[EventBody]:
    """The example of a topic's event in its current version or in `body`; always the same."""
    body = body or topic.body
    data = body.model_validate(_fields(body) | _TOLD.get(topic.name, {}))
    return Event(
        id=_event_id(topic.name),
        source=f"coterie/{topic.owner}",
        subject=key_of(data),
        time=_AT,
        recorded_time=_AT,
        data=data,
        brand_id=_id("brand"),
        community_id=_id("community"),
        actor=_TEXTS["actor"],
        causation_id=_id("command"),
        correlation_id=_id("command"),
        sequence=None if topic.compacted else 3,
        clock=ClockMode.WALL,
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )


def key_of(data: EventBody) -> UUID:
    """The partition key of an event, from its data, as its `key` says."""
    if (derived := _DERIVED.fullmatch(data.key)) is None:
        found: UUID = getattr(data, data.key)
        return found
    base, name, text = derived.groups()
    return uuid5(getattr(data, base), getattr(data, name) if name else text)


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
    datetime: lambda name, kind: _AT + timedelta(days=_DAYS.get(name, 0)),
    AwareDatetime: lambda name, kind: _AT + timedelta(days=_DAYS.get(name, 0)),
    time: lambda name, kind: time(21) if name == "quiet_from" else time(8),
    bool: lambda name, kind: name not in _FALSE,
    int: lambda name, kind: _NUMBERS.get(name, 3),
    float: lambda name, kind: _NUMBERS[name],
    str: lambda name, kind: _TEXTS[name],
}
