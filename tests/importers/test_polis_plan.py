"""The synthetic conversation holds every trap of named votes."""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from coterie_local.importers.plan import BrokenHistory, Fate, Plan, Step, StepKind, Why
from coterie_local.importers.polis import plan_polis

SYNTHETIC = Path(__file__).parent.parent / "histories" / "polis"


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_polis(SYNTHETIC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SYNTHETIC, tmp_path / "conversation"))


def _step(plan: Plan, key: str) -> Step:
    return next(step for step in plan.steps if step.key == key)


def test_every_row_is_either_a_step_or_has_a_fate(plan: Plan) -> None:
    waiting = Counter(step.row.file for step in plan.steps if step.settles and step.row)
    assert plan.accounting.rows == {"comments.csv": 11, "votes.csv": 59}
    assert plan.accounting.open_rows() == dict(waiting)


def test_rows_that_are_not_played_are_counted_by_reason(plan: Plan) -> None:
    assert plan.accounting.fates["votes.csv"] == {
        (Fate.REFUSED, Why.OWN_CONTRIBUTION): 6,
        (Fate.SKIPPED, Why.PASSED): 8,
        (Fate.SKIPPED, Why.TARGET_NOT_PLAYED): 2,
        (Fate.SKIPPED, Why.UNKNOWN_TARGET): 2,
        (Fate.SKIPPED, Why.NO_TIME): 1,
        (Fate.SKIPPED, Why.NO_AUTHOR): 1,
    }
    assert plan.accounting.fates["comments.csv"] == {
        (Fate.SKIPPED, Why.NO_AUTHOR): 1,
        (Fate.SKIPPED, Why.NO_TIME): 1,
        (Fate.SKIPPED, Why.NO_TEXT): 1,
        (Fate.SKIPPED, Why.DUPLICATE_ID): 1,
    }


def test_both_rows_of_a_revote_are_played_and_the_later_comes_later(plan: Plan) -> None:
    first, second = _step(plan, "vote:11"), _step(plan, "vote:12")
    assert (first.actor, first.target) == (second.actor, second.target)
    assert (first.payload["value"], second.payload["value"]) == (0.0, 1.0)
    assert first.at < second.at


def test_a_revote_of_the_same_millisecond_still_comes_later(plan: Plan) -> None:
    first, second = _step(plan, "vote:13"), _step(plan, "vote:14")
    assert second.at - first.at == timedelta(microseconds=1)


def test_a_vote_before_its_idea_waits_for_it(plan: Plan) -> None:
    assert _step(plan, "vote:17").at == _step(plan, "idea:4").at


def test_moderation_becomes_accept_and_decline_and_is_simulated(plan: Plan) -> None:
    accepted = {step.target for step in plan.of(StepKind.ACCEPT)}
    declined = {step.target for step in plan.of(StepKind.DECLINE)}
    assert accepted == {"idea:0", "idea:1", "idea:2", "idea:9"}
    assert declined == {"idea:4", "idea:7"}
    assert all(step.simulated for step in (*plan.of(StepKind.ACCEPT), *plan.of(StepKind.DECLINE)))
    assert _step(plan, "idea:4:decline").at > _step(plan, "vote:18").at


def test_everybody_is_a_member_from_the_first_sign_and_there_is_room_for_all(plan: Plan) -> None:
    joined = {step.actor: step.at for step in plan.of(StepKind.APPLY)}
    assert set(joined) == {f"person:{n}" for n in range(10)}
    assert plan.community.capacity == 10
    for step in plan.steps:
        if step.kind in (StepKind.SUBMIT, StepKind.RATE):
            assert step.actor is not None
            assert joined[step.actor] <= step.at


def test_a_cell_may_hold_lines_and_quotes(plan: Plan) -> None:
    assert _step(plan, "idea:4").payload["text"] == 'Two lines,\none cell, and a "quoted" word.'


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "votes.csv").unlink()
    with pytest.raises(BrokenHistory, match=r"^votes\.csv missing in"):
        plan_polis(folder)


def test_a_missing_column_is_named(folder: Path) -> None:
    (folder / "votes.csv").write_text("timestamp,comment-id,vote\n")
    with pytest.raises(BrokenHistory, match=r"^votes\.csv: no column voter-id"):
        plan_polis(folder)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("1600000000000,,zero,0,1", "comment-id is 'zero', not a whole number"),
        ("1600000000000,,0,0,7", "vote is 7, not 1, 0 or -1"),
        ("1600000000000,,0,0", "4 cells, 5 expected"),
        ("9999999999999999999,,0,0,1", "timestamp is no time of this world"),
        ('1600000000000,,0,0,"1', "the CSV is broken here"),
    ],
)
def test_a_broken_row_is_named(folder: Path, line: str, complaint: str) -> None:
    path = folder / "votes.csv"
    kept = path.read_text(encoding="utf-8").splitlines()[:4]
    path.write_text("\n".join([*kept, line]), encoding="utf-8")
    with pytest.raises(BrokenHistory) as caught:
        plan_polis(folder)
    assert str(caught.value).startswith("votes.csv row 4: ")
    assert complaint in str(caught.value)


def test_another_encoding_is_named(folder: Path) -> None:
    (folder / "comments.csv").write_bytes(
        b"timestamp,comment-id,author-id,moderated,comment-body\n1600000000000,0,0,1,gr\xfcn\n"
    )
    with pytest.raises(BrokenHistory, match=r"^comments\.csv, about row 1: not UTF-8"):
        plan_polis(folder)
