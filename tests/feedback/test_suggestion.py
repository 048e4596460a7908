"""A suggestion's way: only named steps, one history line and one event each."""

from __future__ import annotations

from uuid import uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from coterie_chassis.decisions import Refusal
from coterie_contracts.feedback import AskedAs, VerifiedBy
from coterie_feedback.domain import rounds, suggestion
from coterie_feedback.domain.decision import Decision
from coterie_feedback.domain.look_agains import LookState, What
from coterie_feedback.domain.rounds import Round
from coterie_feedback.domain.suggestion import NEXT, Status, Suggestion

from .building import QUIET, again, begun, cause, invited, planned, submitted


class SuggestionMachine(RuleBasedStateMachine):
    """Any command at any time: refused without effect, or a step that `NEXT` names."""

    def __init__(self) -> None:
        super().__init__()
        self.item = submitted()
        self.root = submitted()
        self.round: Round | None = None
        self.published = 1

    def attempt(self, deed: object) -> None:
        before = self.item
        try:
            decision = deed()  # type: ignore[operator]
        except Refusal:
            return
        self.take(before, decision)

    def take(self, before: Suggestion, decision: Decision) -> None:
        mine = [s for s in decision.suggestions if s.feedback_id == before.feedback_id]
        status = before.status
        for number, after in enumerate(mine, 1):
            assert after.status in NEXT[status]
            assert after.version == before.version + number
            assert after.sequence == before.sequence + number
            status = after.status
        own = [d for d in decision.drafts if d.subject == before.feedback_id]
        assert [d.sequence for d in own] == [s.sequence for s in mine]
        assert [c.version for c in decision.changes] == [s.version for s in mine]
        if mine:
            self.item = mine[-1]
        if decision.implementations and self.round is not None:
            self.round = Round(
                suggestion=self.item,
                implementation=decision.implementations[-1],
                look_agains=self.round.look_agains,
            )

    @rule()
    def accept(self) -> None:
        self.attempt(lambda: suggestion.accept(self.item, cause(), label="Lights"))

    @rule()
    def plan(self) -> None:
        self.attempt(lambda: suggestion.plan(self.item, cause()))

    @rule()
    def decline(self) -> None:
        self.attempt(lambda: suggestion.decline(self.item, cause(), reason="Too dear"))

    @rule()
    def merge(self) -> None:
        self.attempt(lambda: suggestion.merge(self.item, self.root, cause(), is_root=False))

    @rule()
    def unmerge(self) -> None:
        self.attempt(lambda: suggestion.unmerge(self.item, cause()))

    @rule()
    def withdraw(self) -> None:
        self.attempt(lambda: suggestion.withdraw(self.item, cause(), [], self.root))

    @rule(supporters=st.integers(0, 3), gone=st.booleans())
    def implement(self, supporters: int, gone: bool) -> None:
        author = self.item.author_id
        people = invited(
            author,
            supporters=tuple(uuid4() for _ in range(supporters)),
            gone=(author,) if gone else (),
        )
        try:
            decision = rounds.implement(
                self.item,
                cause(),
                What(what_changed="Done", see_it_at="here"),
                implementation_id=uuid4(),
                duplicate_author_ids=[],
                invitees=people,
                quiet=QUIET,
            )
        except Refusal:
            assert Status.LOOKING_AGAIN not in NEXT[self.item.status]
            return
        self.take(self.item, decision)
        self.round = Round(
            suggestion=self.item,
            implementation=decision.implementations[-1],
            look_agains=decision.look_agains,
        )

    @rule(data=st.data(), satisfied=st.booleans())
    def answer(self, data: st.DataObject, satisfied: bool) -> None:
        self.on_one(data, lambda r, one: rounds.answer(r, one, cause(), satisfied=satisfied))

    @rule(data=st.data())
    def lapse(self, data: st.DataObject) -> None:
        self.on_one(data, lambda r, one: rounds.lapse(r, one, cause()))

    @rule()
    def reopen(self) -> None:
        if self.round is not None:
            implementation = self.round.implementation
            self.attempt(lambda: rounds.reopen(self.item, implementation, cause()))

    def on_one(self, data: st.DataObject, deed: object) -> None:
        if self.round is None or not self.round.look_agains:
            return
        one = data.draw(st.sampled_from([x.look_again_id for x in self.round.look_agains]))
        current = Round(
            suggestion=self.item,
            implementation=self.round.implementation,
            look_agains=self.round.look_agains,
        )
        try:
            after, decision = deed(current, one)  # type: ignore[operator]
        except Refusal:
            return
        before, self.round = self.item, after
        self.take(before, decision)
        assert after.suggestion == self.item

    @invariant()
    def a_round_with_nobody_to_wait_for_is_settled(self) -> None:
        if self.item.status is Status.LOOKING_AGAIN:
            assert self.round is not None
            assert any(one.state is LookState.REQUESTED for one in self.round.look_agains)

    @invariant()
    def only_duplicates_have_a_root(self) -> None:
        assert (self.item.root_id is not None) == (self.item.status is Status.DUPLICATE)

    @invariant()
    def whoever_reopens_after_the_last_round_is_a_manager(self) -> None:
        if self.item.status is Status.REOPENED and self.item.round >= rounds.ROUNDS:
            assert self.round is not None
            assert self.round.implementation.outcome_by is VerifiedBy.MANAGER


SuggestionMachine.TestCase.settings = settings(
    max_examples=150, stateful_step_count=30, deadline=None
)
TestSuggestionMachine = SuggestionMachine.TestCase


def test_declining_needs_a_reason_that_the_author_can_read() -> None:
    with pytest.raises(Refusal, match="reason-needed"):
        suggestion.decline(submitted(), cause(), reason="  ")

    declined = suggestion.decline(submitted(), cause(), reason="Too dear")

    assert declined.suggestions[-1].reason == "Too dear"
    assert "Too dear" not in declined.drafts[0].body.model_dump_json()


def test_duplicates_form_a_star_of_depth_one() -> None:
    root, other, leaf = submitted(), submitted(), submitted()
    merged = suggestion.merge(leaf, root, cause(), is_root=False).suggestions[-1]

    with pytest.raises(Refusal, match="root-is-duplicate"):
        suggestion.merge(other, merged, cause(), is_root=False)
    with pytest.raises(Refusal, match="has-duplicates"):
        suggestion.merge(root, other, cause(), is_root=True)
    with pytest.raises(Refusal, match="own-duplicate"):
        suggestion.merge(root, root, cause(), is_root=False)


def test_an_unmerge_restores_the_duplicate_as_it_was() -> None:
    before, root = submitted(), submitted()
    merged = suggestion.merge(before, root, cause(), is_root=False).suggestions[-1]

    after = suggestion.unmerge(merged, cause()).suggestions[-1]

    assert (after.status, after.root_id) == (before.status, before.root_id)
    assert (after.author_id, after.label) == (before.author_id, before.label)


def test_withdrawing_a_root_frees_its_duplicates() -> None:
    root, leaf = submitted(), submitted()
    merged = suggestion.merge(leaf, root, cause(), is_root=False).suggestions[-1]

    decision = suggestion.withdraw(root, cause(), [merged])

    assert [s.status for s in decision.suggestions] == [Status.WITHDRAWN, Status.SUBMITTED]
    assert [d.body.topic for d in decision.drafts] == ["feedback.withdrawn", "feedback.unmerged"]


def test_a_reopened_suggestion_is_planned_and_built_again() -> None:
    item = planned()
    first = begun(item, invited(item.author_id))
    one = first.look_agains[0]
    after, _ = rounds.answer(first, one.look_again_id, cause(), satisfied=False)
    assert after.suggestion.status is Status.REOPENED

    second = begun(again(after.suggestion), invited(item.author_id))

    assert second.suggestion.round == 2
    assert second.look_agains[0].look_again_id != one.look_again_id
    assert second.look_agains[0].asked_as is AskedAs.AUTHOR
