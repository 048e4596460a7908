"""Events of notifications, offers and preferences. Owner: notifications.

`notification.sent` carries what the guard saw, so an auditor can derive each decision anew from
the log alone.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from coterie_contracts.model import (
    CommunityId,
    Days,
    EventBody,
    MemberId,
    OpenEnum,
    Place,
    ShortText,
    Timestamp,
    TimeZone,
    Unit,
    UnitInterval,
    Version,
)

Notifications = Annotated[int, Unit("notifications")]


class NotificationClass(StrEnum):
    """`account` always passes; `offer` is commercial and limited most."""

    ACCOUNT = "account"
    PERSONAL = "personal"
    COMMUNITY = "community"
    OFFER = "offer"


class Channel(OpenEnum):
    """`inbox` is in the product; the others are outward."""

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
    key: ClassVar[str] = "notification_id"

    notification_id: UUID = Field(description="uuid5(recipient_id, template and cause_id)")
    community_id: CommunityId
    recipient_id: UUID = Field(description="member, applicant's person, or the community's staff")
    person_id: UUID | None = Field(default=None, description="absent for staff")
    notification_class: NotificationClass = Field(description="which of the guard's limits apply")
    template: str = Field(max_length=64, description="name of its text, for example `offer`")
    cause_id: UUID = Field(description="id of the event or command that it tells of")
    policy_version: Version = Field(description="of the guard's limits that decided")


class NotificationSent(NotificationFacts):
    """A notification reached a channel; the figures are those the guard decided on."""

    topic: ClassVar[str] = "notification.sent"
    sent_when: ClassVar[str] = "the guard lets a notification pass, once for each channel it takes"

    channel: Channel = Field(description="that it reached")
    sent_at: Timestamp = Field(description="the instant that the guard decided at")
    reason: GuardReason = Field(
        default=GuardReason.SENT, description="`digest_pending`, `bundled`: to the inbox only"
    )
    time_zone: TimeZone = Field(description="the recipient's, for local days")
    window_days: Days | None = Field(default=None, ge=1, description="of the cap on its class")
    count_before: Notifications | None = Field(
        default=None, ge=0, description="of its class in the window"
    )
    cap: Notifications | None = Field(default=None, ge=0, description="most in the window")
    offers_before: Notifications | None = Field(
        default=None, ge=0, description="offers in the ratio window"
    )
    value_count: Notifications | None = Field(
        default=None, ge=0, description="value messages in it"
    )
    ratio_limit: Annotated[float, Unit("offers per value message")] | None = Field(
        default=None, ge=0, description="most offers for each value message"
    )
    ratio_window_days: Days | None = Field(default=None, ge=1, description="of the ratio")
    counted_as_offer: bool = Field(default=False, description="whether it counts against both")
    recipient_sequence: Place | None = Field(
        default=None,
        ge=1,
        description="gapless per person and brand over all classes but `account`: the figures "
        "above count what has a lower one",
    )


class NotificationDeferred(NotificationFacts):
    """An outward channel waits for the end of quiet hours; the inbox has it."""

    topic: ClassVar[str] = "notification.deferred"
    sent_when: ClassVar[str] = (
        "the guard lets a notification pass within the recipient's quiet hours, for each "
        "outward channel"
    )

    channel: Channel = Field(description="that waits")
    not_before: Timestamp = Field(description="the end of the recipient's quiet hours")


class NotificationSuppressed(NotificationFacts):
    """The guard withheld a notification."""

    topic: ClassVar[str] = "notification.suppressed"
    sent_when: ClassVar[str] = "the guard withholds a notification, and says why in `reason`"

    reason: GuardReason = Field(description="the first step that said no")


class NotificationDigested(NotificationFacts):
    """A notification was put into a digest."""

    topic: ClassVar[str] = "notification.digested"
    sent_when: ClassVar[str] = (
        "a digest is put together; digests are not built yet, so nobody sends this today"
    )

    digest_id: UUID = Field(description="the digest that holds it")


class NotificationFailed(NotificationFacts):
    """A channel failed; the next one is tried under the same reservation."""

    topic: ClassVar[str] = "notification.failed"
    sent_when: ClassVar[str] = (
        "a channel gives a notification back; outward channels are not built yet, so nobody "
        "sends this today"
    )

    channel: Channel = Field(description="that failed")
    final: bool = Field(description="true: no channel is left")


class NotificationMarked(EventBody):
    """A member called a message an advert, or an offer not useful; both tighten the guard."""

    topic: ClassVar[str] = "notification.marked"
    key: ClassVar[str] = "notification_id"
    sent_when: ClassVar[str] = "a member marks a message (`POST /notifications/{id}/mark`)"

    notification_id: UUID = Field(description="the notification that was marked")
    community_id: CommunityId
    member_id: MemberId
    mark: str = Field(pattern=r"^(advert|not_useful)$", description="what the member called it")
    sent_at: Timestamp = Field(description="when the notification was sent")


class OfferPublished(EventBody):
    """A commercial message was put before the guard for an audience."""

    topic: ClassVar[str] = "offer.published"
    key: ClassVar[str] = "offer_id"
    sent_when: ClassVar[str] = "a manager publishes an offer (`POST /communities/{id}/offers`)"

    offer_id: UUID = Field(description="the commercial message")
    community_id: CommunityId
    member_benefit: ShortText
    audience_size: Annotated[int, Unit("members")] = Field(
        ge=0, description="put before the guard, which decides for each"
    )


class PreferenceChanged(EventBody):
    """A member's subscriptions changed."""

    topic: ClassVar[str] = "preference.changed"
    key: ClassVar[str] = "member_id"
    sent_when: ClassVar[str] = (
        "a member sets preferences (`PUT /members/{id}/preferences`) or uses a link to unsubscribe"
    )

    member_id: MemberId
    community_id: CommunityId
    unsubscribed: tuple[str, ...] = Field(description="all `<class>/<channel>` pairs that are off")


class GuardPolicyChanged(EventBody):
    """The limits of the guard changed; always by an author."""

    topic: ClassVar[str] = "guardpolicy.changed"
    key: ClassVar[str] = "community_id"
    sent_when: ClassVar[str] = "a manager sets other limits (`PUT /communities/{id}/guard-policy`)"

    community_id: CommunityId
    policy_version: Version = Field(description="in force from `ce_time` on")
    offer_cap: Notifications = Field(ge=0, description="most offers in `offer_window_days`")
    offer_window_days: Days = Field(ge=1, description="any so many days, not calendar ones")
    offer_ratio: UnitInterval = Field(description="most offers for each value message")
    offer_ratio_window_days: Days = Field(default=28, ge=1, description="of `offer_ratio`")
    offer_gap_days: Days = Field(ge=0, description="least between two offers")
    offer_after_days: Days = Field(default=14, ge=0, description="of membership")
    community_cap: Notifications = Field(
        ge=0, description="most of class `community` in `community_window_days`"
    )
    community_window_days: Days = Field(ge=1, description="any so many days")
    personal_cap_per_day: Notifications = Field(
        ge=1, description="most of class `personal` in 24 hours; more are bundled"
    )
