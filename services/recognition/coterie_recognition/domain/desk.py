"""Where a community's rewards are decided, one after another, over what is at hand.

A desk is the loaded and locked state of one community: budgets, pools, the rewards concerned and
those that wait. Decisions change it in memory and gather events and ledger entries; nothing here
reads or writes. What cannot be paid is held in order: nobody overtakes who waits for the same
money or codes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from coterie_chassis.decisions import Cause, Draft, Forbidden, NotFound, Refusal
from coterie_contracts.model import Ledgered
from coterie_contracts.reward import (
    HeldFor,
    ItemKind,
    RewardAbandoned,
    RewardApproved,
    RewardDelivered,
    RewardExpired,
    RewardFailed,
    RewardHeld,
    RewardIrreversible,
    RewardIssued,
    RewardProposed,
    RewardRejected,
    RewardReversed,
)
from coterie_recognition.domain.at_hand import AtHand, Obstacle
from coterie_recognition.domain.catalogue import (
    CLAIMED,
    PROVIDED,
    Policy,
    When,
    announcement,
    check,
)
from coterie_recognition.domain.ledger import Budget, Move
from coterie_recognition.domain.rewards import (
    DECIDE_AFTER,
    FIRST_RETRY,
    GIVEN,
    MOST_ATTEMPTS,
    OPEN,
    UNCLAIMED_AFTER,
    Reward,
    Status,
    Trigger,
    proposal,
    reward_id_of,
)

__all__ = ["BY_POLICY", "Desk"]

BY_POLICY: Final = "policy"


@dataclass(slots=True, kw_only=True)
class Desk(AtHand):
    """One community's desk.

    `taken` gathers which pool gives a code to which reward, `unheard` whom a trigger concerns and
    this service has not heard of yet.
    """

    changed: dict[UUID, Reward] = field(default_factory=dict)
    taken: list[tuple[UUID, UUID]] = field(default_factory=list)
    drafts: list[tuple[Cause, Draft]] = field(default_factory=list)
    unheard: list[tuple[Trigger, UUID]] = field(default_factory=list)
    new_policies: list[Policy] = field(default_factory=list)

    def set_policy(self, policy: Policy, cause: Cause) -> None:
        """Put a new version of a policy in force. Raises `Refusal` for one that cannot work."""
        check(policy, self.items[policy.item_id])
        self.policies[policy.policy_id, policy.version] = policy
        self.new_policies.append(policy)
        self.drafts.append((cause, announcement(policy, cause)))

    def adopt(self, budget: Budget, cause: Cause) -> None:
        """A community's first budget pays for the templates that wait for one."""
        self.budgets[budget.budget_id] = budget
        for policy in self.policies_in_force():
            if policy.awaits_funding and policy.budget_id is None:
                version = policy.version + 1
                self.set_policy(replace(policy, version=version, budget_id=budget.budget_id), cause)

    def turn_on_funded(self, cause: Cause) -> None:
        """Turn templates on that waited until there was money and there were codes."""
        for policy in self.policies_in_force():
            budget = self.budgets.get(policy.budget_id) if policy.budget_id else None
            pool = self.pools.get(self.items[policy.item_id].spec.pool or policy.item_id)
            if policy.awaits_funding and budget and budget.funded and pool and pool.total:
                on = replace(policy, version=policy.version + 1, active=True, awaits_funding=False)
                self.set_policy(on, cause)

    def propose(self, trigger: Trigger) -> None:
        """Propose what the policies in force give for an event, once per policy and member."""
        current = self.policies_in_force()
        for policy in sorted(current, key=lambda p: p.policy_id):
            if not trigger.concerns(policy):
                continue
            for member in sorted(set(trigger.beneficiaries.get(policy.beneficiary, ()))):
                id_ = reward_id_of(policy.policy_id, member, trigger.feedback_id)
                if id_ in self.rewards or not self.may_be_paid(member):
                    continue
                if member not in self.members:
                    self.unheard.append((trigger, member))
                    continue
                reward = self._propose(policy, member, trigger.feedback_id, trigger.cause)
                if not reward.needs_approval:
                    reward.decided_by = BY_POLICY
                    self.pay(reward, trigger.cause)

    def award(
        self, policy: Policy, member: UUID, by: str, beneficiary: UUID, cause: Cause
    ) -> Reward:
        """A manager's judgement, which is the approval too; the same decision gives once.

        `beneficiary` is the member that the manager would be here.
        """
        known = self.rewards.get(reward_id_of(policy.policy_id, member, cause.id))
        if known is not None:
            return known
        if policy.when is not When.JUDGEMENT or not policy.active:
            raise Refusal("policy-not-by-judgement", "This policy gives nothing by judgement now.")
        _expect_another(member, beneficiary)
        if member not in self.members:
            raise NotFound("member")
        if not self.may_be_paid(member):
            raise Refusal("member-removed", "Who was removed is given nothing.")
        reward = self._propose(policy, member, None, cause, judged_by=by)
        self.pay(reward, cause)
        return reward

    def approve(self, reward: Reward, by: str, beneficiary: UUID, cause: Cause) -> None:
        """A manager approves. `beneficiary` is the member that the approver would be here."""
        _expect_another(reward.member_id, beneficiary)
        if reward.status in GIVEN and reward.decided_by == by:
            return
        self._expect(reward, Status.PROPOSED, Status.HELD)
        reward.decided_by, reward.overdue = by, False
        if reward.status is Status.HELD:
            reward.held_since = cause.at
        self._changed(reward)
        self.pay(reward, cause)
        self.move_up(cause)

    def reject(self, reward: Reward, cause: Cause) -> None:
        """A manager decides against it."""
        if reward.status is Status.REJECTED:
            return
        self._expect(reward, Status.PROPOSED, Status.HELD)
        self._become(reward, Status.REJECTED)
        self.drafts.append((cause, reward.said(RewardRejected, cause)))
        self.move_up(cause)

    def retry(self, reward: Reward, by: str, beneficiary: UUID, cause: Cause) -> None:
        """A manager has a held or failed reward tried again; an overdue one, and so decides it."""
        self._expect(reward, Status.HELD, Status.FAILED)
        if reward.overdue:
            self.approve(reward, by, beneficiary, cause)
        elif reward.status is Status.FAILED:
            self._become(reward, Status.APPROVED)
            reward.retry_at = None
        else:
            reward.held_since = cause.at
            self._changed(reward)
            self.pay(reward, cause)
            self.move_up(cause)

    def move_up(self, cause: Cause) -> None:
        """Pay who comes first in the lines for money and codes, and whom the caps now allow."""
        self.retry_waiting(cause, HeldFor.BUDGET, HeldFor.POOL, HeldFor.CAP, HeldFor.COOLDOWN)

    def retry_waiting(self, cause: Cause, *reasons: HeldFor) -> None:
        """Try again, in their order, who waits for one of `reasons`."""
        for reward in sorted(self.rewards.values(), key=lambda r: r.place):
            if any(reward.waits_for(reason) for reason in reasons):
                self.pay(reward, cause)

    def pay(self, reward: Reward, cause: Cause) -> None:
        """Approve and issue a decided reward if nothing stands in the way, else hold it."""
        if not self.may_be_paid(reward.member_id):
            self.end(reward, cause)
            return
        if (obstacle := self.obstacle(reward, cause.at)) is not None:
            self._hold(reward, obstacle, cause)
            return
        self._become(reward, Status.APPROVED)
        reward.approved_at = cause.at
        reward.held_for = reward.held_since = reward.retry_at = None
        if not reward.is_free:
            self.given.setdefault(reward.member_id, {})[reward.reward_id] = (
                cause.at,
                reward.amount_minor,
            )
        by = reward.decided_by or BY_POLICY
        self._enter(RewardApproved, reward, cause, Move.RESERVE, approved_by=by)
        if reward.pool_id is not None:
            self.pools[reward.pool_id].free -= 1
            self.taken.append((reward.pool_id, reward.reward_id))
        if reward.item_kind not in PROVIDED:
            self.issue(reward, cause)

    def issue(self, reward: Reward, cause: Cause) -> None:
        """It is the member's from now on."""
        self._expect(reward, Status.APPROVED, Status.FAILED)
        self._become(reward, Status.ISSUED)
        reward.issued_at, reward.uncertain, reward.retry_at = cause.at, False, None
        self._enter(RewardIssued, reward, cause, Move.SPEND)

    def deliver(self, reward: Reward, cause: Cause) -> None:
        """The member took it; a second look at it changes nothing."""
        if reward.status in {Status.DELIVERED, Status.IRREVERSIBLE}:
            return
        if reward.item_kind not in CLAIMED:
            raise Refusal("nothing-to-reveal", "This reward has nothing to reveal.")
        self._expect(reward, Status.ISSUED)
        self._become(reward, Status.DELIVERED)
        self.drafts.append((cause, reward.said(RewardDelivered, cause)))

    def fail(self, reward: Reward, cause: Cause) -> None:
        """An attempt to issue failed; the pauses grow, and after the last one it is given up."""
        self._expect(reward, Status.APPROVED, Status.FAILED)
        reward.attempts, reward.uncertain = reward.attempts + 1, False
        if reward.attempts >= MOST_ATTEMPTS:
            self._release(reward, cause)
            self.move_up(cause)
            return
        self._become(reward, Status.FAILED)
        reward.retry_at = cause.at + FIRST_RETRY * 4**reward.attempts
        self.drafts.append((cause, reward.said(RewardFailed, cause, attempt=reward.attempts)))

    def doubt(self, reward: Reward) -> None:
        """A provider did not answer in time: from now on it is asked, never called anew."""
        self._expect(reward, Status.APPROVED, Status.FAILED)
        reward.uncertain = True
        self._changed(reward)

    def reverse(self, reward: Reward, cause: Cause) -> None:
        """Take an issued reward back, unless it has left our hands."""
        if reward.status in {Status.REVERSED, Status.IRREVERSIBLE}:
            return
        self._expect(reward, Status.ISSUED, Status.DELIVERED)
        gone = reward.item_kind in PROVIDED or (
            reward.item_kind is ItemKind.GIFT_CODE and reward.status is Status.DELIVERED
        )
        if gone:
            self._become(reward, Status.IRREVERSIBLE)
            self.drafts.append((cause, reward.said(RewardIrreversible, cause)))
            return
        self._become(reward, Status.REVERSED)
        self._forget_given(reward)
        self._enter(RewardReversed, reward, cause, Move.RETURN)
        self.move_up(cause)

    def end(self, reward: Reward, cause: Cause) -> None:
        """The member was removed or erased: what is not yet theirs is not paid."""
        if reward.status in {Status.APPROVED, Status.FAILED}:
            self._release(reward, cause)
        elif reward.status in OPEN:
            self._expire(reward, cause)
        self.move_up(cause)

    def come_due(self, reward: Reward, cause: Cause) -> None:
        """A deadline of this reward came; `cause.at` is the deadline."""
        open_for = cause.at - reward.counted_from(reward.proposed_at)
        if reward.status is Status.ISSUED and reward.item_kind in CLAIMED:
            since = reward.counted_from(reward.issued_at or cause.at)
            if cause.at >= since + UNCLAIMED_AFTER:
                self._expire(reward, cause)
        elif reward.status is Status.PROPOSED and open_for >= UNCLAIMED_AFTER:
            self._expire(reward, cause)
        elif reward.status is Status.HELD:
            if open_for >= UNCLAIMED_AFTER:
                self._expire(reward, cause)
            elif reward.retry_at is not None and cause.at >= reward.retry_at:
                self.pay(reward, cause)
            elif (
                reward.held_since
                and cause.at >= reward.counted_from(reward.held_since) + DECIDE_AFTER
            ):
                reward.overdue = True
                self._changed(reward)
        self.move_up(cause)

    def _propose(
        self,
        policy: Policy,
        member: UUID,
        feedback_id: UUID | None,
        cause: Cause,
        *,
        judged_by: str | None = None,
    ) -> Reward:
        budget = self.budgets.get(policy.budget_id) if policy.budget_id else None
        reward = proposal(
            policy,
            self.items[policy.item_id],
            member,
            cause=cause,
            feedback_id=feedback_id,
            currency=budget.currency if budget else None,
        )
        if judged_by is not None:
            reward.needs_approval, reward.decided_by = False, judged_by
        self.rewards[reward.reward_id] = reward
        self._changed(reward)
        body = reward.said(
            RewardProposed,
            cause,
            amount_minor=reward.amount_minor,
            currency=reward.currency,
            needs_approval=reward.needs_approval,
        )
        self.drafts.append((cause, body))
        return reward

    def _hold(self, reward: Reward, obstacle: Obstacle, cause: Cause) -> None:
        reason, retry_at = obstacle
        told = reward.status is Status.HELD and reward.held_for is reason
        if reward.status is not Status.HELD:
            self._become(reward, Status.HELD)
            reward.held_since = reward.queued_at = cause.at
        if not told or reward.retry_at != retry_at:
            reward.held_for, reward.retry_at = reason, retry_at
            self._changed(reward)
        if not told:
            self.drafts.append((cause, reward.said(RewardHeld, cause, reason=reason)))
        if reason is HeldFor.BUDGET and reward.budget_id is not None:
            news = self.budgets[reward.budget_id].tell_exhausted(cause)
            if news is not None:
                self.drafts.append((cause, news))

    def _expire(self, reward: Reward, cause: Cause) -> None:
        was_issued = reward.status is Status.ISSUED
        self._become(reward, Status.EXPIRED)
        self._forget_given(reward)
        self._enter(RewardExpired, reward, cause, Move.RETURN if was_issued else None)

    def _release(self, reward: Reward, cause: Cause) -> None:
        self._become(reward, Status.ABANDONED)
        self._forget_given(reward)
        self._enter(RewardAbandoned, reward, cause, Move.RELEASE)

    def _forget_given(self, reward: Reward) -> None:
        self.given.get(reward.member_id, {}).pop(reward.reward_id, None)

    def _enter(
        self, body: type[Ledgered], reward: Reward, cause: Cause, move: Move | None, **more: str
    ) -> None:
        """Move the reward's amount, if it has a budget, and publish `body` with the balances."""
        budget, amount = None, 0
        if move is not None and reward.budget_id is not None:
            budget, amount = self.budgets[reward.budget_id], reward.amount_minor
            budget.move(move, amount, reward.reward_id, cause)
        self.drafts.append((cause, reward.entered(body, cause, budget, amount, **more)))

    def _become(self, reward: Reward, status: Status) -> None:
        reward.status = status
        if status is not Status.HELD:
            reward.overdue = False
        self._changed(reward)

    def _changed(self, reward: Reward) -> None:
        if reward.reward_id not in self.changed:
            reward.version += 1
            self.changed[reward.reward_id] = reward

    def _expect(self, reward: Reward, *statuses: Status) -> None:
        if reward.status not in statuses:
            wanted = " or ".join(status.value for status in statuses)
            raise Refusal(
                "reward-not-in-that-state",
                f"This reward is {reward.status.value}; it would have to be {wanted}.",
            )


def _expect_another(member: UUID, beneficiary: UUID) -> None:
    if beneficiary == member:
        raise Forbidden("approver-is-beneficiary", "Nobody approves a reward for themselves.")
