"""Invitations: one person's seat or place, shown once, used as often as they say."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import text

from coterie_chassis.auth import Role
from coterie_chassis.testing import Harness, person
from coterie_contracts.member import InvitationExpired, InvitationRedeemed, SeatOffered

from .conftest import AGREED, BRAND, HOUSE_RULES, MANAGER, Circle, Founder, applicant

THEN = datetime(2010, 3, 2, 12, tzinfo=UTC)
APPROVAL = {"kind": "manager_approval"}
INVITED = {"kind": "invitation"}


async def invite(circle: Circle, **options: Any) -> dict[str, Any]:
    body = {"max_uses": options.pop("max_uses", 1)}
    answer = await circle.do(f"/communities/{circle.id}/invitations", body, **options)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def redeem(h: Harness, token: str, name: str, **options: Any) -> Any:
    return await h.post(f"/invitations/{token}/redeem", AGREED, as_=applicant(name), **options)


async def test_an_invitation_for_one_reserves_a_free_seat_for_its_bearer(
    h: Harness, found: Founder
) -> None:
    circle = await found(capacity=2)
    invitation = await invite(circle)
    assert invitation["reserves_seat"] is True
    await circle.admit("ann")
    assert (await circle.apply("bob")).json()["status"] == "waitlisted"

    redeemed = await redeem(h, invitation["token"], "cleo")

    assert redeemed.json()["status"] == "admitted"
    assert await circle.seats() == {"capacity": 2, "held": 2, "free": 0, "waitlisted": 1}
    (used,) = await h.published(InvitationRedeemed)
    assert used.data.uses == 1


async def test_an_invitation_to_a_full_circle_reserves_none_and_goes_ahead_of_the_uninvited(
    h: Harness, found: Founder
) -> None:
    circle = await found(capacity=1)
    ann = await circle.admit("ann")
    await circle.apply("bob")
    invitation = await invite(circle)
    assert invitation["reserves_seat"] is False

    redeemed = (await redeem(h, invitation["token"], "cleo")).json()
    await h.post(f"/members/{ann['member_id']}/leave", as_=applicant("ann"))

    assert redeemed["status"] == "waitlisted"
    (offer,) = await h.published(SeatOffered)
    assert str(offer.data.application_id) == redeemed["application_id"]


async def test_who_waits_already_moves_ahead_by_an_invitation(h: Harness, found: Founder) -> None:
    circle = await found(capacity=1)
    await circle.admit("ann")
    await circle.apply("bob")
    cleo = (await circle.apply("cleo")).json()
    invitation = await invite(circle)

    redeemed = (await redeem(h, invitation["token"], "cleo")).json()
    again = (await redeem(h, invitation["token"], "cleo")).json()

    assert redeemed["application_id"] == cleo["application_id"]
    assert again == redeemed
    line = (await h.get(f"/communities/{circle.id}/waitlist", as_=MANAGER)).json()["items"]
    assert line[0]["application_id"] == cleo["application_id"]


async def test_an_open_application_is_completed_by_an_invitation(
    h: Harness, found: Founder
) -> None:
    circle = await found(requirements={"kind": "all_of", "of": [HOUSE_RULES, INVITED]})
    waiting = (await circle.apply("ann", {})).json()
    assert waiting["status"] == "submitted"

    redeemed = (await redeem(h, (await invite(circle))["token"], "ann")).json()

    assert (redeemed["status"], redeemed["application_id"]) == (
        "admitted",
        waiting["application_id"],
    )


async def test_a_single_use_invitation_serves_one_of_two_who_presented_it(
    h: Harness, found: Founder
) -> None:
    circle = await found(requirements={"kind": "all_of", "of": [INVITED, APPROVAL]})
    token = (await invite(circle))["token"]
    both = [(await redeem(h, token, name)).json()["application_id"] for name in ("ann", "bob")]

    approved = [(await circle.do(f"/applications/{each}/approve")).json() for each in both]

    assert [each["status"] for each in approved] == ["admitted", "submitted"]
    assert approved[1]["verdicts"][0]["verdict"] == "unmet"
    assert len(await h.published(InvitationRedeemed)) == 1


async def test_thirty_at_once_use_an_invitation_for_three_three_times(
    h: Harness, found: Founder
) -> None:
    circle = await found(requirements=INVITED)
    token = (await invite(circle, max_uses=3))["token"]

    answers = await asyncio.gather(*(redeem(h, token, f"person {n}") for n in range(30)))

    codes = [answer.status_code for answer in answers]
    assert (codes.count(200), codes.count(409)) == (3, 27)
    assert (await circle.seats())["held"] == 3
    uses = [event.data.uses for event in await h.published(InvitationRedeemed)]
    assert sorted(uses) == [1, 2, 3]


async def test_an_invitation_that_runs_out_gives_its_seat_to_the_line(
    h: Harness, found: Founder
) -> None:
    circle = await found(capacity=1, clock="driven", at=THEN)
    invitation = await invite(circle, at=THEN)
    bob = (await circle.apply("bob", at=THEN)).json()
    assert bob["status"] == "waitlisted"

    end = THEN + timedelta(days=14)
    await circle.do(f"/communities/{circle.id}/clock", {"now": end})

    (expired,) = await h.published(InvitationExpired)
    assert expired.time == end
    assert (await circle.show(bob["application_id"]))["status"] == "offered"
    assert (await redeem(h, invitation["token"], "ann")).status_code == 409


async def test_a_revoked_invitation_lets_nobody_in_and_frees_its_seat(
    h: Harness, found: Founder
) -> None:
    circle = await found(requirements={"kind": "all_of", "of": [INVITED, APPROVAL]})
    invitation = await invite(circle)
    ann = (await redeem(h, invitation["token"], "ann")).json()["application_id"]
    assert (await circle.seats())["held"] == 1

    revoked = await circle.do(f"/invitations/{invitation['invitation_id']}/revoke")

    assert revoked.json()["status"] == "revoked"
    assert (await circle.seats())["held"] == 0
    assert (await circle.do(f"/applications/{ann}/approve")).json()["status"] == "submitted"


async def test_a_token_is_shown_to_who_issued_it_and_kept_nowhere(
    h: Harness, found: Founder
) -> None:
    circle = await found()
    invitation = await invite(circle, key="one")
    assert (await invite(circle, key="one"))["token"] == invitation["token"]

    shown = await h.get(f"/invitations/{invitation['invitation_id']}", as_=MANAGER)

    assert "token" not in shown.json()
    async with h.database.begin() as uow:
        for table in ("invitation", "outbox", "idempotency", "deadline"):
            rows = await uow.rows(text(f"SELECT t::text AS line FROM {table} AS t"))  # noqa: S608 - names above
            assert not any(invitation["token"] in row.line for row in rows)


async def test_an_invitation_of_another_circle_opens_nothing(h: Harness, found: Founder) -> None:
    here, there = await found(), await found()
    token = (await invite(there))["token"]

    refused = await here.apply("ann", {**AGREED, "invitation_token": token})

    assert refused.json()["type"].endswith("unknown-invitation")
    assert (await redeem(h, "no such token", "ann")).status_code == 404


async def test_managers_find_their_open_invitations_again(h: Harness, found: Founder) -> None:
    circle = await found(clock="driven", at=THEN)
    made = [
        (await invite(circle, max_uses=2, at=THEN + timedelta(days=day)))["invitation_id"]
        for day in range(4)
    ]
    await circle.do(f"/invitations/{made[1]}/revoke")
    path, seen, cursor = f"/communities/{circle.id}/invitations", [], None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await h.get(path, as_=MANAGER, params=params)).json()
        seen += page["items"]
        if (cursor := page["next"]) is None:
            break
    (revoked,) = (await h.get(path, as_=MANAGER, params={"status": "revoked"})).json()["items"]

    assert [one["invitation_id"] for one in seen] == [made[0], made[2], made[3]]
    assert all("token" not in one for one in [*seen, revoked])
    assert revoked["invitation_id"] == made[1]
    host = person("hal", Role.HOST, brand=BRAND)
    elsewhere = person("eve", Role.MANAGER, brand=uuid4())
    asked = [await h.get(path, as_=who) for who in (host, applicant("ann"), elsewhere)]
    assert [answer.status_code for answer in asked] == [403, 403, 404]
