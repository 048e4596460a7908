"""The guard decides every notification, in one order, and says why.

An offer passes every limit or is withheld; a personal message is bundled and never dropped; an
account message always passes. The decision is a pure function of the notice, its recipient, the
ledger of what that person was sent, the policy and the notice's own time, so it can be made again
from the log and give the same answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, NoReturn

from coterie_contracts.notification import Channel, GuardReason, NotificationClass
from coterie_notifications.domain.decision import Answer, Decision, Delivery, Figures, Step
from coterie_notifications.domain.ledger import Ledger
from coterie_notifications.domain.notice import (
    Notice,
    OfferFacts,
    Priority,
    Recipient,
    Relation,
)
from coterie_notifications.domain.policy import (
    BAD_NEWS_REST,
    NOT_USEFUL_OFF_WITHIN,
    NOT_USEFUL_PAUSE,
    GuardPolicy,
)

__all__ = ["decide", "why_paused"]

ACCOUNT: Final = NotificationClass.ACCOUNT
PERSONAL: Final = NotificationClass.PERSONAL
COMMUNITY: Final = NotificationClass.COMMUNITY
OFFER: Final = NotificationClass.OFFER


def decide(
    notice: Notice,
    recipient: Recipient,
    ledger: Ledger,
    policy: GuardPolicy,
    *,
    channels: Sequence[Channel],
    duplicate: bool = False,
) -> Decision:
    """Put `notice` before the guard.

    `channels` are those that exist, in order of preference; outward ones are dropped where the
    cause is replayed or its community runs on a driven clock.
    """
    return _Guard(notice, recipient, ledger, policy).decide(channels, duplicate=duplicate)


class _Withheld(Exception):
    def __init__(self, reason: GuardReason) -> None:
        self.reason = reason


class _Guard:
    """One decision under way."""

    def __init__(
        self, notice: Notice, recipient: Recipient, ledger: Ledger, policy: GuardPolicy
    ) -> None:
        self.notice = notice
        self.recipient = recipient
        self.ledger = ledger
        self.policy = policy
        self.answers: list[Answer] = []
        self.figures = Figures()
        self.inbox_only: GuardReason | None = None

    def decide(self, channels: Sequence[Channel], *, duplicate: bool) -> Decision:
        deliveries: tuple[Delivery, ...] = ()
        try:
            self._relation()
            open_channels = self._subscription(channels)
            self._freshness(duplicate=duplicate)
            self._cap()
            self._ratio()
            self._rest()
            deliveries = self._quiet_hours(open_channels)
            deliveries = self._priority(deliveries)
            reason = self.inbox_only or GuardReason.SENT
            self._say(Step.SEND, ", ".join(d.channel.value for d in deliveries))
        except _Withheld as withheld:
            reason = withheld.reason
        return Decision(
            notice=self.notice,
            reason=reason,
            answers=tuple(self.answers),
            deliveries=deliveries,
            figures=self.figures,
            policy_version=self.policy.version,
            zone=self.recipient.zone,
        )

    def _say(self, step: Step, says: str) -> None:
        self.answers.append(Answer(step, True, says))

    def _withhold(self, step: Step, reason: GuardReason, says: str) -> NoReturn:
        self.answers.append(Answer(step, False, says))
        raise _Withheld(reason)

    def _relation(self) -> None:
        relation, kind = self.recipient.relation, self.notice.notification_class
        says = f"{kind} to {relation}"
        if not _reaches(self.notice, relation):
            self._withhold(Step.RELATION, GuardReason.RELATION, f"{says}: not reached")
        self._say(Step.RELATION, says)

    def _subscription(self, channels: Sequence[Channel]) -> tuple[Channel, ...]:
        kind, cause = self.notice.notification_class, self.notice.cause
        stays_inside = cause.replayed or cause.clock != "wall"
        left = tuple(
            channel
            for channel in channels
            if channel not in self.recipient.unreachable
            and not (stays_inside and channel is not Channel.INBOX)
            and (kind is ACCOUNT or f"{kind}/{channel}" not in self.recipient.unsubscribed)
        )
        if not left:
            self._withhold(
                Step.SUBSCRIPTION, GuardReason.UNSUBSCRIBED, f"no channel is left for {kind}"
            )
        self._say(Step.SUBSCRIPTION, f"may use {', '.join(left)}")
        return left

    def _freshness(self, *, duplicate: bool) -> None:
        expires = self.notice.expires_at
        if duplicate:
            self._withhold(Step.FRESHNESS, GuardReason.DUPLICATE, "told before")
        if expires is not None and expires <= self.notice.at:
            self._withhold(Step.FRESHNESS, GuardReason.EXPIRED, f"expired at {expires:%F %R} UTC")
        self._say(Step.FRESHNESS, "new, and not expired")

    def _cap(self) -> None:
        kind, at, policy = self.notice.notification_class, self.notice.at, self.policy
        if kind is ACCOUNT:
            self._say(Step.CAP, "account messages have no cap")
            return
        who = self.notice.recipient_id
        cap, days = {
            OFFER: (policy.offer_cap, policy.offer_window_days),
            COMMUNITY: (policy.community_cap, policy.community_window_days),
            PERSONAL: (policy.personal_cap_per_day, 1),
        }[kind]
        window = timedelta(days=days)
        if kind is OFFER:
            before = self.ledger.offers(at, window, at)
            most = self.ledger.most_offers_around(at, window)
        else:
            before = self.ledger.of_class(kind, who, at, window)
            most = self.ledger.most_of_class_around(kind, who, at, window)
        self.figures = Figures(window_days=days, count_before=before, cap=cap)
        says = f"{most} of {cap} in {days} d"
        if most + 1 <= cap:
            self._say(Step.CAP, says)
        elif kind is PERSONAL:
            self.inbox_only = GuardReason.BUNDLED
            self._say(Step.CAP, f"{says}: bundled")
        else:
            self._withhold(Step.CAP, GuardReason.CAP, says)

    def _ratio(self) -> None:
        if self.notice.notification_class is not OFFER:
            self._say(Step.RATIO, "asked of offers only")
            return
        at, who, policy = self.notice.at, self.notice.recipient_id, self.policy
        window = timedelta(days=policy.offer_ratio_window_days)
        offers = self.ledger.offers(at, window, at)
        value = self.ledger.value(who, at, window, at)
        self.figures = replace(
            self.figures,
            offers_before=offers,
            value_count=value,
            ratio_limit=policy.offer_ratio,
            ratio_window_days=policy.offer_ratio_window_days,
        )
        says = (
            f"{offers} + 1 offers to {value} messages of value in "
            f"{policy.offer_ratio_window_days} d, at most {policy.offer_ratio:g} of them"
        )
        if not self.ledger.keeps_ratio(who, at, window, policy.offer_ratio):
            self._withhold(Step.RATIO, GuardReason.RATIO, says)
        self._say(Step.RATIO, says)

    def _rest(self) -> None:
        if self.notice.notification_class is not OFFER:
            self._say(Step.REST, "asked of offers only")
            return
        for reason, says in _reasons_to_rest(
            self.notice.at, self.recipient.offers, self.ledger, self.policy
        ):
            self._withhold(Step.REST, reason, says)
        self._say(Step.REST, "nothing speaks against an offer now")

    def _quiet_hours(self, channels: Sequence[Channel]) -> tuple[Delivery, ...]:
        until = self.recipient.quiet.not_before(self.notice.at, self.recipient.zone)
        zone = self.recipient.zone
        flag = " (the recipient's is unknown)" if zone.fallback else ""
        if until is None:
            self._say(Step.QUIET_HOURS, f"not quiet in {zone.name}{flag}")
        else:
            self._say(
                Step.QUIET_HOURS,
                f"quiet in {zone.name}{flag} until {until:%F %R} UTC; the inbox does not wait",
            )
        return tuple(
            Delivery(channel, None if channel is Channel.INBOX else until) for channel in channels
        )

    def _priority(self, deliveries: tuple[Delivery, ...]) -> tuple[Delivery, ...]:
        if self.notice.priority is Priority.LOW and self.inbox_only is None:
            self.inbox_only = GuardReason.DIGEST_PENDING
        if self.inbox_only is None:
            self._say(Step.PRIORITY, f"{self.notice.priority.name.lower()}: at once")
            return deliveries
        inbox = tuple(d for d in deliveries if d.channel is Channel.INBOX)
        self._say(Step.PRIORITY, f"{self.inbox_only}: the inbox only")
        return inbox or deliveries[:1]


def _reaches(notice: Notice, relation: Relation) -> bool:
    if relation is Relation.ERASED:
        return notice.parting
    match notice.notification_class:
        case NotificationClass.ACCOUNT:
            gone = {Relation.LEFT, Relation.RELEASED, Relation.REMOVED}
            return relation not in gone or notice.owed
        case NotificationClass.PERSONAL:
            return relation in {Relation.ACTIVE, Relation.SUSPENDED}
        case _:
            return relation is Relation.ACTIVE


def _reasons_to_rest(
    at: datetime, facts: OfferFacts, ledger: Ledger, policy: GuardPolicy
) -> Iterable[tuple[GuardReason, str]]:
    since = facts.member_since
    if since is None or at - since < timedelta(days=policy.offer_after_days):
        yield GuardReason.TOO_NEW, f"a member for less than {policy.offer_after_days} d"
    nearest = ledger.nearest_offer(at)
    if nearest is not None and nearest < timedelta(days=policy.offer_gap_days):
        yield GuardReason.GAP, f"another offer {nearest.days} d away, {policy.offer_gap_days} asked"
    if facts.open_look_again:
        yield GuardReason.OPEN_LOOK_AGAIN, "was asked to look again and has not answered"
    if facts.bad_news_at is not None and at - facts.bad_news_at < BAD_NEWS_REST:
        yield GuardReason.BAD_NEWS, f"bad news at {facts.bad_news_at:%F %R} UTC"
    if says := why_paused(at, facts):
        yield GuardReason.NOT_USEFUL, says


def why_paused(at: datetime, facts: OfferFacts) -> str | None:
    """Why this member gets no offers at `at` by their own word; None if they may."""
    marks = sorted(
        mark
        for mark in facts.not_useful_at
        if mark <= at and (facts.resumed_at is None or mark > facts.resumed_at)
    )
    for first, second in pairwise(marks):
        if second - first <= NOT_USEFUL_OFF_WITHIN:
            return "called offers not useful twice: off until turned on again"
    if marks and at - marks[-1] < NOT_USEFUL_PAUSE:
        return f"called an offer not useful at {marks[-1]:%F %R} UTC"
    return None
