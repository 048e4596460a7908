"""Ids come from their causes, so a decision taken twice is the same decision."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from coterie_chassis.decisions import Cause, event_id, member_id_of, person_id_of
from coterie_chassis.inbox import day_of

AT = datetime(2026, 11, 23, 10, tzinfo=UTC)


def cause(**changes: object) -> Cause:
    base = Cause(id=UUID(int=1), actor="system", at=AT, recorded_at=AT, correlation_id=UUID(int=2))
    return replace(base, **changes)  # type: ignore[arg-type]


def test_the_same_decision_has_the_same_id() -> None:
    subject = uuid4()

    assert event_id(cause(), "s", "t", subject) == event_id(cause(actor="x"), "s", "t", subject)


@given(st.sampled_from(["cause", "service", "type", "subject", "discriminator"]))
def test_each_part_of_a_decision_changes_its_id(part: str) -> None:
    subject = UUID(int=3)
    base = event_id(cause(), "s", "t", subject)
    other = {
        "cause": event_id(cause(id=UUID(int=9)), "s", "t", subject),
        "service": event_id(cause(), "s2", "t", subject),
        "type": event_id(cause(), "s", "t2", subject),
        "subject": event_id(cause(), "s", "t", UUID(int=4)),
        "discriminator": event_id(cause(), "s", "t", subject, "d"),
    }
    assert other[part] != base


@given(st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - bounds are naive by contract
def test_the_day_of_its_cause_stands_inside_an_event_id(moment: datetime) -> None:
    id_ = event_id(cause(recorded_at=moment), "s", "t", uuid4())

    assert id_.version == 8
    assert id_.variant == "specified in RFC 4122"
    assert day_of(id_) == moment.date()


def test_a_person_is_a_pseudonym_and_a_member_is_one_person_in_one_community() -> None:
    ann = person_id_of("https://issuer", "ann")
    first, second = uuid4(), uuid4()

    assert ann == person_id_of("https://issuer", "ann")
    assert ann != person_id_of("https://other", "ann")
    assert member_id_of(first, ann) == member_id_of(first, ann)
    assert member_id_of(first, ann) != member_id_of(second, ann)
