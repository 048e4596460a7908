"""Events of notifications, offers and preferences. Owner: notifications.

`notification.sent` carries what the guard saw, so an auditor can derive each decision anew from
the log alone.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from coterie_contracts.model import EventBody, OpenEnum, ShortText, Timestamp, TimeZone


class NotificationClass(StrEnum):
    ACCOUNT = "account"
    PERSONAL = "personal"
    COMMUNITY = "community"
    OFFER = "offer"


class Channel(OpenEnum):
    INBOX = "inbox"
    EMAIL = "email"
    WEBHOOK = "webhook"
    CHAT = "chat"
    UNKNOWN = "unknown"


class GuardReason(OpenEnum):
    """Why the guard let a notification pass, wait or end; in the order of its steps."""

    SENT = "sent"
    RELATION = "relation"
    UNSUBSCRIBED = "unsubscribed"
    DUPLICATE = "duplicate"
    EXPIRED = "expired"
    CAP = "cap"
    RATIO = "ratio"
    TOO_NEW = "too_new"
    GAP = "gap"
    OPEN_LOOK_AGAIN = "open_look_again"
    BAD_NEWS = "bad_news"
    NOT_USEFUL = "not_useful"
    QUIET_HOURS = "quiet_hours"
    DIGEST_PENDING = "digest_pending"
    BUNDLED = "bundled"
    FAILED = "failed"
    UNKNOWN = "unknown"


class NotificationFacts(EventBody):
    notification_id: UUID = Field(description="uuid5(recipient_id, template and cause_id)")
    community_id: UUID
    recipient_id: UUID = Field(description="member, applicant's person, or the community's staff")
    person_id: UUID | None = Field(default=None, description="absent for staff")
    notification_class: NotificationClass
    template: str = Field(max_length=64)
    cause_id: UUID = Field(description="id of the event or command that it tells of")
    policy_version: int = Field(ge=1)


class NotificationSent(NotificationFacts):
    """A notification reached a channel; the figures are those the guard decided on."""

    topic: ClassVar[str] = "notification.sent"

    channel: Channel
    sent_at: Timestamp
    reason: GuardReason = Field(
        default=GuardReason.SENT, description="`digest_pending`, `bundled`: to the inbox only"
    )
    time_zone: TimeZone = Field(description="the recipient's, for local days")
    window_days: int | None = Field(default=None, ge=1)
    count_before: int | None = Field(default=None, ge=0, description="of its class in the window")
    cap: int | None = Field(default=None, ge=0)
    offers_before: int | None = Field(default=None, ge=0, description="offers in the ratio window")
    value_count: int | None = Field(default=None, ge=0, description="value messages in it")
    ratio_limit: float | None = Field(default=None, ge=0)
    ratio_window_days: int | None = Field(default=None, ge=1)
    counted_as_offer: bool = False
    recipient_sequence: int | None = Field(
        default=None,
        ge=1,
        description="gapless per person and brand over all classes but `account`: the figures "
        "above count what has a lower one",
    )


class NotificationDeferred(NotificationFacts):
    """An outward channel waits for the end of quiet hours; the inbox has it."""

    topic: ClassVar[str] = "notification.deferred"

    channel: Channel
    not_before: Timestamp


class NotificationSuppressed(NotificationFacts):
    """The guard withheld a notification."""

    topic: ClassVar[str] = "notification.suppressed"

    reason: GuardReason


class NotificationDigested(NotificationFacts):
    """A notification was put into a digest."""

    topic: ClassVar[str] = "notification.digested"

    digest_id: UUID


class NotificationFailed(NotificationFacts):
    """A channel failed; the next one is tried under the same reservation."""

    topic: ClassVar[str] = "notification.failed"

    channel: Channel
    final: bool


class NotificationMarked(EventBody):
    """A member called a message an advert, or an offer not useful; both tighten the guard."""

    topic: ClassVar[str] = "notification.marked"

    notification_id: UUID
    community_id: UUID
    member_id: UUID
    mark: str = Field(pattern=r"^(advert|not_useful)$")
    sent_at: Timestamp


class OfferPublished(EventBody):
    """A commercial message was put before the guard for an audience."""

    topic: ClassVar[str] = "offer.published"

    offer_id: UUID
    community_id: UUID
    member_benefit: ShortText
    audience_size: int = Field(ge=0)


class PreferenceChanged(EventBody):
    """A member's subscriptions changed."""

    topic: ClassVar[str] = "preference.changed"

    member_id: UUID
    community_id: UUID
    unsubscribed: tuple[str, ...] = Field(description="`<class>/<channel>` pairs")


class GuardPolicyChanged(EventBody):
    """The limits of the guard changed; always by an author."""

    topic: ClassVar[str] = "guardpolicy.changed"

    community_id: UUID
    policy_version: int = Field(ge=1)
    offer_cap: int = Field(ge=0)
    offer_window_days: int = Field(ge=1)
    offer_ratio: float = Field(ge=0, le=1)
    offer_ratio_window_days: int = Field(default=28, ge=1)
    offer_gap_days: int = Field(ge=0)
    offer_after_days: int = Field(default=14, ge=0, description="of membership")
    community_cap: int = Field(ge=0)
    community_window_days: int = Field(ge=1)
    personal_cap_per_day: int = Field(ge=1)
