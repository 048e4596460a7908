"""What the guard answers: a decision with each step's answer and every figure that it used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from coterie_contracts.notification import Channel, GuardReason
from coterie_notifications.domain.ledger import Entry
from coterie_notifications.domain.notice import Notice
from coterie_notifications.domain.quiet_hours import Zone, local_day

__all__ = ["Answer", "Decision", "Delivery", "Figures", "Step"]


class Step(StrEnum):
    """The guard's questions, in its order."""

    RELATION = "relation"
    SUBSCRIPTION = "subscription"
    FRESHNESS = "freshness"
    CAP = "cap"
    RATIO = "ratio"
    REST = "rest"
    QUIET_HOURS = "quiet_hours"
    PRIORITY = "priority"
    SEND = "send"


@dataclass(frozen=True, slots=True)
class Answer:
    """One step's answer, in words that a manager reads."""

    step: Step
    passed: bool
    says: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """A channel to use; an outward one may have to wait until `not_before`."""

    channel: Channel
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was counted, so that an auditor can count again. Windows in days."""

    window_days: int | None = None
    count_before: int | None = None
    cap: int | None = None
    offers_before: int | None = None
    value_count: int | None = None
    ratio_limit: float | None = None
    ratio_window_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`deliveries` is empty where the notice is withheld, and `reason` says why."""

    notice: Notice
    reason: GuardReason
    answers: tuple[Answer, ...]
    deliveries: tuple[Delivery, ...]
    figures: Figures
    policy_version: int
    zone: Zone

    @property
    def sent(self) -> bool:
        return bool(self.deliveries)

    def entry(self) -> Entry:
        """The ledger's entry for a notice that was sent."""
        return Entry(
            notification_id=self.notice.id,
            recipient_id=self.notice.recipient_id,
            notification_class=self.notice.notification_class,
            sent_at=self.notice.at,
            local_day=local_day(self.notice.at, self.zone),
        )
