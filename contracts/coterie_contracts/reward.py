"""Events of merit, badges, rewards and budgets. Owner: recognition. No event holds a gift code."""

from __future__ import annotations

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from coterie_contracts.model import (
    CommunityId,
    Currency,
    EventBody,
    Ledgered,
    MemberId,
    MinorUnits,
    OpenEnum,
    Timestamp,
    Unit,
    UnitInterval,
    Version,
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
    key: ClassVar[str] = "uuid5(member_id, season)"
    sent_when: ClassVar[str] = (
        "merit is computed anew after ratings, outcomes or changes of who is in, at most once "
        "a second and community"
    )

    member_id: MemberId
    community_id: CommunityId
    season: str = Field(description="for example `2026-Q4`")
    merit: UnitInterval = Field(description="rounded to 0.01; 0.50 is this circle's average")
    band: Band | None = Field(description="absent: provisional, or the circle is too small")
    provisional: bool = Field(description="true: too few have spoken for a rank")
    algorithm: str = Field(description="name and version of the formula")


class Badge(OpenEnum):
    """For what; `season_top` is earned anew each season."""

    FIRST_FEEDBACK = "first_feedback"
    FIRST_IMPLEMENTED = "first_implemented"
    HELPFUL_TESTER = "helpful_tester"
    HELPFUL_RATER = "helpful_rater"
    SEASON_TOP = "season_top"
    UNKNOWN = "unknown"


class BadgeFacts(EventBody):
    key: ClassVar[str] = "badge_id"

    badge_id: UUID = Field(description="uuid5(member_id, badge and, where seasonal, season)")
    member_id: MemberId
    community_id: CommunityId
    badge: Badge = Field(description="for what")
    season: str | None = Field(
        default=None, description="for example `2026-Q4`; absent: not of one season"
    )


class BadgeAwarded(BadgeFacts):
    """A member earned a badge."""

    topic: ClassVar[str] = "badge.awarded"
    sent_when: ClassVar[str] = "an event completes what the badge asks for, or a season ends"


class BadgeRevoked(BadgeFacts):
    """What a badge stood on is gone."""

    topic: ClassVar[str] = "badge.revoked"
    sent_when: ClassVar[str] = (
        "the evidence falls away, for example because a suggestion is reopened"
    )


class ItemKind(OpenEnum):
    """What the member gets."""

    GIFT_CODE = "gift_code"
    SESSION = "session"
    PROVIDER_GIFT = "provider_gift"
    EARLY_ACCESS = "early_access"
    DONATION = "donation"
    THANKS = "thanks"
    UNKNOWN = "unknown"


class HeldFor(OpenEnum):
    """What a reward waits for; `suspended`: for the member's return."""

    BUDGET = "budget"
    POOL = "pool"
    CAP = "cap"
    COOLDOWN = "cooldown"
    SUSPENDED = "suspended"
    UNKNOWN = "unknown"


class RewardFacts(EventBody):
    key: ClassVar[str] = "reward_id"

    reward_id: UUID = Field(description="uuid5(policy_id, member_id, cause_id)")
    cause_id: UUID = Field(description="the root feedback, or the approving decision")
    member_id: MemberId
    community_id: CommunityId
    feedback_id: UUID | None = Field(description="absent: given by judgement")
    policy_id: UUID = Field(description="the policy that gives it")
    policy_version: Version = Field(description="that decided")
    item_kind: ItemKind = Field(description="what the member gets")
    item_name: str = Field(max_length=80, description="the catalogue's name for it")


class RewardProposed(RewardFacts):
    """An improvement earned a reward; a manager decides unless the policy does."""

    topic: ClassVar[str] = "reward.proposed"
    sent_when: ClassVar[str] = (
        "a policy's condition is met, or a manager awards by judgement (`POST "
        "/policies/{id}/award`)"
    )

    amount_minor: MinorUnits
    currency: Currency
    needs_approval: bool = Field(description="false: the policy decides")


class RewardHeld(RewardFacts):
    """It cannot be paid now and waits, in order, for money, codes or the cap."""

    topic: ClassVar[str] = "reward.held"
    sent_when: ClassVar[str] = (
        "a decided reward meets an obstacle, and again when another obstacle takes its place"
    )

    reason: HeldFor = Field(description="what it waits for")


class RewardApproved(Ledgered, RewardFacts):
    """Decided; its amount is reserved."""

    topic: ClassVar[str] = "reward.approved"
    sent_when: ClassVar[str] = (
        "it is decided, by policy or by a manager (`POST /rewards/{id}/approve`), and nothing "
        "stands in the way"
    )

    approved_by: str = Field(description="`person:<id>` or `policy`")


class RewardRejected(RewardFacts):
    """A manager decided against it."""

    topic: ClassVar[str] = "reward.rejected"
    sent_when: ClassVar[str] = "a manager rejects it (`POST /rewards/{id}/reject`)"


class RewardIssued(Ledgered, RewardFacts):
    """The reward is the member's: its amount is spent, its code or session theirs alone."""

    topic: ClassVar[str] = "reward.issued"
    sent_when: ClassVar[str] = "an approved reward is given: at once, or when its provider confirms"


class RewardDelivered(RewardFacts):
    """The member took it: revealed the code, or booked the session."""

    topic: ClassVar[str] = "reward.delivered"
    sent_when: ClassVar[str] = "the member reveals it (`POST /rewards/{id}/reveal`)"


class RewardFailed(RewardFacts):
    """An attempt to issue failed and will be made again."""

    topic: ClassVar[str] = "reward.failed"
    sent_when: ClassVar[str] = "a provider refuses or cannot be reached"

    attempt: Annotated[int, Unit("attempts")] = Field(ge=1, description="so far, this included")


class RewardAbandoned(Ledgered, RewardFacts):
    """Issuing was given up; the reservation is released."""

    topic: ClassVar[str] = "reward.abandoned"
    sent_when: ClassVar[str] = (
        "the last attempt fails, or the member is removed or erased before it was issued"
    )


class RewardReversed(Ledgered, RewardFacts):
    """An issued reward was taken back with a correcting entry."""

    topic: ClassVar[str] = "reward.reversed"
    sent_when: ClassVar[str] = "a manager takes it back (`POST /rewards/{id}/reverse`)"


class RewardIrreversible(RewardFacts):
    """A reversal was tried and cannot be made."""

    topic: ClassVar[str] = "reward.irreversible"
    sent_when: ClassVar[str] = (
        "a manager tries to take back what has left the platform (`POST /rewards/{id}/reverse`)"
    )


class RewardExpired(Ledgered, RewardFacts):
    """It was never approved or never claimed; anything reserved is released."""

    topic: ClassVar[str] = "reward.expired"
    sent_when: ClassVar[str] = (
        "180 days pass without a decision or without being claimed, or the member is removed "
        "or erased"
    )


class BudgetFunded(Ledgered):
    """Money was put into a budget."""

    topic: ClassVar[str] = "budget.funded"
    key: ClassVar[str] = "budget_id"
    sent_when: ClassVar[str] = "a manager funds it (`POST /budgets/{id}/fund`)"

    community_id: CommunityId


class BudgetExhausted(EventBody):
    """A reward had to wait because a budget is too low; told once until it is funded again."""

    topic: ClassVar[str] = "budget.exhausted"
    key: ClassVar[str] = "budget_id"
    sent_when: ClassVar[str] = "the first reward since the last funding is held for money"

    budget_id: UUID = Field(description="the budget")
    community_id: CommunityId
    available_minor: MinorUnits = Field(description="neither reserved nor spent")
    currency: Currency


class RewardPolicyChanged(EventBody):
    """A reward policy was set or switched."""

    topic: ClassVar[str] = "rewardpolicy.changed"
    key: ClassVar[str] = "policy_id"
    sent_when: ClassVar[str] = (
        "a manager sets a policy or switches it on or off (`POST /policies`, `PUT "
        "/policies/{id}`); on a community's first day for the templates"
    )

    policy_id: UUID = Field(description="the policy")
    community_id: CommunityId
    policy_version: Version = Field(description="in force from `effective_at` on")
    active: bool = Field(description="false: it proposes nothing")
    when: str = Field(
        description="topic of the event that triggers it; `judgement`: a manager, without one"
    )
    item_id: UUID = Field(description="of the catalogue: what it gives")
    effective_at: Timestamp = Field(description="decides what happens from then on")
