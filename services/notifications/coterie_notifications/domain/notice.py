"""What is to be told, to whom, and what is known of them: the guard's input."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID, uuid5

from coterie_chassis.decisions import Cause
from coterie_contracts.notification import Channel, NotificationClass
from coterie_notifications.domain.quiet_hours import QuietHours, Zone

__all__ = [
    "Notice",
    "OfferFacts",
    "Priority",
    "Recipient",
    "Relation",
    "in_order",
    "notification_id_of",
]


class Priority(IntEnum):
    """Low priority never interrupts: it waits in the inbox until there are digests."""

    HIGH = 0
    NORMAL = 1
    LOW = 2


class Relation(StrEnum):
    """What the recipient is to the community at the notice's time."""

    STAFF = "staff"
    APPLICANT = "applicant"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    LEFT = "left"
    RELEASED = "released"
    REMOVED = "removed"
    ERASED = "erased"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something to tell somebody. `cause.at` is the time at which the guard decides.

    `recipient_id` is a member, an applicant's person, or the community for its staff.
    `cause_id` is what the notice tells of: one per recipient and template. `owed` reaches even
    those who left; `parting` is the one last confirmation to the erased.
    """

    cause: Cause
    cause_id: UUID
    community_id: UUID
    recipient_id: UUID
    person_id: UUID | None
    notification_class: NotificationClass
    template: str
    priority: Priority = Priority.NORMAL
    about: UUID | None = None
    expires_at: datetime | None = None
    owed: bool = False
    parting: bool = False
    relation: Relation | None = None
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> UUID:
        return notification_id_of(self.recipient_id, self.template, self.cause_id)

    @property
    def at(self) -> datetime:
        return self.cause.at


def notification_id_of(recipient_id: UUID, template: str, cause_id: UUID) -> UUID:
    """One cause, one notification."""
    return uuid5(recipient_id, f"{template}/{cause_id}")


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferFacts:
    """What only offers are asked about."""

    member_since: datetime | None = None
    open_look_again: bool = False
    bad_news_at: datetime | None = None
    not_useful_at: tuple[datetime, ...] = ()
    resumed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Who it is for. `unsubscribed` and `unreachable` take channels away."""

    relation: Relation
    zone: Zone
    quiet: QuietHours
    unsubscribed: frozenset[str] = frozenset()
    unreachable: frozenset[Channel] = frozenset()
    offers: OfferFacts = OfferFacts()


def in_order(notices: Iterable[Notice]) -> list[Notice]:
    """Who goes first when several compete: by class, priority, time, id."""
    classes = list(NotificationClass)
    return sorted(
        notices,
        key=lambda n: (classes.index(n.notification_class), n.priority, n.at, n.id),
    )
