"""A reward from the improvement that earned it to the member who has it.

proposed → held · approved · rejected; held → approved · rejected · expired; approved → issued ·
failed (retried, then abandoned); issued → delivered · expired; issued, delivered → reversed ·
irreversible. The id is derived from policy, member and cause, so an item pays once per policy,
whatever is redelivered, replayed or reopened.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from coterie_chassis.decisions import Cause, Draft, derived_id
from coterie_contracts.model import EventBody, Ledgered
from coterie_contracts.reward import HeldFor, ItemKind
from coterie_recognition.domain.catalogue import CLAIMED, FREE, Beneficiary, Item, Policy, When
from coterie_recognition.domain.ledger import Budget

__all__ = [
    "NO_CURRENCY",
    "OPEN",
    "Reward",
    "Status",
    "Trigger",
    "next_due",
    "proposal",
    "reward_id_of",
]

NO_CURRENCY: Final = "XXX"
"""ISO 4217's code for no currency, where an item costs nothing."""
DECIDE_AFTER: Final = timedelta(days=30)
UNCLAIMED_AFTER: Final = timedelta(days=180)
MOST_ATTEMPTS: Final = 5
FIRST_RETRY: Final = timedelta(minutes=5)


class Status(StrEnum):
    PROPOSED = "proposed"
    HELD = "held"
    APPROVED = "approved"
    REJECTED = "rejected"
    ISSUED = "issued"
    DELIVERED = "delivered"
    FAILED = "failed"
    ABANDONED = "abandoned"
    REVERSED = "reversed"
    IRREVERSIBLE = "irreversible"
    EXPIRED = "expired"


OPEN: Final = frozenset({Status.PROPOSED, Status.HELD, Status.APPROVED, Status.FAILED})
"""Not yet the member's: an end of the membership by removal or erasure ends these."""
GIVEN: Final = frozenset(
    {Status.APPROVED, Status.FAILED, Status.ISSUED, Status.DELIVERED, Status.IRREVERSIBLE}
)
"""Counts towards a member's cap and cooldown."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """An event that policies may follow; `cause.id` is the event's."""

    when: When
    community_id: UUID
    feedback_id: UUID
    objective_id: UUID | None
    beneficiaries: dict[Beneficiary, tuple[UUID, ...]]
    cause: Cause
    unconfirmed: bool = False

    def concerns(self, policy: Policy) -> bool:
        """Whether `policy` follows this event."""
        return (
            policy.active
            and policy.community_id == self.community_id
            and policy.when is self.when
            and (policy.also_unconfirmed or not self.unconfirmed)
            and policy.objective_id in {None, self.objective_id}
        )


@dataclass(slots=True, kw_only=True)
class Reward:
    """A reward at hand while its row is locked.

    `cause_id` is the root feedback, or the decision of a manager's judgement. `decided_by` is
    `policy` or the manager who approved, also while it is held. `queued_at` is its place among
    those that wait for money or codes; `overdue` takes it out of that line until a manager decides.
    `uncertain`: a provider was called and did not answer in time, so it is asked and never called
    anew. `live_since` is when the community left its driven clock: what was open then has its
    whole time from then on. `sequence` counts published changes.
    """

    reward_id: UUID
    community_id: UUID
    member_id: UUID
    feedback_id: UUID | None
    cause_id: UUID
    policy_id: UUID
    policy_version: int
    item_id: UUID
    item_kind: ItemKind
    item_name: str
    amount_minor: int
    currency: str
    budget_id: UUID | None
    pool_id: UUID | None
    status: Status
    needs_approval: bool
    proposed_at: datetime
    held_for: HeldFor | None = None
    held_since: datetime | None = None
    retry_at: datetime | None = None
    queued_at: datetime | None = None
    overdue: bool = False
    decided_by: str | None = None
    approved_at: datetime | None = None
    issued_at: datetime | None = None
    attempts: int = 0
    uncertain: bool = False
    sequence: int = 0
    version: int = 0
    changed_by: UUID | None = None
    live_since: datetime | None = None

    def counted_from(self, moment: datetime) -> datetime:
        """Where a term that began at `moment` is counted from."""
        return moment if self.live_since is None else max(moment, self.live_since)

    @property
    def is_free(self) -> bool:
        return self.item_kind in FREE

    @property
    def place(self) -> tuple[datetime, UUID]:
        """Its place in the line of those that wait."""
        return self.queued_at or self.proposed_at, self.reward_id

    def waits_for(self, reason: HeldFor) -> bool:
        """Whether it stands in line for money or codes."""
        return self.status is Status.HELD and self.held_for is reason and not self.overdue

    def said(self, body: type[EventBody], cause: Cause, **more: Any) -> Draft:
        """The event `body` about this reward; events of one change share its number."""
        if self.changed_by != cause.id:
            self.changed_by = cause.id
            self.sequence += 1
        facts = {
            "reward_id": self.reward_id,
            "cause_id": self.cause_id,
            "member_id": self.member_id,
            "community_id": self.community_id,
            "feedback_id": self.feedback_id,
            "policy_id": self.policy_id,
            "policy_version": self.policy_version,
            "item_kind": self.item_kind,
            "item_name": self.item_name,
        }
        return Draft(self.reward_id, body(**facts, **more), self.sequence)

    def entered(
        self,
        body: type[Ledgered],
        cause: Cause,
        budget: Budget | None,
        amount: int,
        **more: Any,
    ) -> Draft:
        """The event `body` with the balances after it; without a budget nothing moved."""
        return self.said(
            body,
            cause,
            budget_id=None if budget is None else budget.budget_id,
            ledger_sequence=None if budget is None else budget.ledger_sequence,
            amount_minor=amount,
            currency=self.currency,
            funded_minor=None if budget is None else budget.funded,
            reserved_minor=None if budget is None else budget.reserved,
            spent_minor=None if budget is None else budget.spent,
            **more,
        )


def reward_id_of(policy_id: UUID, member_id: UUID, cause_id: UUID) -> UUID:
    """The same reward for the same policy, member and cause."""
    return derived_id(policy_id, member_id, cause_id)


def proposal(
    policy: Policy,
    item: Item,
    member_id: UUID,
    *,
    cause: Cause,
    feedback_id: UUID | None,
    currency: str | None,
) -> Reward:
    """The reward that `policy` proposes for a root feedback, or else for the decision `cause`."""
    amount, limit = item.spec.amount, policy.auto_approve_up_to
    cause_id = feedback_id or cause.id
    return Reward(
        reward_id=reward_id_of(policy.policy_id, member_id, cause_id),
        community_id=policy.community_id,
        member_id=member_id,
        feedback_id=feedback_id,
        cause_id=cause_id,
        policy_id=policy.policy_id,
        policy_version=policy.version,
        item_id=item.item_id,
        item_kind=item.spec.kind,
        item_name=item.name,
        amount_minor=amount,
        currency=currency or NO_CURRENCY,
        budget_id=policy.budget_id if amount else None,
        pool_id=item.spec.pool,
        status=Status.PROPOSED,
        needs_approval=limit is None or amount > limit,
        proposed_at=cause.at,
    )


def next_due(reward: Reward) -> datetime | None:
    """When this reward needs a look without anybody's doing; a deadline is stored for it."""
    moments: list[datetime] = []
    if reward.status in {Status.PROPOSED, Status.HELD}:
        moments.append(reward.counted_from(reward.proposed_at) + UNCLAIMED_AFTER)
    if reward.status is Status.HELD and not reward.overdue:
        if reward.held_since is not None:
            moments.append(reward.counted_from(reward.held_since) + DECIDE_AFTER)
        if reward.retry_at is not None:
            moments.append(reward.retry_at)
    if reward.status is Status.ISSUED and reward.item_kind in CLAIMED and reward.issued_at:
        moments.append(reward.counted_from(reward.issued_at) + UNCLAIMED_AFTER)
    return min(moments, default=None)
