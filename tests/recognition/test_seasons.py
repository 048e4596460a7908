"""Seasons, outcomes and what of merit is shown: small rules over sets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import UUID, uuid4
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coterie_contracts.reward import Band
from coterie_recognition.domain.leaderboard import bands, leaders
from coterie_recognition.domain.outcomes import Outcome, OutcomeKind, counted
from coterie_recognition.domain.seasons import Season, quarter_hour_of, season_named, season_of

START = datetime(2026, 4, 1, tzinfo=UTC)
END = datetime(2026, 7, 1, tzinfo=UTC)
ADA, BEN = UUID(int=1), UUID(int=2)
ITEM = uuid4()


def fact(kind: OutcomeKind, sequence: int, round_: int = 1, day: int = 10, *who: UUID) -> Outcome:
    at = START + timedelta(days=day)
    return Outcome(ITEM, round_, kind, sequence, at, who or (ADA,))


BUILT, YES = OutcomeKind.IMPLEMENTED, OutcomeKind.VERIFIED
NO, SILENCE = OutcomeKind.REOPENED, OutcomeKind.UNCONFIRMED


@given(st.datetimes(timezones=st.just(UTC)), st.sampled_from(["Asia/Tokyo", "America/New_York"]))
def test_every_instant_lies_in_exactly_its_season(at: datetime, zone: str) -> None:
    if not datetime(1900, 1, 1, tzinfo=UTC) < at < datetime(9000, 1, 1, tzinfo=UTC):
        return
    season = season_of(at, zone)

    assert season.starts_at(zone) <= at < season.ends_at(zone)
    assert season_named(season.label) == season
    assert season.following.starts_at(zone) == season.ends_at(zone)


def test_every_season_begins_with_a_quarter_of_an_hour() -> None:
    starts = [
        (zone, Season(year, quarter).starts_at(zone))
        for zone in available_timezones()
        for year in range(1981, 2041)
        for quarter in (1, 2, 3, 4)
    ]

    assert [start for start in starts if quarter_hour_of(start[1]) != start[1]] == []


def test_instants_of_a_quarter_of_an_hour_are_one() -> None:
    assert quarter_hour_of(START + timedelta(minutes=14, microseconds=3)) == START
    assert quarter_hour_of(START - timedelta(microseconds=1)) == START - timedelta(minutes=15)


def test_an_instant_before_zones_were_whole_quarters_of_an_hour_stays() -> None:
    at = datetime(1979, 12, 31, 10, 41, tzinfo=UTC)

    assert quarter_hour_of(at) == at
    assert quarter_hour_of(at + timedelta(days=2)) == datetime(1980, 1, 2, 10, 30, tzinfo=UTC)


def test_a_season_is_a_quarter_in_the_communitys_zone() -> None:
    new_year = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)

    assert season_of(new_year, "UTC") == Season(2026, 4)
    assert season_of(new_year, "Europe/Berlin") == Season(2027, 1)
    assert season_of(new_year, "Nowhere/Atall") == Season(2026, 4)
    assert season_named("2026-Q5") is None


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([fact(BUILT, 1)], 1),
        ([fact(BUILT, 1), fact(YES, 2)], 2),
        ([fact(BUILT, 1), fact(SILENCE, 2)], 1),
        ([fact(BUILT, 1), fact(NO, 2)], 0),
        ([fact(BUILT, 1), fact(YES, 2), fact(NO, 3)], 0),
        ([fact(BUILT, 1), fact(SILENCE, 2), fact(YES, 3)], 2),
        ([fact(BUILT, 1), fact(NO, 2), fact(BUILT, 3, 2)], 1),
        ([fact(BUILT, 1), fact(NO, 2), fact(BUILT, 3, 2), fact(YES, 4, 2)], 2),
    ],
)
def test_only_the_last_round_counts_in_any_order_of_facts(
    facts: list[Outcome], expected: int
) -> None:
    for order in permutations(facts):
        assert counted(order, START, END)[ADA] == expected


def test_authors_of_duplicates_share_the_outcome_each_once() -> None:
    assert counted([fact(BUILT, 1, 1, 10, ADA, BEN, ADA)], START, END) == {ADA: 1, BEN: 1}


def test_a_closed_season_keeps_what_was_reopened_later() -> None:
    after = (END - START).days + 5
    facts = [fact(BUILT, 1), fact(NO, 2, 1, after), fact(BUILT, 3, 2, after + 1)]
    following = END + timedelta(days=92)

    assert counted(facts, START, END)[ADA] == 1
    assert counted(facts, END, following)[ADA] == 1
    assert counted([fact(BUILT, 1), fact(YES, 2, 1, after)], END, following)[ADA] == 1


def circle_of(*merits: int) -> dict[UUID, int]:
    return {UUID(int=n + 1): merit for n, merit in enumerate(merits)}


def test_fewer_than_ten_have_neither_rank_nor_band() -> None:
    nine = circle_of(*range(50, 59))

    assert bands(nine) == {}
    assert leaders(nine.items()) == []


def test_at_most_the_top_fifth_or_ten_are_shown_and_never_the_last() -> None:
    ten, hundred = circle_of(*range(50, 60)), circle_of(*range(100))

    assert [(p.rank, p.hundredths) for p in leaders(ten.items())] == [(1, 59), (2, 58)]
    assert len(leaders(hundred.items())) == 10
    assert len(leaders(circle_of(*range(30)).items())) == 6


def test_equals_who_do_not_all_fit_are_left_out() -> None:
    tied = circle_of(80, 70, 70, *range(40, 47))

    assert [p.hundredths for p in leaders(tied.items())] == [80]


@given(st.lists(st.integers(0, 100), min_size=10, max_size=60))
def test_bands_follow_merit_and_equals_share_one(merits: list[int]) -> None:
    order = [Band.TOP, Band.UPPER, Band.MIDDLE, Band.STEADY]
    found = bands(circle_of(*merits))
    by_merit = sorted(zip(merits, found.values(), strict=True), key=lambda entry: -entry[0])

    places = [order.index(band) for _, band in by_merit]
    assert places == sorted(places)
    assert len({(merit, band) for merit, band in by_merit}) == len(set(merits))
    assert places.count(0) <= len(merits) * 0.4
