"""The driven clock: years back, in order, told once, and left without a landslide."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from coterie_chassis.testing import Harness
from coterie_contracts.community import ClockAdvanced, ClockMode
from coterie_contracts.member import (
    InvitationIssued,
    MemberAdmitted,
    MemberReinstated,
    MemberSuspended,
    SeatLapsed,
    SeatOffered,
)
from coterie_contracts.model import EventBody

from .conftest import MANAGER, Circle, Founder, applicant

THEN = datetime(2010, 3, 2, 12, tzinfo=UTC)


async def push(circle: Circle, now: datetime) -> Any:
    return await circle.do(f"/communities/{circle.id}/clock", {"now": now})


async def test_everything_of_a_driven_circle_happens_in_its_own_time(
    h: Harness, found: Founder
) -> None:
    circle = await found(capacity=1, clock="driven", at=THEN)
    ann = (await circle.apply("ann", at=THEN + timedelta(hours=1))).json()
    await circle.apply("bob", at=THEN + timedelta(hours=2))
    path = f"/members/{ann['member_id']}/leave"
    await h.post(path, as_=applicant("ann"), at=THEN + timedelta(hours=3))

    events = await h.published(EventBody)

    assert all(event.time.year == 2010 for event in events)
    assert all(event.clock is ClockMode.DRIVEN for event in events)
    assert all(event.recorded_time.year > 2010 for event in events)
    (offered,) = await h.published(SeatOffered)
    assert offered.data.expires_at == THEN + timedelta(hours=75)


async def test_what_is_due_happens_before_what_comes_later(h: Harness, found: Founder) -> None:
    circle = await found(capacity=1, clock="driven", at=THEN)
    ann = (await circle.apply("ann", at=THEN)).json()
    bob = (await circle.apply("bob", at=THEN)).json()["application_id"]
    await h.post(f"/members/{ann['member_id']}/leave", as_=applicant("ann"), at=THEN)

    late = THEN + timedelta(days=30)
    refused = await h.post(f"/applications/{bob}/accept-seat", as_=applicant("bob"), at=late)

    assert refused.status_code == 409
    assert (await circle.show(bob))["status"] == "offered", "a refused command moved nothing"
    await push(circle, late)
    assert [e.data.final for e in await h.published(SeatLapsed)] == [False, True]
    assert all(e.time < late for e in await h.published(SeatLapsed))


async def test_a_clock_is_told_once_for_an_instant(h: Harness, found: Founder) -> None:
    circle = await found(clock="driven", at=THEN)
    later = THEN + timedelta(days=1)

    answers = [await push(circle, now) for now in (later, later, THEN)]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    (told,) = await h.published(ClockAdvanced)
    assert told.data.now == later


async def test_a_clock_that_a_silent_command_moved_is_told_when_pushed(
    h: Harness, found: Founder
) -> None:
    circle = await found(clock="driven", at=THEN)
    ann = (await circle.apply("ann", at=THEN)).json()["member_id"]
    later = THEN + timedelta(days=1)
    profile = f"/members/{ann}/profile"
    await h.put(profile, {"handle": "ann"}, as_=applicant("ann"), at=later)

    await push(circle, later)

    assert [event.data.now for event in await h.published(ClockAdvanced)] == [later]


async def test_going_live_restarts_what_is_open_and_ends_nothing(
    h: Harness, found: Founder
) -> None:
    circle = await found(capacity=3, clock="driven", at=THEN)
    ann, cem = [(await circle.apply(name, at=THEN)).json() for name in ("ann", "cem")]
    invitation = await circle.do(f"/communities/{circle.id}/invitations", {}, at=THEN)
    bob = (await circle.apply("bob", at=THEN)).json()["application_id"]
    await circle.do(f"/members/{cem['member_id']}/suspend", {}, at=THEN)
    await h.post(f"/members/{ann['member_id']}/leave", as_=applicant("ann"), at=THEN)
    await push(circle, THEN + timedelta(days=2))
    seats = await circle.seats()

    live = await circle.do(f"/communities/{circle.id}/go-live")

    assert live.json()["clock"] == "wall"
    now = (await h.published(ClockAdvanced))[-1].data.now
    assert now.year > 2010
    offered = (await h.published(SeatOffered))[-1]
    assert (await circle.show(bob))["status"] == "offered"
    assert offered.data.expires_at - now >= timedelta(hours=72)
    issued = (await h.published(InvitationIssued))[-1]
    assert issued.data.expires_at == now + timedelta(days=14)
    assert str(issued.subject) == invitation.json()["invitation_id"]
    suspended = (await h.published(MemberSuspended))[-1]
    assert suspended.data.until == now + timedelta(days=12), "what was left of it"
    assert await h.published(SeatLapsed) == []
    assert await circle.seats() == seats
    assert [e.data.seat_sequence for e in (offered, issued)] == [
        issued.data.seat_sequence - 1,
        issued.data.seat_sequence,
    ]


async def test_after_going_live_the_wall_clock_ends_what_is_due(h: Harness, found: Founder) -> None:
    circle = await found(clock="driven", at=THEN)
    ann = (await circle.apply("ann", at=THEN)).json()["member_id"]
    await circle.do(f"/members/{ann}/suspend", {}, at=THEN)
    await circle.do(f"/communities/{circle.id}/go-live")
    assert await h.sweep() == 0

    await h.sweep(at=datetime.now(UTC) + timedelta(days=15))

    assert len(await h.published(MemberReinstated)) == 1
    assert (await circle.apply("bob", at=THEN)).status_code == 409, "no more told times"
    admitted = (await circle.apply("bob")).json()["admitted_at"]
    assert datetime.fromisoformat(admitted).year > 2010
    assert (await h.published(MemberAdmitted))[-1].clock is ClockMode.WALL


async def test_only_an_importer_drives_a_clock(h: Harness, found: Founder) -> None:
    circle = await found()
    body = {"name": "x", "time_zone": "UTC", "objective": "y"}

    assert (await push(circle, THEN)).status_code == 409
    assert (await h.post("/communities", body, as_=MANAGER, at=THEN)).status_code == 409


async def test_a_stale_deadline_finds_nothing_to_do(h: Harness, found: Founder) -> None:
    circle = await found(capacity=1)
    ann = await circle.admit("ann")
    bob = (await circle.apply("bob")).json()["application_id"]
    await h.post(f"/members/{ann['member_id']}/leave", as_=applicant("ann"))
    await h.post(f"/applications/{bob}/accept-seat", as_=applicant("bob"))
    async with h.database.begin() as uow:
        (row,) = await uow.rows(
            text("SELECT count(*) AS n FROM deadline WHERE kind = 'seat_offer.lapse'")
        )
    assert row.n == 1, "set, and never cancelled"
    before = len(await h.published(EventBody))

    assert await h.sweep(at=datetime.now(UTC) + timedelta(days=60)) > 0

    assert len(await h.published(EventBody)) == before
