"""Events of merit, badges, rewards and budgets. Owner: recognition. No event holds a gift code."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from pydantic import Field

from coterie_contracts.model import (
    Currency,
    EventBody,
    Ledgered,
    MinorUnits,
    OpenEnum,
    Timestamp,
    UnitInterval,
)


class Band(OpenEnum):
    """Where a member stands among those of the season who are not provisional."""

    TOP = "top"
    UPPER = "upper"
    MIDDLE = "middle"
    STEADY = "steady"
    UNKNOWN = "unknown"


class MeritChanged(EventBody):
    """A member's rounded merit, band or provisional flag moved."""

    topic: ClassVar[str] = "merit.changed"

    member_id: UUID
    community_id: UUID
    season: str = Field(description="for example `2026-Q4`")
    merit: UnitInterval
    band: Band | None = Field(description="absent: provisional, or the circle is too small")
    provisional: bool
    algorithm: str = Field(description="name and version of the formula")


class Badge(OpenEnum):
    FIRST_FEEDBACK = "first_feedback"
    FIRST_IMPLEMENTED = "first_implemented"
    HELPFUL_TESTER = "helpful_tester"
    HELPFUL_RATER = "helpful_rater"
    SEASON_TOP = "season_top"
    UNKNOWN = "unknown"


class BadgeFacts(EventBody):
    badge_id: UUID = Field(description="uuid5(member_id, badge and, where seasonal, season)")
    member_id: UUID
    community_id: UUID
    badge: Badge
    season: str | None = None


class BadgeAwarded(BadgeFacts):
    """A member earned a badge."""

    topic: ClassVar[str] = "badge.awarded"


class BadgeRevoked(BadgeFacts):
    """What a badge stood on is gone."""

    topic: ClassVar[str] = "badge.revoked"


class ItemKind(OpenEnum):
    GIFT_CODE = "gift_code"
    SESSION = "session"
    PROVIDER_GIFT = "provider_gift"
    EARLY_ACCESS = "early_access"
    DONATION = "donation"
    THANKS = "thanks"
    UNKNOWN = "unknown"


class HeldFor(OpenEnum):
    BUDGET = "budget"
    POOL = "pool"
    CAP = "cap"
    COOLDOWN = "cooldown"
    SUSPENDED = "suspended"
    UNKNOWN = "unknown"


class RewardFacts(EventBody):
    reward_id: UUID = Field(description="uuid5(policy_id, member_id, cause_id)")
    cause_id: UUID = Field(description="the root feedback, or the approving decision")
    member_id: UUID
    community_id: UUID
    feedback_id: UUID | None
    policy_id: UUID
    policy_version: int = Field(ge=1)
    item_kind: ItemKind
    item_name: str = Field(max_length=80, description="the catalogue's name for it")


class RewardProposed(RewardFacts):
    """An improvement earned a reward; a manager decides unless the policy does."""

    topic: ClassVar[str] = "reward.proposed"

    amount_minor: MinorUnits
    currency: Currency
    needs_approval: bool


class RewardHeld(RewardFacts):
    """It cannot be paid now and waits, in order, for money, codes or the cap."""

    topic: ClassVar[str] = "reward.held"

    reason: HeldFor


class RewardApproved(Ledgered, RewardFacts):
    """Decided; its amount is reserved."""

    topic: ClassVar[str] = "reward.approved"

    approved_by: str = Field(description="`person:<id>` or `policy`")


class RewardRejected(RewardFacts):
    """A manager decided against it."""

    topic: ClassVar[str] = "reward.rejected"


class RewardIssued(Ledgered, RewardFacts):
    """The reward is the member's: its amount is spent, its code or session theirs alone."""

    topic: ClassVar[str] = "reward.issued"


class RewardDelivered(RewardFacts):
    """The member took it: revealed the code, or booked the session."""

    topic: ClassVar[str] = "reward.delivered"


class RewardFailed(RewardFacts):
    """An attempt to issue failed and will be made again."""

    topic: ClassVar[str] = "reward.failed"

    attempt: int = Field(ge=1)


class RewardAbandoned(Ledgered, RewardFacts):
    """Issuing was given up; the reservation is released."""

    topic: ClassVar[str] = "reward.abandoned"


class RewardReversed(Ledgered, RewardFacts):
    """An issued reward was taken back with a correcting entry."""

    topic: ClassVar[str] = "reward.reversed"


class RewardIrreversible(RewardFacts):
    """A reversal was tried and cannot be made."""

    topic: ClassVar[str] = "reward.irreversible"


class RewardExpired(Ledgered, RewardFacts):
    """It was never approved or never claimed; anything reserved is released."""

    topic: ClassVar[str] = "reward.expired"


class BudgetFunded(Ledgered):
    """Money was put into a budget."""

    topic: ClassVar[str] = "budget.funded"

    community_id: UUID


class BudgetExhausted(EventBody):
    """A reward had to wait because a budget is too low; told once until it is funded again."""

    topic: ClassVar[str] = "budget.exhausted"

    budget_id: UUID
    community_id: UUID
    available_minor: MinorUnits
    currency: Currency


class RewardPolicyChanged(EventBody):
    """A reward policy was set or switched."""

    topic: ClassVar[str] = "rewardpolicy.changed"

    policy_id: UUID
    community_id: UUID
    policy_version: int = Field(ge=1)
    active: bool
    when: str = Field(
        description="topic of the event that triggers it; `judgement`: a manager, without one"
    )
    item_id: UUID
    effective_at: Timestamp
