"""What each person was sent and under which policy, as the guard must have seen it.

The order of decisions is `recipient_sequence`: messages may be entered later than others although
they were sent earlier. What a member marked as an advert counts as an offer from the mark on;
where the mark and a decision share one instant their order is unknown, and either count is right.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from coterie_contracts.envelope import Event
from coterie_contracts.notification import (
    GuardPolicyChanged,
    NotificationClass,
    NotificationMarked,
    NotificationSent,
)
from coterie_local.audit.facts import Log

__all__ = ["Histories", "Policy", "Range", "Sent", "is_offer", "sent_by_person"]

Sent: TypeAlias = Event[NotificationSent]


@dataclass(frozen=True, slots=True)
class Policy:
    """The limits for offers under one version of a community's guard policy."""

    cap: int
    window: timedelta
    ratio: float
    ratio_window: timedelta = timedelta(days=28)
    since: datetime | None = None


DEFAULT: Final = Policy(cap=2, window=timedelta(days=28), ratio=0.25)


@dataclass(frozen=True, slots=True)
class Range:
    """The counts that some order of marks and messages of one instant gives."""

    least: int
    most: int

    def __contains__(self, count: object) -> bool:
        return isinstance(count, int) and self.least <= count <= self.most

    def settle(self, stated: int | None, otherwise: int) -> int:
        """The stated count where it is one of these."""
        return stated if stated is not None and stated in self else otherwise

    def __str__(self) -> str:
        return str(self.least) if self.least == self.most else f"{self.least} to {self.most}"


class Histories:
    """Who was sent what, in which order, and under which policy.

    A message on two channels is one. `account` messages have no order here and count nowhere but
    as the adverts that their readers called them.
    """

    def __init__(self, log: Log) -> None:
        self._policies: dict[UUID, dict[int, Policy]] = defaultdict(dict)
        for change in log.of(GuardPolicyChanged):
            self._policies[change.data.community_id][change.data.policy_version] = Policy(
                cap=change.data.offer_cap,
                window=timedelta(days=change.data.offer_window_days),
                ratio=change.data.offer_ratio,
                ratio_window=timedelta(days=change.data.offer_ratio_window_days),
                since=change.time,
            )
        self._adverts: dict[UUID, datetime] = {}
        for mark in log.of(NotificationMarked):
            if mark.data.mark == "advert":
                known = self._adverts.get(mark.data.notification_id, mark.time)
                self._adverts[mark.data.notification_id] = min(known, mark.time)
        persons = sent_by_person(log)
        for sent in self._account_adverts(log):
            persons[person_of(sent)].append(sent)
        self._by_time = {
            person: sorted(messages, key=_sent_at) for person, messages in persons.items()
        }

    @property
    def offers(self) -> list[Sent]:
        return [sent for sent in self.all if is_offer(sent)]

    @property
    def all(self) -> list[Sent]:
        return [sent for history in self._by_time.values() for sent in history]

    def policy(self, sent: Sent) -> Policy | str:
        """The policy that `sent` names, or why it cannot be the one in force."""
        versions, named = self._policies[sent.data.community_id], sent.data.policy_version
        policy = versions.get(named, DEFAULT if named == 1 else None)
        if policy is None:
            return f"names guard policy {named}, which was never published"
        if policy.since is not None and policy.since > sent.data.sent_at:
            return f"names guard policy {named}, which came into force later"
        for version, other in versions.items():
            if version > named and other.since is not None and other.since < sent.data.sent_at:
                return f"names guard policy {named}, when {version} was in force"
        return policy

    def offers_in(self, sent: Sent, window: timedelta) -> int:
        """Offers in (t - window, t], `sent` included, entered before or after it."""
        at = sent.data.sent_at
        return 1 + sum(
            is_offer(one) or (self._advert(one, at, at_once=False) and _ordered(one, sent))
            for one in self._within(sent, window)
        )

    def offers_before(self, sent: Sent, window: timedelta) -> Range:
        """Offers in (t - window, t] that had counted when `sent` was decided."""
        at, earlier = sent.data.sent_at, self._before(sent, window)
        return Range(
            sum(is_offer(one) or self._advert(one, at, at_once=False) for one in earlier),
            sum(is_offer(one) or self._advert(one, at, at_once=True) for one in earlier),
        )

    def in_class_before(self, sent: Sent, window: timedelta) -> Range:
        """Messages of its class to the same recipient in (t - window, t]."""
        count = sum(
            one.data.notification_class is sent.data.notification_class
            and one.data.recipient_id == sent.data.recipient_id
            for one in self._before(sent, window)
        )
        return Range(count, count)

    def value_before(self, sent: Sent, window: timedelta) -> Range:
        """Value messages in (t - window, t], one community message a local day at most."""
        at = sent.data.sent_at
        value = [
            one
            for one in self._before(sent, window)
            if one.data.recipient_id == sent.data.recipient_id and not is_offer(one)
        ]
        return Range(
            _value([one for one in value if not self._advert(one, at, at_once=True)]),
            _value([one for one in value if not self._advert(one, at, at_once=False)]),
        )

    def _account_adverts(self, log: Log) -> Iterator[Sent]:
        marked = {
            sent.data.notification_id: sent
            for sent in log.of(NotificationSent)
            if sent.data.notification_class is NotificationClass.ACCOUNT
            and sent.data.notification_id in self._adverts
        }
        yield from marked.values()

    def _before(self, sent: Sent, window: timedelta) -> list[Sent]:
        return [one for one in self._within(sent, window) if _ordered(one, sent)]

    def _within(self, sent: Sent, window: timedelta) -> Iterator[Sent]:
        history, at = self._by_time[person_of(sent)], sent.data.sent_at
        first = bisect_right(history, at - window, key=_sent_at)
        for one in history[first : bisect_right(history, at, key=_sent_at)]:
            if one is not sent:
                yield one

    def _advert(self, one: Sent, at: datetime, *, at_once: bool) -> bool:
        """Whether its reader had called it an advert before `at`, or `at_once` at that instant."""
        marked = self._adverts.get(one.data.notification_id)
        return marked is not None and (marked < at or (at_once and marked == at))


def sent_by_person(log: Log) -> dict[tuple[UUID | None, UUID], list[Sent]]:
    """Each person's messages by `recipient_sequence`, those of class `account` apart."""
    persons: dict[tuple[UUID | None, UUID], list[Sent]] = defaultdict(list)
    told: set[UUID] = set()
    for sent in sorted(
        log.of(NotificationSent), key=lambda e: (e.data.recipient_sequence or 0, e.id)
    ):
        if sent.data.notification_class is NotificationClass.ACCOUNT:
            continue
        if sent.data.notification_id not in told:
            told.add(sent.data.notification_id)
            persons[person_of(sent)].append(sent)
    return persons


def person_of(sent: Sent) -> tuple[UUID | None, UUID]:
    """The person within the brand, so that two communities do not send twice as much."""
    return sent.brand_id or sent.community_id, sent.data.person_id or sent.data.recipient_id


def _sent_at(sent: Sent) -> datetime:
    return sent.data.sent_at


def _ordered(one: Sent, other: Sent) -> bool:
    return (one.data.recipient_sequence or 0) < (other.data.recipient_sequence or 0)


def is_offer(sent: Sent) -> bool:
    return sent.data.notification_class is NotificationClass.OFFER or sent.data.counted_as_offer


def _value(messages: list[Sent]) -> int:
    days = {
        one.data.sent_at.astimezone(_zone(one.data.time_zone)).date()
        for one in messages
        if one.data.notification_class is NotificationClass.COMMUNITY
    }
    personal = sum(
        1 for one in messages if one.data.notification_class is NotificationClass.PERSONAL
    )
    return personal + len(days)


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC
