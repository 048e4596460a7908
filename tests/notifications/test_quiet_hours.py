"""Quiet hours end at the first instant at or after their local end, on both clock changes."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from coterie_notifications.domain.quiet_hours import (
    QuietHours,
    first_instant,
    next_local,
    zone_of,
)

BERLIN = zone_of("Europe/Berlin", "UTC")
NIGHT = QuietHours(time(21), time(8))
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]
ZONES += ["Africa/Casablanca", "America/St_Johns", "Pacific/Apia", "Europe/Dublin"]


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def test_a_night_ends_at_eight() -> None:
    assert NIGHT.not_before(at(2026, 6, 1, 20, 0), BERLIN) == at(2026, 6, 2, 6, 0)
    assert NIGHT.not_before(at(2026, 6, 2, 6, 0), BERLIN) is None
    assert NIGHT.not_before(at(2026, 6, 1, 18, 59), BERLIN) is None


def test_the_night_of_the_spring_change_is_an_hour_shorter() -> None:
    assert NIGHT.not_before(at(2026, 3, 28, 20, 0), BERLIN) == at(2026, 3, 29, 6, 0)


def test_the_night_of_the_autumn_change_is_an_hour_longer() -> None:
    assert NIGHT.not_before(at(2026, 10, 24, 19, 0), BERLIN) == at(2026, 10, 25, 7, 0)


def test_an_end_that_spring_skips_is_the_moment_of_the_change() -> None:
    quiet = QuietHours(time(22), time(2, 30))
    assert quiet.not_before(at(2026, 3, 29, 0, 30), BERLIN) == at(2026, 3, 29, 1, 0)


def test_an_end_that_autumn_repeats_is_its_first_pass_and_not_quiet_twice() -> None:
    quiet = QuietHours(time(22), time(2, 30))
    ends = at(2026, 10, 25, 0, 30)
    assert quiet.not_before(at(2026, 10, 24, 23, 0), BERLIN) == ends
    second_two_oclock = at(2026, 10, 25, 1, 10)
    assert second_two_oclock.astimezone(BERLIN.info).time() == time(2, 10)
    assert quiet.not_before(second_two_oclock, BERLIN) is None


def test_a_start_that_autumn_repeats_stays_quiet_through_both_passes() -> None:
    quiet = QuietHours(time(2, 30), time(8))
    between = at(2026, 10, 25, 1, 10)
    assert between.astimezone(BERLIN.info).time() == time(2, 10)
    assert quiet.not_before(between, BERLIN) == at(2026, 10, 25, 7, 0)


def test_equal_ends_mean_never() -> None:
    assert QuietHours(time(9), time(9)).not_before(at(2026, 6, 1, 9), BERLIN) is None


def test_an_unknown_zone_falls_back_to_the_communitys_and_is_flagged() -> None:
    assert zone_of("Mars/Olympus", "Asia/Tokyo").name == "Asia/Tokyo"
    assert zone_of("Mars/Olympus", "Asia/Tokyo").fallback
    assert zone_of("../etc/passwd", "Mars/Olympus").name == "UTC"
    assert not zone_of("Europe/Paris", "Asia/Tokyo").fallback
    assert not zone_of(None, "Asia/Tokyo").fallback


def test_the_next_monday_at_nine_is_always_later() -> None:
    monday_nine = at(2026, 6, 1, 7)
    assert next_local(monday_nine, 0, time(9), BERLIN) == monday_nine + timedelta(days=7)
    assert next_local(monday_nine - timedelta(seconds=1), 0, time(9), BERLIN) == monday_nine


instants = st.integers(0, 30 * 365 * 24 * 60).map(
    lambda minutes: at(2005, 1, 1) + timedelta(minutes=minutes)
)
near_changes = st.sampled_from(
    [at(2026, 3, 29, 1), at(2026, 10, 25, 1), at(2026, 3, 8, 7), at(2026, 11, 1, 6)]
).flatmap(lambda change: st.integers(-2000, 2000).map(lambda m: change + timedelta(minutes=m)))
clocks = st.times().map(lambda t: t.replace(second=0, microsecond=0))


@given(st.one_of(instants, near_changes), clocks, clocks, st.sampled_from(ZONES))
def test_quiet_hours_are_never_broken_across_clock_changes(
    moment: datetime, begin: time, end: time, name: str
) -> None:
    zone, quiet = zone_of(name, "UTC"), QuietHours(begin, end)
    until = quiet.not_before(moment, zone)
    if until is None:
        return
    assert until > moment
    assert quiet.not_before(until, zone) is None
    just_before = max(moment, until - timedelta(microseconds=1))
    assert quiet.not_before(just_before, zone) == until


@given(near_changes, clocks, st.sampled_from(ZONES))
def test_the_first_instant_shows_the_time_or_later_and_none_before_does(
    moment: datetime, clock: time, name: str
) -> None:
    zone = zone_of(name, "UTC")
    day = moment.astimezone(zone.info).date()
    found = first_instant(day, clock, zone)
    wanted = datetime.combine(day, clock.replace(fold=0))
    info = ZoneInfo(name)
    assert found.astimezone(info).replace(tzinfo=None) >= wanted
    for minutes in (1, 29, 59, 61, 119):
        earlier = found - timedelta(minutes=minutes)
        assert earlier.astimezone(info).replace(tzinfo=None) < wanted
