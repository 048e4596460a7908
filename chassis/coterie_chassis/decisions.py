"""What a decision consists of: why it is taken, what it publishes, or why it is refused.

Pure: a service's `domain` may import this module and no other of the chassis. Ids are derived
from their cause, so a decision taken twice has the same ids.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Final
from uuid import UUID, uuid5

from coterie_contracts.community import ClockMode
from coterie_contracts.envelope import Event
from coterie_contracts.model import EventBody

__all__ = [
    "SYSTEM",
    "Cause",
    "Draft",
    "Forbidden",
    "NotFound",
    "Refusal",
    "derived_id",
    "event_id",
    "member_id_of",
    "person_id_of",
]

SYSTEM: Final = "system"
_PERSONS: Final = UUID("7d0c7b3e-6b0a-5e0e-9c55-0d1c2b9f4a11")
_DERIVED: Final = UUID("2f3a6c52-94b4-5a1b-8f0e-5f7c9d1e7b22")


class Refusal(Exception):
    """The domain refuses. `rule` is kebab-case; `detail` is what a manager or member reads.

    A command answers it as a problem document with `status`; a consumed event becomes a dead
    letter.
    """

    def __init__(self, rule: str, detail: str, *, status: int = 409) -> None:
        super().__init__(f"{rule}: {detail}")
        self.rule = rule
        self.detail = detail
        self.status = status


class NotFound(Refusal):
    """There is no such thing for this caller, whether or not another community has one."""

    def __init__(self, what: str) -> None:
        super().__init__("not-found", f"There is no such {what} here.", status=404)


class Forbidden(Refusal):
    """The caller may not do this."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(rule, detail, status=403)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why something is decided: a command, a consumed event, or a deadline.

    `at` is the time on the community's clock that every rule uses as its now. `recorded_at` is the
    writer's database clock. `id` becomes the `causationid` of what follows.
    """

    id: UUID
    actor: str
    at: datetime
    recorded_at: datetime
    correlation_id: UUID
    brand_id: UUID | None = None
    community_id: UUID | None = None
    clock: ClockMode = ClockMode.WALL
    replayed: bool = False
    traceparent: str | None = None

    @classmethod
    def of(cls, event: Event[EventBody]) -> Cause:
        """The cause that a consumed event is."""
        return cls(
            id=event.id,
            actor=SYSTEM,
            at=event.time,
            recorded_at=event.recorded_time,
            correlation_id=event.correlation_id,
            brand_id=event.brand_id,
            community_id=event.community_id,
            clock=event.clock,
            replayed=event.replayed,
            traceparent=event.traceparent,
        )


@dataclass(frozen=True, slots=True)
class Draft:
    """An event that a decision publishes, before it has an id.

    `subject` is the aggregate's id and the partition key. `sequence` counts the aggregate's
    published changes from 1 without gaps; events of one change share it. `discriminator` tells
    apart two events of one type and aggregate with one cause.
    """

    subject: UUID
    body: EventBody
    sequence: int | None = None
    discriminator: str = ""
    tombstone: bool = field(default=False, kw_only=True)


def event_id(
    cause: Cause, service: str, event_type: str, subject: UUID, discriminator: str = ""
) -> UUID:
    """A UUIDv8: 48 bits of milliseconds of `cause.recorded_at`, then a hash of all arguments.

    The same decision for the same consumed event has the same id on every try; the leading time
    lets the inbox be partitioned by the day inside the id.
    """
    text = f"{cause.id}|{service}|{event_type}|{subject}|{discriminator}"
    milliseconds = int(cause.recorded_at.timestamp() * 1000)
    raw = bytearray(milliseconds.to_bytes(6, "big") + sha256(text.encode()).digest()[:10])
    raw[6] = raw[6] & 0x0F | 0x80
    raw[8] = raw[8] & 0x3F | 0x80
    return UUID(bytes=bytes(raw))


def derived_id(*parts: object) -> UUID:
    """The same id for the same parts: a UUIDv5 over their texts."""
    return uuid5(_DERIVED, "\x1f".join(str(part) for part in parts))


def person_id_of(issuer: str, subject: str) -> UUID:
    """The pseudonym of the human whom `issuer` knows as `subject`."""
    return uuid5(_PERSONS, f"{issuer}\x1f{subject}")


def member_id_of(community_id: UUID, person_id: UUID) -> UUID:
    """One person in one community; the same again when they return."""
    return uuid5(community_id, str(person_id))
