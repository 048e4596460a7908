"""The desk as a state machine: whatever is done in whatever order, the money adds up."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from coterie_chassis.decisions import Cause, Refusal
from coterie_contracts.member import MemberStatus
from coterie_contracts.model import Ledgered
from coterie_contracts.reward import (
    HeldFor,
    ItemKind,
    RewardApproved,
    RewardIssued,
    RewardProposed,
)
from coterie_recognition.domain.at_hand import Pool
from coterie_recognition.domain.catalogue import (
    Beneficiary,
    GiftCode,
    Item,
    Policy,
    Session,
    When,
)
from coterie_recognition.domain.desk import Desk
from coterie_recognition.domain.ledger import Budget, Move
from coterie_recognition.domain.rewards import GIVEN, Reward, Status, Trigger, next_due
from coterie_recognition.domain.seasons import season_of

from .conftest import NOON

HERE, BUDGET, POOL = UUID(int=1), UUID(int=2), UUID(int=3)
MEMBERS = [UUID(int=100 + n) for n in range(4)]
MANAGER, JUDGEMENT = UUID(int=99), UUID(int=29)
ZONE = "Europe/Berlin"
SPECS = [
    GiftCode(pool_id=POOL, face_value=500),
    GiftCode(pool_id=POOL, face_value=2_000),
    Session(minutes=15, host="Nora", booking_url="https://book.example/"),
]


def new_desk() -> Desk:
    desk = Desk(community_id=HERE, zone=ZONE)
    desk.budgets[BUDGET] = Budget(budget_id=BUDGET, community_id=HERE, name="b", currency="EUR")
    desk.pools[POOL] = Pool(POOL, HERE, "p")
    desk.members = dict.fromkeys(MEMBERS, MemberStatus.ACTIVE)
    for n, spec in enumerate(SPECS):
        item = Item(UUID(int=10 + n), HERE, f"item {n}", spec)
        policy = Policy(
            policy_id=UUID(int=20 + n),
            community_id=HERE,
            name=item.name,
            when=When.VERIFIED,
            beneficiary=Beneficiary.AUTHOR,
            item_id=item.item_id,
            budget_id=BUDGET,
            auto_approve_up_to=None if n == 2 else 500,
            cooldown_days=3,
        )
        desk.items[item.item_id] = item
        desk.policies[policy.policy_id, 1] = policy
    first = desk.policies[UUID(int=20), 1]
    desk.policies[JUDGEMENT, 1] = replace(
        first,
        policy_id=JUDGEMENT,
        when=When.JUDGEMENT,
        beneficiary=Beneficiary.CHOSEN_MEMBER,
    )
    return desk


class AtTheDesk(RuleBasedStateMachine):
    """Every rule is one command, event or deadline with a cause of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = new_desk()
        self.now = NOON
        self.causes = 0
        self.codes = 0

    def cause(self, at: datetime | None = None) -> Cause:
        self.causes += 1
        id_ = UUID(int=1_000_000 + self.causes)
        now = at or self.now
        return Cause(id=id_, actor="person:m", at=now, recorded_at=now, correlation_id=id_)

    def some(self, data: st.DataObject) -> Reward:
        return data.draw(st.sampled_from([r for _, r in sorted(self.desk.rewards.items())]))

    @rule(amount=st.integers(1, 3_000))
    def fund(self, amount: int) -> None:
        cause = self.cause()
        self.desk.drafts.append((cause, self.desk.budgets[BUDGET].fund(amount, cause)))
        self.desk.move_up(cause)

    @rule(n=st.integers(1, 3))
    def bring_codes(self, n: int) -> None:
        self.codes += n
        self.desk.pools[POOL].free += n
        self.desk.pools[POOL].total += n
        self.desk.move_up(self.cause())

    @rule(item=st.integers(0, 8), member=st.sampled_from(MEMBERS), silent=st.booleans())
    def verify(self, item: int, member: UUID, silent: bool) -> None:
        trigger = Trigger(
            When.VERIFIED,
            HERE,
            UUID(int=500 + item),
            None,
            {Beneficiary.AUTHOR: (member,)},
            self.cause(),
            silent,
        )
        self.desk.propose(trigger)

    @rule(member=st.sampled_from([*MEMBERS, MANAGER]))
    def award(self, member: UUID) -> None:
        before = len(self.desk.drafts), len(self.desk.rewards)
        try:
            policy = self.desk.policies[JUDGEMENT, 1]
            self.desk.award(policy, member, "person:m", MANAGER, self.cause())
        except Refusal:
            assert self.desk.members.get(member) in {None, MemberStatus.REMOVED}
            assert (len(self.desk.drafts), len(self.desk.rewards)) == before

    @precondition(lambda self: self.desk.rewards)
    @rule(
        data=st.data(), deed=st.sampled_from(["approve", "reject", "retry", "reverse", "deliver"])
    )
    def decide(self, data: st.DataObject, deed: str) -> None:
        reward, cause = self.some(data), self.cause()
        before = replace(reward), len(self.desk.drafts)
        try:
            if deed in {"approve", "retry"}:
                getattr(self.desk, deed)(reward, "person:m", MANAGER, cause)
            else:
                getattr(self.desk, deed)(reward, cause)
        except Refusal:
            assert (replace(reward), len(self.desk.drafts)) == before

    @rule(member=st.sampled_from(MEMBERS), status=st.sampled_from(list(MemberStatus)))
    def change_member(self, member: UUID, status: MemberStatus) -> None:
        if self.desk.members[member] is MemberStatus.REMOVED:
            return
        self.desk.members[member] = status
        cause = self.cause()
        mine = [r for _, r in sorted(self.desk.rewards.items()) if r.member_id == member]
        for reward in mine:
            if status is MemberStatus.REMOVED:
                self.desk.end(reward, cause)
            elif status is MemberStatus.ACTIVE and reward.waits_for(HeldFor.SUSPENDED):
                self.desk.pay(reward, cause)

    @rule(days=st.integers(1, 100))
    def let_time_pass(self, days: int) -> None:
        until = self.now + timedelta(days=days)
        for _ in range(10_000):
            moments = [(due, r) for r in self.desk.rewards.values() if (due := next_due(r))]
            due, reward = min(moments, key=lambda m: (m[0], m[1].reward_id), default=(until, None))
            if reward is None or due > until:
                break
            self.desk.come_due(reward, self.cause(max(due, self.now)))
        else:
            raise AssertionError("a deadline comes again and again")
        self.now = until

    @invariant()
    def reserved_and_spent_never_exceed_what_was_funded(self) -> None:
        budget = self.desk.budgets[BUDGET]
        assert 0 <= budget.reserved + budget.spent <= budget.funded
        for entry in budget.entries:
            assert 0 <= entry.reserved_minor + entry.spent_minor <= entry.funded_minor

    @invariant()
    def the_balances_follow_from_the_entries(self) -> None:
        accounts: Counter[str] = Counter()
        budget = self.desk.budgets[BUDGET]
        for n, entry in enumerate(budget.entries, start=1):
            assert entry.ledger_sequence == n
            source, target = entry.move.legs
            accounts[source] -= entry.amount_minor
            accounts[target] += entry.amount_minor
        assert sum(accounts.values()) == 0
        assert (accounts["reserved"], accounts["spent"]) == (budget.reserved, budget.spent)

    @invariant()
    def every_entry_is_an_event_with_the_balances_after_it(self) -> None:
        told = [
            (d.body.ledger_sequence, d.body.amount_minor, d.body.reserved_minor, d.body.spent_minor)
            for _, d in self.desk.drafts
            if isinstance(d.body, Ledgered) and d.body.budget_id is not None
        ]
        assert told == [
            (e.ledger_sequence, e.amount_minor, e.reserved_minor, e.spent_minor)
            for e in self.desk.budgets[BUDGET].entries
        ]

    @invariant()
    def a_cause_pays_once_and_a_code_goes_to_one_reward(self) -> None:
        for body in (RewardProposed, RewardApproved, RewardIssued):
            ids = [d.body.reward_id for _, d in self.desk.drafts if isinstance(d.body, body)]
            assert len(ids) == len(set(ids))
        keys = [(r.policy_id, r.member_id, r.cause_id) for r in self.desk.rewards.values()]
        assert len(keys) == len(set(keys))
        taken = [reward for _, reward in self.desk.taken]
        assert len(taken) == len(set(taken))
        assert len(taken) + self.desk.pools[POOL].free == self.codes

    @invariant()
    def nobody_gets_more_than_the_cap_in_a_season(self) -> None:
        seasons: dict[tuple[UUID, str], list[int]] = {}
        for reward in self.desk.rewards.values():
            if reward.status in GIVEN and reward.approved_at is not None:
                key = reward.member_id, season_of(reward.approved_at, ZONE).label
                seasons.setdefault(key, []).append(reward.amount_minor)
        assert all(len(given) <= 2 and sum(given) <= 5_500 for given in seasons.values())

    @invariant()
    def published_changes_are_numbered_without_gaps(self) -> None:
        numbers: dict[UUID, list[tuple[int | None, UUID]]] = {}
        for cause, draft in self.desk.drafts:
            numbers.setdefault(draft.subject, []).append((draft.sequence, cause.id))
        for numbered in numbers.values():
            assert sorted(n for n, _ in set(numbered)) == list(range(1, len(set(numbered)) + 1))

    @invariant()
    def the_removed_keep_no_open_reward_and_what_waits_has_a_next_look(self) -> None:
        for reward in self.desk.rewards.values():
            if self.desk.members[reward.member_id] is MemberStatus.REMOVED:
                assert reward.status not in {Status.PROPOSED, Status.HELD, Status.APPROVED}
            if reward.status in {Status.PROPOSED, Status.HELD}:
                assert next_due(reward) is not None

    @invariant()
    def nobody_waits_for_money_that_is_there_for_the_first_in_line(self) -> None:
        line = [r for r in self.desk.rewards.values() if r.waits_for(HeldFor.BUDGET)]
        if line:
            first = min(line, key=lambda r: r.place)
            assert self.desk.budgets[BUDGET].available < first.amount_minor

    @invariant()
    def nobody_waits_for_a_cap_that_allows(self) -> None:
        for reward in self.desk.rewards.values():
            if reward.waits_for(HeldFor.CAP) or reward.waits_for(HeldFor.COOLDOWN):
                assert self.desk.obstacle(reward, self.now) is not None

    @invariant()
    def what_is_spent_belongs_to_rewards_that_have_it(self) -> None:
        spent = sum(
            r.amount_minor
            for r in self.desk.rewards.values()
            if r.status in {Status.ISSUED, Status.DELIVERED, Status.IRREVERSIBLE}
        )
        assert self.desk.budgets[BUDGET].spent == spent


TestAtTheDesk = AtTheDesk.TestCase
TestAtTheDesk.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_a_free_item_needs_neither_budget_nor_cap() -> None:
    desk = new_desk()
    cause = Cause(id=HERE, actor="system", at=NOON, recorded_at=NOON, correlation_id=HERE)

    assert ItemKind.SESSION not in {r.item_kind for r in desk.rewards.values()}
    assert desk.budgets[BUDGET].available == 0
    for n in range(5):
        trigger = Trigger(
            When.VERIFIED, HERE, UUID(int=n), None, {Beneficiary.AUTHOR: (MEMBERS[0],)}, cause
        )
        desk.propose(trigger)
    sessions = [r for r in desk.rewards.values() if r.item_kind is ItemKind.SESSION]
    assert {r.status for r in sessions} == {Status.PROPOSED}
    assert all(entry.move is not Move.FUND for entry in desk.budgets[BUDGET].entries)
