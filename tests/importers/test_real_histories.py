"""The public histories, at the level of plans: no platform is needed to know what is playable."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from coterie_local.importers.plan import Fate, Plan, StepKind, Why
from coterie_local.importers.polis import plan_polis
from coterie_local.importers.roster import Roster
from coterie_local.importers.stackexchange_plan import plan_stackexchange

FEEDBACK_POSTS = 452
ANSWERS, COMMENTS = 971, 2448
DUMP_ROWS = {
    "Users.xml": 2551,
    "Posts.xml": 1446,
    "Votes.xml": 5671,
    "Comments.xml": 2448,
    "PostHistory.xml": 635,
    "Tags.xml": 94,
    "PostLinks.xml": 189,
    "Badges.xml": 6585,
}


@pytest.fixture(scope="module")
def bicycles(histories: Path) -> Plan:
    return plan_stackexchange(histories / "stackexchange-bicycles-meta", capacity=1000)


@pytest.fixture(scope="module")
def biodiversity(histories: Path) -> Plan:
    return plan_polis(histories / "polis-biodiversity")


@pytest.fixture(scope="module")
def circle(bicycles: Plan) -> Roster:
    """Membership where there is room for everybody."""
    roster = Roster()
    for step in bicycles.steps:
        if step.kind is StepKind.APPLY:
            roster.admit(step.actor or "", step.at)
        elif step.kind is StepKind.LEAVE:
            roster.depart(step.actor or "", step.at)
    return roster


def _may_write(circle: Roster, person: str, at: datetime) -> bool:
    """A last word and a departure may share an instant; the word comes first."""
    return circle.is_member(person, at) or circle.left.get(person) == at


def _settling(plan: Plan) -> dict[str, int]:
    return dict(Counter(step.row.file for step in plan.steps if step.settles and step.row))


def test_every_row_of_the_dump_is_accounted_for(bicycles: Plan) -> None:
    assert bicycles.accounting.rows == DUMP_ROWS
    assert bicycles.accounting.open_rows() == _settling(bicycles)


def test_with_room_for_all_at_most_127_are_members_at_once(circle: Roster) -> None:
    assert len(circle.joined) == 311
    assert circle.most_at_once() == 127


def test_with_room_for_all_nearly_all_that_was_written_is_playable(
    bicycles: Plan, circle: Roster
) -> None:
    def playable(*kinds: StepKind) -> int:
        return sum(
            step.kind in kinds and _may_write(circle, step.actor or "", step.at)
            for step in bicycles.steps
        )

    assert 420 <= playable(StepKind.SUBMIT) <= FEEDBACK_POSTS
    assert playable(StepKind.COMMENT) >= 0.9 * (ANSWERS + COMMENTS)


def test_a_departure_never_comes_before_the_last_word(bicycles: Plan, circle: Roster) -> None:
    for step in bicycles.steps:
        left = circle.left.get(step.actor or "")
        if left is not None and step.kind in (StepKind.SUBMIT, StepKind.COMMENT):
            assert step.at <= left


def test_fourteen_posts_were_completed_and_two_of_them_have_no_owner(bicycles: Plan) -> None:
    assert sum(1 for _ in bicycles.of(StepKind.IMPLEMENT)) == 12
    fates = bicycles.accounting.fates["PostHistory.xml"]
    assert fates[Fate.SKIPPED, Why.OVERTAKEN] + fates[Fate.SKIPPED, Why.CANNOT_FOLLOW] == 0


def test_every_vote_finds_a_stand_in_where_there_is_room_for_all(
    bicycles: Plan, circle: Roster
) -> None:
    votes = list(bicycles.of(StepKind.RATE))
    chosen = [circle.stand_in(s.key, s.target or "", s.author, s.at) for s in votes]
    assert sum(each is not None for each in chosen) >= 0.99 * len(votes)


def test_every_row_of_the_conversation_is_accounted_for(biodiversity: Plan) -> None:
    assert biodiversity.accounting.rows == {"comments.csv": 316, "votes.csv": 29_802}
    assert biodiversity.accounting.open_rows() == _settling(biodiversity)


def test_self_votes_are_refused_and_passes_are_no_ratings(biodiversity: Plan) -> None:
    fates = biodiversity.accounting.fates["votes.csv"]
    assert fates[Fate.REFUSED, Why.OWN_CONTRIBUTION] == 304
    assert fates[Fate.SKIPPED, Why.PASSED] == 5_013


def test_rejected_ideas_are_declined_after_their_last_vote(biodiversity: Plan) -> None:
    declined = {step.target: step.at for step in biodiversity.of(StepKind.DECLINE)}
    assert len(declined) == 162
    for step in biodiversity.of(StepKind.RATE):
        if step.target in declined:
            assert step.at < declined[step.target]


def test_every_voter_is_a_member(biodiversity: Plan) -> None:
    assert biodiversity.community.capacity == 536
    assert sum(1 for _ in biodiversity.of(StepKind.APPLY)) == 536
