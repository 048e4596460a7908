"""Merit against a second implementation, against sums by hand, and under every order."""

from __future__ import annotations

import random
import time
from math import fsum
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coterie_recognition.domain.merit import TEAM, Rating, Standing, fold, nothing_said

from .naive_merit import merit as naive

VALUES = (0.0, 0.2, 0.7, 1.0)


def member(number: int) -> UUID:
    return UUID(int=1_000 + number)


def contribution(number: int) -> UUID:
    return UUID(int=1_000_000 + number)


def said(contribution_: int, rater: int | None, author: int, value: float) -> Rating:
    by = TEAM if rater is None else member(rater)
    return Rating(contribution(contribution_), by, member(author), value)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Rating], dict[UUID, int], int]:
    """A small circle in which most people rate most things, so that praise is often returned."""
    people = draw(st.integers(2, 5))
    authors = draw(st.lists(st.integers(0, people - 1), min_size=3, max_size=9))
    cells = len(authors) * people
    often_kind = st.sampled_from((None, *VALUES, 0.7, 1.0, 1.0))
    given_ = draw(st.lists(often_kind, min_size=cells, max_size=cells))
    appreciated = draw(st.sets(st.integers(0, len(authors) - 1), max_size=2))
    ratings = [
        said(cell // people, cell % people, authors[cell // people], value)
        for cell, value in enumerate(given_)
        if value is not None
    ]
    ratings += [said(c, None, authors[c], 1.0) for c in sorted(appreciated)]
    counts = draw(st.dictionaries(st.integers(0, people - 1), st.integers(1, 4), max_size=3))
    return ratings, {member(m): n for m, n in counts.items()}, people


@given(histories())
@settings(max_examples=100, deadline=None)
def test_merit_is_what_the_rulebook_says(
    history: tuple[list[Rating], dict[UUID, int], int],
) -> None:
    ratings, outcomes, members = history
    standings = fold(ratings, outcomes, members)
    plain = naive(
        {(r.contribution_id, r.rater_id): r.value for r in ratings},
        {r.contribution_id: r.author_id for r in ratings},
        dict(outcomes),
        TEAM,
    )

    assert standings.keys() == plain.keys()
    for id_, standing in standings.items():
        merit, weight, raters = plain[id_]
        assert standing.merit == pytest.approx(merit, abs=1e-12)
        assert 0 <= standing.merit <= 1
        enough = weight >= 0.5 and raters >= min(3, members - 1)
        if abs(weight - 0.5) > 1e-9:
            assert standing.provisional == (not (enough or outcomes.get(id_, 0) > 0))


@given(histories(), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_shuffled_inputs_give_the_same_bits(
    history: tuple[list[Rating], dict[UUID, int], int], shuffle: random.Random
) -> None:
    ratings, outcomes, members = history
    expected = fold(ratings, outcomes, members)
    shuffled = list(ratings)
    shuffle.shuffle(shuffled)

    assert fold(shuffled, dict(reversed(list(outcomes.items()))), members) == expected


def test_one_rating_by_hand() -> None:
    # g = (1 + 2) / 5 = .6; m = .4 / 11; z = .4 - .4 / 11 = 4 / 11; W = 1; v = 1 / 4
    # and Q is half of v z over .3 + v above the average
    standing = fold([said(1, 1, 2, 1.0)], {}, 5)[member(2)]

    assert standing.merit == pytest.approx(0.5 + 0.5 * (0.25 * 4 / 11) / 0.55)
    assert standing.provisional


def test_appreciation_has_no_habit_by_hand() -> None:
    # g = .6; z = .4 with no habit taken off
    standing = fold([said(1, None, 2, 1.0)], {}, 5)[member(2)]

    assert standing.merit == pytest.approx(0.5 + 0.5 * (0.25 * 0.4) / 0.55)


def test_outcomes_alone_by_hand() -> None:
    standings = fold([], {member(1): 1, member(2): 2}, 5)

    assert [(s.merit, s.hundredths, s.provisional) for s in standings.values()] == [
        (0.625, 62, False),
        (0.71875, 72, False),
    ]


def test_own_ratings_do_not_count() -> None:
    assert fold([said(1, 1, 1, 1.0)], {}, 5) == {}


def test_silence_is_the_circles_average() -> None:
    standing = nothing_said(member(1))

    assert (standing.hundredths, standing.provisional) == (50, True)


def test_one_person_has_one_voice_about_you() -> None:
    often = [said(c, 1, 2, 1.0) for c in range(6)]
    standing = fold(often, {}, 5)[member(2)]

    assert fsum(c.voices for c in standing.contributions) <= 1
    assert standing.raters == 1
    assert standing.provisional


def ring(size: int) -> list[Rating]:
    """Each praises the next one's three contributions; everybody else is rated by all, plainly."""
    traded = [
        said(100 + author * 3 + c, (author - 1) % size, author, 1.0)
        for author in range(size)
        for c in range(3)
    ]
    plain = [said(author, r, author, 0.7) for author in range(10, 20) for r in range(10, 20)]
    return traded + plain


@pytest.mark.parametrize("size", [2, 3])
def test_praise_traded_in_pairs_or_threes_counts_less(size: int) -> None:
    standings = fold(ring(size), {}, 20)
    one_way = [r for r in ring(size) if r.author_id != member(0)]
    open_chain = fold(one_way, {}, 20)

    traded = standings[member(1)].contributions[0].voices
    assert traded < open_chain[member(1)].contributions[0].voices
    assert traded < 0.75 / 3


def test_provisional_until_three_raters_or_all_others_have_spoken() -> None:
    two_raters = [said(c, r, 9, 0.7) for c in range(4) for r in (1, 2)]

    assert fold(two_raters, {}, 4)[member(9)].provisional
    assert not fold(two_raters, {}, 3)[member(9)].provisional
    assert not fold([*two_raters, said(0, 3, 9, 0.2)], {}, 4)[member(9)].provisional


def test_honest_criticism_costs_the_critic_nothing() -> None:
    others = [said(c, r, 5, 0.7) for c in range(3) for r in (1, 2, 3)]
    about_critic = [said(10, r, 4, 0.7) for r in (1, 2, 3)]
    kind = fold([*others, *about_critic, said(0, 4, 5, 0.7)], {}, 6)[member(4)]
    harsh = fold([*others, *about_critic, said(0, 4, 5, 0.0)], {}, 6)[member(4)]

    assert harsh.merit >= kind.merit


def season_of_ratings(ratings: int, members: int) -> list[Rating]:
    chance = random.Random(7)
    authors = [chance.randrange(members) for _ in range(ratings // 10)]
    pairs: set[tuple[int, int]] = set()
    while len(pairs) < ratings:
        c, r = chance.randrange(len(authors)), chance.randrange(members)
        if authors[c] != r:
            pairs.add((c, r))
    return [said(c, r, authors[c], chance.choice(VALUES)) for c, r in sorted(pairs)]


def test_a_large_season_is_folded_in_a_fraction_of_a_second(
    record_property: pytest.RecordProperty,
) -> None:
    ratings = season_of_ratings(10_000, 100)

    def once() -> float:
        began = time.perf_counter()
        standings: dict[UUID, Standing] = fold(ratings, {}, 100)
        assert len(standings) > 90
        return time.perf_counter() - began

    fastest = min(once() for _ in range(3))
    record_property("seconds for 10,000 ratings of 100 members", fastest)
    assert fastest < 1
