"""The waitlist: nobody jumps it, nobody loses a place, and old evidence takes no seat."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from coterie_chassis.testing import Harness
from coterie_contracts.member import ApplicationJudged, ApplicationWaitlisted, SeatOffered

from .conftest import MANAGER, Circle, Founder, applicant

THEN = datetime(2010, 3, 2, 12, tzinfo=UTC)
PURCHASE = {"kind": "purchase", "within_days": 30}


async def bought(circle: Circle, name: str, at: datetime) -> dict[str, Any]:
    path = f"/applications/{(await circle.apply(name, {}, at=at)).json()['application_id']}"
    body = {"verdicts": {"root": "met"}, "evidence": f"order of {at:%Y-%m-%d}"}
    return dict((await circle.do(f"{path}/verdicts", body, at=at)).json())


async def leave(circle: Circle, member: dict[str, Any], name: str, at: datetime) -> None:
    path = f"/members/{member['member_id']}/leave"
    answer = await circle.h.post(path, as_=applicant(name), at=at)
    assert answer.status_code == 200, answer.text


async def test_evidence_that_ran_out_is_judged_again_when_a_seat_is_offered(
    h: Harness, found: Founder
) -> None:
    circle = await found(capacity=1, clock="driven", at=THEN, requirements=PURCHASE)
    ann = await bought(circle, "ann", THEN)
    bob = await bought(circle, "bob", THEN)
    later = THEN + timedelta(days=60)
    cleo = await bought(circle, "cleo", later)

    await leave(circle, ann, "ann", later)

    (offer,) = await h.published(SeatOffered)
    assert str(offer.data.application_id) == cleo["application_id"]
    shown = await circle.show(bob["application_id"])
    assert (shown["status"], shown["verdicts"][0]["verdict"]) == ("waitlisted", "unknown")
    assert [e.data.satisfied for e in await h.published(ApplicationJudged)][-1] is False


async def test_who_brings_new_evidence_is_offered_the_seat_that_is_free(
    h: Harness, found: Founder
) -> None:
    circle = await found(capacity=1, clock="driven", at=THEN, requirements=PURCHASE)
    ann = await bought(circle, "ann", THEN)
    bob = (await bought(circle, "bob", THEN))["application_id"]
    later = THEN + timedelta(days=60)
    await leave(circle, ann, "ann", later)
    (waits,) = (await h.get(f"/communities/{circle.id}/todo", as_=MANAGER)).json()
    assert waits["path"] == f"/applications/{bob}/verdicts"

    body = {"verdicts": {"root": "met"}, "evidence": "a new order"}
    answer = await circle.do(waits["path"], body, at=later)

    assert answer.json()["status"] == "offered"


async def test_who_is_not_ready_keeps_nobody_else_out(found: Founder) -> None:
    circle = await found(capacity=2, clock="driven", at=THEN, requirements=PURCHASE)
    members = [await bought(circle, name, THEN) for name in ("ann", "abe")]
    waiting = [await bought(circle, f"stale {n}", THEN) for n in range(5)]
    assert {each["status"] for each in waiting} == {"waitlisted"}
    later = THEN + timedelta(days=60)
    for name, member in zip(("ann", "abe"), members, strict=True):
        await leave(circle, member, name, later)

    assert (await bought(circle, "new", later))["status"] == "admitted"
    assert (await circle.seats())["waitlisted"] == 5


async def test_nobody_new_is_let_in_ahead_of_the_line_while_a_circle_pauses(
    h: Harness, found: Founder
) -> None:
    circle = await found(capacity=1)
    ann = await circle.admit("ann")
    bob = (await circle.apply("bob")).json()["application_id"]
    await circle.do(f"/communities/{circle.id}/pause")
    await h.post(f"/members/{ann['member_id']}/leave", as_=applicant("ann"))
    assert (await circle.show(bob))["status"] == "waitlisted"
    assert (await circle.apply("cleo")).status_code == 409

    await circle.do(f"/communities/{circle.id}/open")

    assert (await circle.show(bob))["status"] == "offered"


async def test_withdrawing_gives_an_offered_seat_to_the_next(h: Harness, found: Founder) -> None:
    circle = await found(capacity=1)
    ann = await circle.admit("ann")
    bob, cleo = [(await circle.apply(n)).json()["application_id"] for n in ("bob", "cleo")]
    await h.post(f"/members/{ann['member_id']}/leave", as_=applicant("ann"))

    await h.post(f"/applications/{bob}/withdraw", as_=applicant("bob"))

    assert (await circle.show(bob))["status"] == "withdrawn"
    assert (await circle.show(cleo))["status"] == "offered"
    assert (await circle.seats())["held"] == 1


async def test_more_seats_go_to_the_line_in_its_order(h: Harness, found: Founder) -> None:
    circle = await found(capacity=1)
    await circle.admit("ann")
    line = [(await circle.apply(f"person {n}")).json()["application_id"] for n in range(4)]

    await h.put(f"/communities/{circle.id}/capacity", {"capacity": 3}, as_=MANAGER)

    statuses = [(await circle.show(each))["status"] for each in line]
    assert statuses == ["offered", "offered", "waitlisted", "waitlisted"]


async def test_the_line_is_read_in_pages_in_its_order(h: Harness, found: Founder) -> None:
    circle = await found(capacity=1)
    await circle.admit("ann")
    line = [(await circle.apply(f"person {n}")).json()["application_id"] for n in range(5)]
    await circle.do(f"/applications/{line[3]}/priority", {"priority": 7})
    before = len(await h.published(ApplicationWaitlisted))
    await circle.do(f"/applications/{line[3]}/priority", {"priority": 7})
    assert len(await h.published(ApplicationWaitlisted)) == before, "said once"

    path, seen, cursor = f"/communities/{circle.id}/waitlist", [], None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await h.get(path, as_=MANAGER, params=params)).json()
        seen += [each["application_id"] for each in page["items"]]
        if (cursor := page["next"]) is None:
            break

    assert seen == [line[3], line[0], line[1], line[2], line[4]]


async def test_staff_offer_what_is_free(found: Founder) -> None:
    circle = await found(capacity=1)
    await circle.admit("ann")

    answer = await circle.do(f"/communities/{circle.id}/offer-seat")

    assert answer.json()["seats"] == {"capacity": 1, "held": 1, "free": 0, "waitlisted": 0}
    refused = await circle.do(f"/communities/{circle.id}/offer-seat", as_=applicant("bob"))
    assert refused.status_code == 403


async def test_who_lets_an_offer_lapse_keeps_the_priority_too(h: Harness, found: Founder) -> None:
    circle = await found(capacity=1, clock="driven", at=THEN)
    ann = (await circle.apply("ann", at=THEN)).json()
    bob, cleo = [(await circle.apply(n, at=THEN)).json() for n in ("bob", "cleo")]
    await circle.do(f"/applications/{cleo['application_id']}/priority", {"priority": 5}, at=THEN)
    await leave(circle, ann, "ann", THEN)
    assert (await circle.show(cleo["application_id"]))["status"] == "offered"

    await circle.do(f"/communities/{circle.id}/clock", {"now": THEN + timedelta(days=4)})

    shown = await circle.show(cleo["application_id"])
    assert (shown["status"], shown["priority"]) == ("waitlisted", 5)
    assert (await circle.show(bob["application_id"]))["status"] == "offered"


async def test_evidence_that_runs_out_removes_no_member(h: Harness, found: Founder) -> None:
    circle = await found(capacity=1, clock="driven", at=THEN, requirements=PURCHASE)
    ann = await bought(circle, "ann", THEN)
    await bought(circle, "bob", THEN)

    await circle.do(f"/communities/{circle.id}/clock", {"now": THEN + timedelta(days=365)})

    shown = (await h.get(f"/members/{ann['member_id']}", as_=MANAGER)).json()
    assert shown["status"] == "active"
    assert await h.published(SeatOffered) == []
