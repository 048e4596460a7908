"""Stand-ins depend on the vote and the circle of that instant, on nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from coterie_local.importers.roster import Roster

START = datetime(2020, 1, 1, tzinfo=UTC)


def _at(hours: int) -> datetime:
    return START + timedelta(hours=hours)


def _circle(*people: str) -> Roster:
    roster = Roster()
    for person in people:
        roster.admit(person, START)
    return roster


def test_a_member_belongs_from_admission_until_departure() -> None:
    roster = _circle("ana")
    roster.depart("ana", _at(5))
    assert not roster.is_member("ana", START - timedelta(seconds=1))
    assert roster.is_member("ana", START)
    assert roster.is_member("ana", _at(4))
    assert not roster.is_member("ana", _at(5))


def test_nobody_stands_in_on_their_own_contribution_or_twice() -> None:
    roster = _circle("ana", "ben", "cem")
    chosen = {roster.stand_in(f"vote:{n}", "post:1", "ana", START) for n in range(2)}
    assert chosen == {"ben", "cem"}
    assert roster.stand_in("vote:2", "post:1", "ana", START) is None
    assert roster.stand_in("vote:2", "post:2", "ben", START) in {"ana", "cem"}


def test_somebody_who_comes_later_does_not_stand_in_before() -> None:
    roster = Roster()
    roster.admit("late", _at(9))
    assert roster.stand_in("vote:1", "post:1", None, _at(8)) is None


@given(st.permutations([f"person:{n}" for n in range(8)]), st.integers(0, 10_000))
def test_the_choice_does_not_depend_on_the_order_of_admissions(people: list[str], n: int) -> None:
    vote = f"vote:{n}"
    expected = _circle(*sorted(people)).stand_in(vote, "post:1", "person:0", START)
    assert expected is not None
    assert _circle(*people).stand_in(vote, "post:1", "person:0", START) == expected


@given(st.integers(0, 10_000))
def test_a_departure_changes_only_the_choices_that_fell_on_who_left(n: int) -> None:
    people = [f"person:{k}" for k in range(6)]
    before = _circle(*people).stand_in(f"vote:{n}", "post:1", None, _at(1))
    smaller = _circle(*people)
    smaller.depart("person:3", _at(1))
    after = smaller.stand_in(f"vote:{n}", "post:1", None, _at(1))
    assert before in (after, "person:3")


def test_the_most_members_at_once_count_departures_first() -> None:
    roster = _circle("ana", "ben")
    roster.depart("ana", _at(2))
    roster.admit("cem", _at(2))
    assert roster.most_at_once() == 2
