"""What routes of this service answer."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy import Row

from coterie_chassis.circle import Community
from coterie_chassis.http import View
from coterie_contracts.notification import Channel, NotificationClass
from coterie_notifications.domain.brief import Brief, wording
from coterie_notifications.domain.quiet_hours import zone_of
from coterie_notifications.domain.templates import render
from coterie_notifications.domain.tokens import Unsubscription, write_token

ACCOUNT = NotificationClass.ACCOUNT


class NoticeView(View):
    """A notice as its reader sees it; `unsubscribe` takes one POST, without signing in."""

    id: UUID
    notification_class: NotificationClass
    template: str
    title: str
    text: str
    sent_at: datetime
    about: UUID | None = Field(description="the suggestion, look-again, reward or call it is about")
    reason: str = Field(description="`bundled`, `digest_pending`: for the inbox only")
    read_at: datetime | None
    called_advert: bool
    called_not_useful: bool
    unsubscribe: str | None


class StepView(View):
    step: str
    passed: bool
    says: str


class GuardView(View):
    """Each of the guard's answers, in its order; the last one decided."""

    notification_id: UUID
    notification_class: NotificationClass
    template: str
    decided_at: datetime
    outcome: Literal["sent", "suppressed"]
    reason: str
    policy_version: int
    time_zone: str
    steps: list[StepView]


class DecisionView(View):
    """A decision of the guard, without the words that its recipient read."""

    id: UUID
    recipient_id: UUID
    notification_class: NotificationClass
    template: str
    cause_id: UUID
    decided_at: datetime
    outcome: Literal["sent", "suppressed"]
    reason: str


class PreferencesView(View):
    member_id: UUID
    unsubscribed: list[str]
    offers_paused_because: str | None
    version: int


class BroadcastView(View):
    """An offer or news, and what became of it."""

    id: UUID
    kind: str
    title: str
    text: str
    member_benefit: str | None
    published_at: datetime
    expires_at: datetime | None
    audience_size: int
    sent: int
    withheld: dict[str, int] = Field(description="members by the reason of the guard")


class ForecastView(View):
    member_id: UUID
    would_send: bool
    reason: str
    says: str


class PreviewView(View):
    """What publishing an offer now would do; nothing is sent or counted."""

    community_id: UUID
    audience_size: int
    would_send: int
    withheld: dict[str, int]
    members: list[ForecastView]


class PolicyView(View):
    community_id: UUID
    version: int
    offer_cap: int
    offer_window_days: int
    offer_ratio: float
    offer_ratio_window_days: int
    offer_gap_days: int
    offer_after_days: int
    community_cap: int
    community_window_days: int
    personal_cap_per_day: int


class CountView(View):
    """How many of `cap` in the last `window_days`."""

    count: int
    cap: int
    window_days: int


class FatigueView(View):
    """How much a member was told lately, and what an offer now would meet."""

    member_id: UUID
    at: datetime
    offers: CountView
    community: CountView
    personal: CountView
    value_messages: int
    offers_allowed_by_ratio: float
    offer_now: StepView = Field(description="the guard's last answer to an offer at this instant")


class WaitingView(View):
    id: UUID
    since: datetime
    name: str | None = None


class ConfirmedView(View):
    feedback_id: UUID
    at: datetime
    label: str | None
    by: str


class CountedView(View):
    notification_class: str
    reason: str
    count: int


class BriefView(View):
    """What a manager reads on Monday, as figures and as `text`."""

    community_id: UUID
    community: str
    since: datetime
    at: datetime
    capacity: int
    seats_held: int
    waitlist: int
    seat_offers: int
    unanswered_count: int
    unanswered: list[WaitingView]
    approvals_count: int
    approvals: list[WaitingView]
    held_rewards: int
    confirmed_count: int
    confirmed: list[ConfirmedView]
    dormant_count: int
    dormant: list[WaitingView]
    notifications: list[CountedView]
    withheld: list[CountedView]
    text: str


def brief_view(brief: Brief) -> BriefView:
    names = [name for name in BriefView.model_fields if name != "text"]
    fields = {name: getattr(brief, name) for name in names}
    return BriefView.model_validate({**fields, "text": wording(brief)}, from_attributes=True)


def notice_view(row: Row[Any], community: Community, secret: bytes) -> NoticeView:
    """A notification in the words of its template and the times of its reader."""
    zone = zone_of(row.time_zone, community.time_zone)
    words = render(row.template, {"community": community.name, **row.params}, zone)
    kind = NotificationClass(row.notification_class)
    link = None
    if kind is not ACCOUNT and row.person_id is not None:
        wish = Unsubscription(row.recipient_id, kind, Channel(row.channel))
        link = f"/unsubscribe/{write_token(wish, secret)}"
    return NoticeView(
        id=row.id,
        notification_class=kind,
        template=row.template,
        title=words.title,
        text=words.text,
        sent_at=row.decided_at,
        about=row.about,
        reason=row.reason,
        read_at=row.read_at,
        called_advert=row.advert_at is not None,
        called_not_useful=row.not_useful_at is not None,
        unsubscribe=link,
    )


def guard_view(row: Row[Any]) -> GuardView:
    return GuardView(
        notification_id=row.id,
        notification_class=row.notification_class,
        template=row.template,
        decided_at=row.decided_at,
        outcome=row.state,
        reason=row.reason,
        policy_version=row.policy_version,
        time_zone=row.time_zone,
        steps=[StepView(**answer) for answer in row.answers],
    )
