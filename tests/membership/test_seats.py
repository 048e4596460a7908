"""Seats: never one too many, gapless in the log, nobody evicted."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import text

from coterie_chassis.decisions import Refusal
from coterie_chassis.testing import Harness
from coterie_contracts.member import MemberAdmitted, SeatLapsed, SeatOffered
from coterie_contracts.model import EventBody, Seated
from coterie_membership.domain.seats import Seats
from coterie_membership.domain.timing import offer_end

from .conftest import MANAGER, Founder, applicant

THEN = datetime(2026, 3, 2, 12, tzinfo=UTC)


class SeatMachine(RuleBasedStateMachine):
    """Whatever happens in whatever order, no seat is taken at or above the capacity."""

    def __init__(self) -> None:
        super().__init__()
        self.seats = Seats(3, 3, 0, 0)
        self.steps = 0

    @rule()
    def take(self) -> None:
        before = self.seats
        try:
            self.seats = before.take()
        except Refusal:
            assert before.held >= before.capacity
        else:
            self.steps += 1
            assert before.held < before.capacity

    @rule()
    def release(self) -> None:
        if self.seats.held:
            self.seats = self.seats.release()
            self.steps += 1

    @rule(capacity=st.integers(1, 8))
    def resize(self, capacity: int) -> None:
        held = self.seats.held
        self.seats = self.seats.resize(capacity)
        self.steps += 1
        assert self.seats.held == held, "nobody is evicted"

    @invariant()
    def held_within_limit(self) -> None:
        assert 0 <= self.seats.held <= self.seats.limit
        assert self.seats.limit == max(self.seats.capacity, self.seats.held)
        assert self.seats.sequence == self.steps


TestSeatMachine = SeatMachine.TestCase


@given(
    st.datetimes(
        datetime(2026, 1, 1),  # noqa: DTZ001 - bounds are naive by contract
        datetime(2027, 1, 1),  # noqa: DTZ001 - bounds are naive by contract
        timezones=st.just(UTC),
    ),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Chatham"]),
)
def test_a_seat_offer_never_ends_at_night(offered_at: datetime, zone: str) -> None:
    end = offer_end(offered_at, zone)
    local = end.astimezone(ZoneInfo(zone))

    assert 9 <= local.hour < 21 or (local.hour, local.minute) == (9, 0)
    assert timedelta(hours=72) <= end - offered_at <= timedelta(hours=72 + 13)


async def test_two_hundred_at_once_for_fifty_seats_admit_exactly_fifty(
    h: Harness, found: Founder
) -> None:
    circle = await found(capacity=50)

    answers = await asyncio.gather(*(circle.apply(f"person {n}") for n in range(200)))

    statuses = [answer.json()["status"] for answer in answers]
    assert statuses.count("admitted") == 50
    assert statuses.count("waitlisted") == 150
    assert await circle.seats() == {"capacity": 50, "held": 50, "free": 0, "waitlisted": 150}
    admitted = await h.published(MemberAdmitted)
    assert sorted(event.data.seats_held for event in admitted) == list(range(1, 51))


async def test_the_database_refuses_a_seat_too_many(h: Harness, found: Founder) -> None:
    await found(capacity=1)

    with pytest.raises(Exception, match="seats_within_limit"):
        async with h.database.begin() as uow:
            await uow.execute(text("UPDATE community SET held = 2"))


async def test_seat_events_are_gapless_and_state_what_they_hold(h: Harness, found: Founder) -> None:
    circle = await found(capacity=2)
    ann = await circle.admit("ann")
    await circle.admit("bob")
    await circle.apply("cleo")
    await h.post(f"/members/{ann['member_id']}/leave", as_=applicant("ann"))

    seated = [e.data for e in await h.published(EventBody) if isinstance(e.data, Seated)]

    assert [data.seat_sequence for data in seated] == list(range(1, len(seated) + 1))
    assert [data.seats_held for data in seated] == [1, 2, 1, 2]


async def test_lowering_the_capacity_evicts_nobody_and_admits_nobody(
    h: Harness, found: Founder
) -> None:
    circle = await found(capacity=3)
    names = ["ann", "bob", "cleo"]
    members = [await circle.admit(name) for name in names]
    path = f"/communities/{circle.id}/capacity"
    assert (await h.put(path, {"capacity": 1}, as_=MANAGER)).status_code == 200
    assert (await circle.seats())["held"] == 3
    assert (await circle.apply("dora")).json()["status"] == "waitlisted"

    for member, name in list(zip(members, names, strict=True))[:2]:
        await h.post(f"/members/{member['member_id']}/leave", as_=applicant(name))
        assert (await circle.seats())["waitlisted"] == 1

    await h.post(f"/members/{members[2]['member_id']}/leave", as_=applicant("cleo"))
    assert await circle.seats() == {"capacity": 1, "held": 1, "free": 0, "waitlisted": 0}


async def test_a_freed_seat_goes_to_the_waitlist_in_its_order(h: Harness, found: Founder) -> None:
    circle = await found(capacity=1)
    ann = await circle.admit("ann")
    waiting = [(await circle.apply(name)).json() for name in ["bob", "cleo", "dora"]]
    last = waiting[2]["application_id"]
    await circle.do(f"/applications/{last}/priority", {"priority": 5})

    await h.post(f"/members/{ann['member_id']}/leave", as_=applicant("ann"))

    (offer,) = await h.published(SeatOffered)
    assert str(offer.data.application_id) == last


async def test_a_lapsed_offer_keeps_the_place_once(h: Harness, found: Founder) -> None:
    circle = await found(capacity=1, clock="driven", at=THEN)
    ann = (await circle.apply("ann", at=THEN)).json()
    bob = (await circle.apply("bob", at=THEN + timedelta(hours=1))).json()
    cleo = (await circle.apply("cleo", at=THEN + timedelta(hours=2))).json()
    assert (bob["status"], cleo["status"]) == ("waitlisted", "waitlisted")
    path = f"/members/{ann['member_id']}/leave"
    await h.post(path, as_=applicant("ann"), at=THEN + timedelta(hours=3))

    async def statuses() -> list[str]:
        return [(await circle.show(a["application_id"]))["status"] for a in (bob, cleo)]

    assert await statuses() == ["offered", "waitlisted"]
    await _push(circle, THEN + timedelta(days=4))
    assert await statuses() == ["waitlisted", "offered"]
    await _push(circle, THEN + timedelta(days=8))
    assert await statuses() == ["offered", "waitlisted"]
    await _push(circle, THEN + timedelta(days=12))
    assert await statuses() == ["lapsed", "offered"]
    lapses = await h.published(SeatLapsed)
    assert [lapse.data.final for lapse in lapses] == [False, False, True]
    assert all(earlier.time < later.time for earlier, later in pairwise(lapses))


async def test_accepting_a_seat_offer_takes_no_new_seat(h: Harness, found: Founder) -> None:
    circle = await found(capacity=1)
    ann = await circle.admit("ann")
    bob = (await circle.apply("bob")).json()
    await h.post(f"/members/{ann['member_id']}/leave", as_=applicant("ann"))
    assert (await circle.seats())["held"] == 1

    path = f"/applications/{bob['application_id']}/accept-seat"
    answer = await h.post(path, as_=applicant("bob"))
    again = await h.post(path, as_=applicant("bob"))

    assert answer.json()["status"] == "admitted"
    assert again.json() == answer.json()
    assert (await circle.seats())["held"] == 1
    assert len(await h.published(MemberAdmitted)) == 2


async def test_suspending_and_reinstating_move_no_seat(h: Harness, found: Founder) -> None:
    circle = await found(capacity=1)
    ann = await circle.admit("ann")
    member = f"/members/{ann['member_id']}"

    assert (await circle.do(f"{member}/suspend", {})).json()["status"] == "suspended"
    assert (await circle.seats())["held"] == 1
    assert (await circle.do(f"{member}/reinstate")).json()["status"] == "active"
    assert (await circle.seats())["held"] == 1


async def _push(circle: Any, now: datetime) -> None:
    answer = await circle.do(f"/communities/{circle.id}/clock", {"now": now})
    assert answer.status_code == 200, answer.text
