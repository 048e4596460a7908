"""Whatever tags were set and in whatever order, staff's deeds are ones that the platform allows."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from coterie_local.importers.plan import RowRef, Step, StepKind
from coterie_local.importers.stackexchange import TagEdit
from coterie_local.importers.statuses import DEED_OF_TAG, Suggestion, Unplayed, deeds

START = datetime(2020, 1, 1, tzinfo=UTC)
FORWARD = [StepKind.ACCEPT, StepKind.PLAN, StepKind.IMPLEMENT]

_tags = st.frozensets(st.sampled_from([*DEED_OF_TAG, "bug", "shop"]), max_size=3)
_histories = st.lists(st.tuples(st.integers(-5, 40), _tags), max_size=8)


def _suggestion(*, completed: bool) -> Suggestion:
    return Suggestion(7, "post:7", START, completed, START + timedelta(days=50))


def _edits(history: list[tuple[int, frozenset[str]]]) -> list[TagEdit]:
    return [
        TagEdit(RowRef("PostHistory.xml", n), n, 6, 7, 3, START + timedelta(days=day), tags)
        for n, (day, tags) in enumerate(history, start=1)
    ]


@given(_histories, st.booleans())
def test_deeds_walk_forward_or_end_in_one_refusal(
    history: list[tuple[int, frozenset[str]]], completed: bool
) -> None:
    outcomes = deeds(_suggestion(completed=completed), _edits(history))
    steps = [each for each in outcomes if isinstance(each, Step)]
    kinds = [step.kind for step in steps]
    assert kinds in ([StepKind.DECLINE], *(FORWARD[:n] for n in range(4)))
    assert [step.at for step in steps] == sorted(step.at for step in steps)
    assert all(step.at >= START for step in steps)
    assert (StepKind.IMPLEMENT in kinds) or not completed


@given(_histories, st.booleans())
def test_every_edit_is_accounted_for_once(
    history: list[tuple[int, frozenset[str]]], completed: bool
) -> None:
    edits = _edits(history)
    settled = Counter(
        each.ref if isinstance(each, Unplayed) else each.row
        for each in deeds(_suggestion(completed=completed), edits)
        if isinstance(each, Unplayed) or each.settles
    )
    assert settled == Counter(edit.ref for edit in edits)


@given(_histories)
def test_what_no_edit_asked_for_is_simulated(history: list[tuple[int, frozenset[str]]]) -> None:
    for each in deeds(_suggestion(completed=True), _edits(history)):
        if isinstance(each, Step):
            assert each.simulated is not each.settles
