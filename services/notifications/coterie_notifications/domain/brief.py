"""What a manager reads on Monday: what waits, what members confirmed, what was held back.

Every figure is as of one instant, from times kept beside the facts, so that the brief of a past
Monday can be made again after everything has moved on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

__all__ = [
    "DORMANT_AFTER",
    "SHOWN",
    "WEEK",
    "Brief",
    "Confirmed",
    "Counted",
    "Waiting",
    "why_withheld",
    "wording",
]

WEEK: Final = timedelta(days=7)
DORMANT_AFTER: Final = timedelta(days=90)
SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that waits for staff; `name` is absent where nobody has named it yet."""

    id: UUID
    since: datetime
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A change that members confirmed."""

    feedback_id: UUID
    at: datetime
    label: str | None
    by: str


@dataclass(frozen=True, slots=True)
class Counted:
    """How many notifications of a class ended how; `sent`, `bundled` and `digest_pending` reached
    their recipient, every other reason withheld them."""

    notification_class: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """As of `at`; what happened is counted in (since, at]. Lists hold the first few, oldest first;
    the counts beside them hold all."""

    community_id: UUID
    community: str
    since: datetime
    at: datetime
    capacity: int
    seats_held: int
    waitlist: int
    seat_offers: int
    unanswered_count: int
    unanswered: tuple[Waiting, ...]
    approvals_count: int
    approvals: tuple[Waiting, ...]
    held_rewards: int
    confirmed_count: int
    confirmed: tuple[Confirmed, ...]
    dormant_count: int
    dormant: tuple[Waiting, ...]
    notifications: tuple[Counted, ...]

    @property
    def withheld(self) -> tuple[Counted, ...]:
        return tuple(c for c in self.notifications if c.reason not in _REACHED)

    @property
    def reached(self) -> int:
        return sum(c.count for c in self.notifications if c.reason in _REACHED)

    @property
    def says_something(self) -> bool:
        """Whether anything waits or happened; a brief that says nothing is not sent."""
        return bool(
            self.waitlist
            or self.unanswered_count
            or self.approvals_count
            or self.held_rewards
            or self.confirmed_count
            or self.reached
            or self.withheld
        )


def wording(brief: Brief) -> str:
    """The brief as a manager reads it, one line a subject; no member is named."""
    return "\n".join(_lines(brief))


def _lines(brief: Brief) -> Iterator[str]:
    free = max(0, brief.capacity - brief.seats_held)
    yield f"Seats: {brief.seats_held} of {brief.capacity} held, {free} free"
    yield f"Waitlist: {brief.waitlist} waiting, {_count(brief.seat_offers, 'seat offer')} open"
    yield f"Suggestions without an answer: {brief.unanswered_count}{_oldest(brief, 'unanswered')}"
    yield f"Rewards to approve: {brief.approvals_count}{_oldest(brief, 'approvals')}"
    if brief.held_rewards:
        yield f"Rewards that wait for money, codes or time: {brief.held_rewards}"
    yield f"Confirmed by members: {brief.confirmed_count}"
    for item in brief.confirmed:
        yield f"  {item.label or 'a change'} (by {item.by})"
    yield f"Seats without activity for {DORMANT_AFTER.days} days: {brief.dormant_count}"
    yield f"Notifications: {brief.reached} told, {sum(c.count for c in brief.withheld)} withheld"
    for counted in brief.withheld:
        yield f"  {counted.count} x {counted.notification_class}: {why_withheld(counted.reason)}"


def why_withheld(reason: str) -> str:
    """The guard's reason in a manager's words."""
    return _WHY.get(reason, reason.replace("_", " "))


def _oldest(brief: Brief, what: str) -> str:
    waiting: tuple[Waiting, ...] = getattr(brief, what)
    if not waiting:
        return ""
    days = (brief.at - waiting[0].since).days
    return f", the oldest for {_count(days, 'day')}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


_REACHED: Final = frozenset({"sent", "bundled", "digest_pending"})
_WHY: Final = {
    "relation": "no longer, or not yet, somebody whom this reaches",
    "unsubscribed": "the member does not want these",
    "duplicate": "told before",
    "expired": "too late to matter",
    "cap": "had the most for now",
    "ratio": "too little of value between offers",
    "too_new": "a member for too short a time",
    "gap": "too soon after the last offer",
    "open_look_again": "was asked to look again and has not answered",
    "bad_news": "had bad news a short while ago",
    "not_useful": "called an offer not useful",
}
