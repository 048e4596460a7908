"""Many at once on PostgreSQL: one winner each, gapless logs, and no deadlock."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, text
from sqlalchemy.engine import ExceptionContext

from coterie_chassis.decisions import SYSTEM
from coterie_chassis.testing import Harness
from coterie_contracts.member import (
    ApplicationSubmitted,
    InvitationExpired,
    MemberAdmitted,
    MemberReinstated,
    SeatLapsed,
)
from coterie_contracts.model import EventBody, Seated

from .conftest import AGREED, Circle, Founder, applicant

THEN = datetime(2010, 3, 2, 12, tzinfo=UTC)


@contextmanager
def no_deadlock(h: Harness) -> Iterator[None]:
    """Fails if PostgreSQL broke a deadlock inside, also where the victim tried again."""
    victims: list[str] = []

    def note(context: ExceptionContext) -> None:
        if getattr(context.original_exception, "sqlstate", None) == "40P01":
            victims.append(str(context.statement))

    engine = h.database.engine.sync_engine
    event.listen(engine, "handle_error", note)
    try:
        yield
    finally:
        event.remove(engine, "handle_error", note)
    assert victims == []


async def gapless(h: Harness, circle: Circle) -> None:
    """Seats and every aggregate count without gaps, and what is held is held by somebody."""
    counts: dict[UUID, int] = {}
    for one in await h.published(EventBody):
        if one.sequence is not None:
            assert one.sequence - counts.get(one.subject, 0) in {0, 1}, one.data.topic
            counts[one.subject] = one.sequence
    seated = [e.data for e in await h.published(EventBody) if isinstance(e.data, Seated)]
    assert seated
    assert [body.seat_sequence for body in seated] == list(range(1, len(seated) + 1))
    async with h.database.begin() as uow:
        (row,) = await uow.rows(_HELD, {"community": circle.id})
    assert row.held == row.really_held <= row.seat_limit


async def test_one_person_applying_twenty_times_at_once_has_one_application(
    h: Harness, found: Founder
) -> None:
    circle = await found(requirements={"kind": "manager_approval"})

    answers = await asyncio.gather(*(circle.apply("ann", key=f"k{n}") for n in range(20)))

    codes = [answer.status_code for answer in answers]
    assert (codes.count(201), codes.count(409)) == (1, 19)
    assert len(await h.published(ApplicationSubmitted)) == 1


async def test_one_command_sent_twenty_times_at_once_is_done_once(
    h: Harness, found: Founder
) -> None:
    circle = await found()

    answers = await asyncio.gather(*(circle.apply("ann", key="one") for _ in range(20)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert len(await h.published(MemberAdmitted)) == 1


async def test_accepting_and_withdrawing_at_once_leaves_one_winner(
    h: Harness, found: Founder
) -> None:
    circle = await found(capacity=1)
    ann = await circle.admit("ann")
    bob = (await circle.apply("bob")).json()["application_id"]
    await h.post(f"/members/{ann['member_id']}/leave", as_=applicant("ann"))

    path, caller = f"/applications/{bob}", applicant("bob")
    answers = await asyncio.gather(
        h.post(f"{path}/accept-seat", as_=caller), h.post(f"{path}/withdraw", as_=caller)
    )

    assert sorted(answer.status_code for answer in answers) == [200, 409]
    await gapless(h, circle)


async def test_a_command_never_waits_for_a_deadline_that_is_being_acted_on(
    h: Harness, found: Founder
) -> None:
    """A sweep holds its deadlines first and the community second: it must find no one opposite."""
    circle = await found(capacity=1)
    ann = await circle.admit("ann")
    bob = (await circle.apply("bob")).json()["application_id"]
    await h.post(f"/members/{ann['member_id']}/leave", as_=applicant("ann"))
    path = f"/applications/{bob}/accept-seat"

    async with h.database.begin() as sweep:
        taken = await sweep.rows(text("DELETE FROM deadline RETURNING kind"))
        assert [row.kind for row in taken] == ["seat_offer.lapse"]
        async with asyncio.timeout(10):
            answer = await h.post(path, as_=applicant("bob"))

    assert answer.json()["status"] == "admitted"


async def due_soon(circle: Circle, at: datetime | None) -> None:
    """A seat offer, a suspension and an invitation, so that sweeps surely find work."""
    first, second = [(await circle.apply(n, at=at)).json() for n in ("first", "second")]
    await circle.do(f"/communities/{circle.id}/invitations", {}, at=at)
    assert (await circle.apply("waiting", at=at)).json()["status"] == "waitlisted"
    await circle.do(f"/members/{first['member_id']}/suspend", {}, at=at)
    await circle.do(f"/members/{second['member_id']}/release", at=at)


@pytest.mark.parametrize("clock", ["wall", "driven"])
async def test_commands_and_deadlines_interleaved_never_deadlock(
    h: Harness, found: Founder, clock: str
) -> None:
    driven = clock == "driven"
    at = THEN if driven else None
    circle = await found(capacity=3, clock=clock, at=at)
    await due_soon(circle, at)
    names = [f"person {n}" for n in range(8)]
    random = Random(7)

    async def live(name: str) -> None:
        caller = applicant(name)
        for turn in range(3):
            applied = await circle.apply(name, AGREED, key=f"{name}/{turn}")
            if applied.status_code != 201:
                continue
            shown: dict[str, Any] = applied.json()
            path = f"/applications/{shown['application_id']}"
            if shown["status"] == "admitted":
                await circle.do(f"/members/{shown['member_id']}/suspend", {})
                deed = random.choice(["leave", "release"])
                by = {"as_": caller} if deed == "leave" else {}
                await circle.do(f"/members/{shown['member_id']}/{deed}", **by)
            else:
                await h.post(f"{path}/accept-seat", as_=caller)
                await h.post(f"{path}/withdraw", as_=caller)

    async def pass_time() -> None:
        for days in range(1, 13):
            if driven:
                now = THEN + timedelta(days=4 * days)
                await circle.do(f"/communities/{circle.id}/clock", {"now": now})
            else:
                await h.sweep(at=datetime.now(UTC) + timedelta(days=4 * days))

    async def invite() -> None:
        for n in range(6):
            path = f"/communities/{circle.id}/invitations"
            invitation = (await circle.do(path, {}, key=f"i{n}")).json()["invitation_id"]
            if n % 2:
                await circle.do(f"/invitations/{invitation}/revoke")

    with no_deadlock(h):
        await asyncio.gather(*(live(name) for name in names), pass_time(), pass_time(), invite())

    by_deadline = {type(e.data) for e in await h.published(EventBody) if e.actor == SYSTEM}
    assert by_deadline >= {SeatLapsed, InvitationExpired, MemberReinstated}
    await gapless(h, circle)


_HELD = text(
    """
    SELECT held, seat_limit,
      (SELECT count(*) FROM member WHERE community_id = :community
         AND status IN ('active', 'suspended'))
      + (SELECT count(*) FROM application WHERE community_id = :community AND status = 'offered')
      + (SELECT count(*) FROM invitation WHERE community_id = :community
         AND status = 'issued' AND reserves_seat) AS really_held
    FROM community WHERE community_id = :community
    """
)
