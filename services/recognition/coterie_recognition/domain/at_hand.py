"""What stands between a decided reward and its member, judged over what is at hand.

In this order: suspended, cap, cooldown, budget, pool. A per-member cap holds across policies, and
nobody overtakes who waits in the same line for money or codes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from coterie_contracts.member import MemberStatus
from coterie_contracts.reward import HeldFor
from coterie_recognition.domain.catalogue import POOL_LOW, Item, Policy
from coterie_recognition.domain.ledger import Budget
from coterie_recognition.domain.rewards import Reward
from coterie_recognition.domain.seasons import season_of

__all__ = ["AtHand", "Obstacle", "Pool"]

Obstacle = tuple[HeldFor, datetime | None]
"""Why a reward waits, and when to look again without anybody's doing."""


@dataclass(slots=True)
class Pool:
    """A pool of gift codes; `free` codes belong to nobody yet."""

    pool_id: UUID
    community_id: UUID
    name: str
    free: int = 0
    total: int = 0

    @property
    def low(self) -> bool:
        """Whether managers are warned; a pool that never had codes is none."""
        return self.total > 0 and self.free <= POOL_LOW


@dataclass(slots=True, kw_only=True)
class AtHand:
    """One community's loaded and locked state.

    `policies` has every version, by id and version. `given` is what members were given lately, by
    member and reward: (approved_at, minor units). `members` lacks whom this service has not heard
    of; `erased` are never paid again.
    """

    community_id: UUID
    zone: str
    policies: dict[tuple[UUID, int], Policy] = field(default_factory=dict)
    items: dict[UUID, Item] = field(default_factory=dict)
    budgets: dict[UUID, Budget] = field(default_factory=dict)
    pools: dict[UUID, Pool] = field(default_factory=dict)
    rewards: dict[UUID, Reward] = field(default_factory=dict)
    given: dict[UUID, dict[UUID, tuple[datetime, int]]] = field(default_factory=dict)
    members: dict[UUID, MemberStatus] = field(default_factory=dict)
    erased: set[UUID] = field(default_factory=set)

    def may_be_paid(self, member_id: UUID) -> bool:
        """Who left is paid; who was removed or erased is not."""
        removed = self.members.get(member_id) is MemberStatus.REMOVED
        return not removed and member_id not in self.erased

    def policies_in_force(self) -> list[Policy]:
        """The latest version of each policy, by id."""
        latest: dict[UUID, Policy] = {}
        for _, policy in sorted(self.policies.items()):
            latest[policy.policy_id] = policy
        return list(latest.values())

    def policy_in_force(self, policy_id: UUID) -> Policy | None:
        """The latest version of a policy, if there is one."""
        found = [p for (id_, _), p in self.policies.items() if id_ == policy_id]
        return max(found, key=lambda policy: policy.version, default=None)

    def obstacle(self, reward: Reward, at: datetime) -> Obstacle | None:
        """Why a reward cannot be paid at `at`, if anything stands in the way."""
        if self.members.get(reward.member_id) is MemberStatus.SUSPENDED:
            return HeldFor.SUSPENDED, None
        if reward.is_free:
            return None
        return self._limit(reward, at) or self._shortage(reward, at)

    def _limit(self, reward: Reward, at: datetime) -> Obstacle | None:
        policy = self.policies[reward.policy_id, reward.policy_version]
        given = self.given.get(reward.member_id, {})
        others = [entry for id_, entry in given.items() if id_ != reward.reward_id]
        season = season_of(at, self.zone)
        start, end = season.starts_at(self.zone), season.ends_at(self.zone)
        this_season = [minor for moment, minor in others if start <= moment < end]
        too_many = len(this_season) + 1 > policy.cap_rewards
        if too_many or sum(this_season) + reward.amount_minor > policy.cap_minor:
            return HeldFor.CAP, end
        if others:
            cooled = max(moment for moment, _ in others) + timedelta(days=policy.cooldown_days)
            if at < cooled:
                return HeldFor.COOLDOWN, cooled
        return None

    def _shortage(self, reward: Reward, at: datetime) -> Obstacle | None:
        place = (reward.queued_at or at, reward.reward_id)
        if reward.budget_id is not None:
            budget = self.budgets[reward.budget_id]
            if budget.available < reward.amount_minor or self._is_behind(
                reward, place, HeldFor.BUDGET
            ):
                return HeldFor.BUDGET, None
        if reward.pool_id is not None:
            pool = self.pools[reward.pool_id]
            if pool.free < 1 or self._is_behind(reward, place, HeldFor.POOL):
                return HeldFor.POOL, None
        return None

    def _is_behind(self, reward: Reward, place: tuple[datetime, UUID], reason: HeldFor) -> bool:
        """Whether somebody stands before it in the line for the same money or codes."""
        for other in self.rewards.values():
            if other.reward_id == reward.reward_id or not other.waits_for(reason):
                continue
            of_money = other.budget_id == reward.budget_id
            same_line = of_money if reason is HeldFor.BUDGET else other.pool_id == reward.pool_id
            if same_line and other.place < place:
                return True
        return False
