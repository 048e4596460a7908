"""The synthetic dump holds every trap; each row of it meets the fate that the rules give it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from coterie_local.importers.plan import Fate, Plan, Step, StepKind, Why
from coterie_local.importers.stackexchange_plan import plan_stackexchange

SYNTHETIC = Path(__file__).parent.parent / "histories" / "stackexchange"


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_stackexchange(SYNTHETIC, capacity=4)


def _step(plan: Plan, key: str) -> Step:
    return next(step for step in plan.steps if step.key == key)


def _keys(plan: Plan) -> set[str]:
    return {step.key for step in plan.steps}


def test_every_row_is_either_a_step_or_has_a_fate(plan: Plan) -> None:
    waiting = Counter(step.row.file for step in plan.steps if step.settles and step.row)
    assert plan.accounting.open_rows() == {file: n for file, n in waiting.items() if n}
    assert sum(plan.accounting.rows.values()) == 107


def test_skipped_rows_are_counted_by_reason(plan: Plan) -> None:
    reasons = {
        file: {reason: n for (fate, reason), n in fates.items() if fate is Fate.SKIPPED}
        for file, fates in plan.accounting.fates.items()
    }
    assert reasons["Posts.xml"] == {
        Why.DUPLICATE_ID: 1,
        Why.NO_AUTHOR: 2,
        Why.TARGET_NOT_PLAYED: 2,
        Why.NOT_FEEDBACK: 2,
        Why.NOT_A_CONTRIBUTION: 2,
        Why.NO_TIME: 1,
        Why.UNKNOWN_TARGET: 1,
        Why.NO_TEXT: 1,
        Why.UNKNOWN_AUTHOR: 1,
        Why.SITE_ACCOUNT: 1,
    }
    assert reasons["Votes.xml"] == {
        Why.NOT_A_RATING: 3,
        Why.TARGET_NOT_PLAYED: 4,
        Why.UNKNOWN_TARGET: 2,
        Why.NOT_FEEDBACK: 2,
        Why.NOT_A_CONTRIBUTION: 1,
        Why.NO_TIME: 1,
        Why.DUPLICATE_ID: 1,
    }
    assert reasons["Users.xml"] == {
        Why.DUPLICATE_ID: 1,
        Why.SITE_ACCOUNT: 1,
        Why.NEVER_TOOK_PART: 3,
    }
    assert set(reasons["PostHistory.xml"]) == {
        Why.TARGET_NOT_PLAYED,
        Why.NOT_FEEDBACK,
        Why.NO_STATUS,
        Why.NO_TIME,
        Why.UNKNOWN_TARGET,
        Why.SAME_STATUS,
        Why.CANNOT_FOLLOW,
        Why.OVERTAKEN,
    }


def test_steps_come_in_time_order_and_every_target_exists_before_it_is_used(plan: Plan) -> None:
    moments = [(step.at, step.kind) for step in plan.steps]
    assert moments == sorted(moments)
    made: set[str] = set()
    for step in plan.steps:
        if step.kind is not StepKind.SUBMIT and step.target is not None:
            assert step.target in made, step
        if step.kind in (StepKind.SUBMIT, StepKind.COMMENT):
            made.add(step.key)


def test_keys_are_unique(plan: Plan) -> None:
    assert len(_keys(plan)) == len(plan.steps)


def test_who_writes_joins_and_who_only_reads_does_not(plan: Plan) -> None:
    people = {step.actor for step in plan.of(StepKind.APPLY)}
    assert people == {f"user:{n}" for n in (1, 2, 3, 4, 5, 7, 8, 10, 12, 13)}


def test_who_has_no_joining_date_joins_at_the_first_word_and_that_is_simulated(plan: Plan) -> None:
    step = _step(plan, "user:10:apply")
    assert step.at == _step(plan, "post:18").at
    assert step.simulated


def test_who_is_gone_for_a_year_leaves_at_the_last_sign(plan: Plan) -> None:
    assert {s.actor for s in plan.of(StepKind.LEAVE)} == {"user:7", "user:8", "user:13"}
    assert _step(plan, "user:7:leave").at == datetime(2019, 9, 30, 18, tzinfo=UTC)
    after_last_access = _step(plan, "user:8:leave").at
    assert after_last_access == _step(plan, "post:14").at


def test_a_vote_takes_effect_a_second_after_the_later_of_day_and_post(plan: Plan) -> None:
    second = timedelta(seconds=1)
    assert _step(plan, "vote:1").at == _step(plan, "post:1").at + second
    assert _step(plan, "vote:3").at == datetime(2019, 1, 12, tzinfo=UTC) + second
    assert _step(plan, "vote:3").payload["value"] == 0.0
    assert _step(plan, "vote:3").actor is None


def test_a_status_in_one_jump_gets_the_missing_steps_and_they_are_simulated(plan: Plan) -> None:
    accept, planned, done = (
        _step(plan, f"post:1:{deed}") for deed in ("accept", "plan", "implement")
    )
    assert accept.at == planned.at == done.at == datetime(2019, 3, 2, 10, tzinfo=UTC)
    assert (accept.simulated, planned.simulated, done.simulated) == (True, True, False)
    assert done.settles
    assert done.actor == "user:2"


def test_steps_that_were_taken_before_are_not_inserted_again(plan: Plan) -> None:
    planned, done = _step(plan, "post:7:plan"), _step(plan, "post:7:implement")
    assert not planned.simulated
    assert planned.at < done.at
    assert sum(step.key.startswith("post:7:") for step in plan.steps) == 3


def test_declined_then_completed_is_implemented_and_never_declined(plan: Plan) -> None:
    assert "post:6:decline" not in _keys(plan)
    assert _step(plan, "post:6:implement").at == datetime(2020, 2, 10, 10, tzinfo=UTC)


def test_a_completed_post_without_a_dated_edit_is_implemented_and_simulated(plan: Plan) -> None:
    done = _step(plan, "post:18:implement")
    assert done.simulated
    assert done.row is None


def test_implementations_are_those_completed_posts_that_could_be_submitted(plan: Plan) -> None:
    assert {s.target for s in plan.of(StepKind.IMPLEMENT)} == {
        "post:1",
        "post:6",
        "post:7",
        "post:18",
    }


def test_a_comment_below_an_answer_without_an_owner_stays_with_its_question(plan: Plan) -> None:
    assert _step(plan, "comment:6").target == "post:12"
    assert "post:13" not in _keys(plan)


def test_an_answer_dated_before_its_question_comes_after_it(plan: Plan) -> None:
    assert _step(plan, "post:23").at == _step(plan, "post:3").at


def test_markup_becomes_text_and_other_scripts_stay(plan: Plan) -> None:
    assert _step(plan, "post:12").payload["text"] == (
        "Broken form & lost order\nThe <form> breaks here"
    )
    assert _step(plan, "post:25").payload["text"] == "[the pause button]"
    assert _step(plan, "comment:1").payload["text"] == "In steps of 50 g < 1 kg, please."
    assert _step(plan, "comment:2").payload["text"] == "スプーンいいね 🍵"


def test_what_staff_write_holds_no_word_of_a_members(plan: Plan) -> None:
    staff = (StepKind.ACCEPT, StepKind.IMPLEMENT, StepKind.PLAN)
    for step in plan.steps:
        if step.kind in staff:
            number = (step.target or "").removeprefix("post:")
            assert set(step.payload.values()) <= {
                f"Suggestion {number}",
                f"Suggestion {number} was built.",
                "on the site",
            }


def test_the_same_dump_gives_the_same_plan(plan: Plan) -> None:
    assert plan_stackexchange(SYNTHETIC, capacity=4).steps == plan.steps
