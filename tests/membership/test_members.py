"""Members: suspended, reinstated, gone and back; what they show of themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from coterie_chassis.decisions import member_id_of
from coterie_chassis.testing import Harness
from coterie_contracts.member import MemberAdmitted, MemberReinstated, MemberSuspended
from coterie_contracts.model import EventBody

from .conftest import MANAGER, Circle, Founder, applicant

THEN = datetime(2010, 3, 2, 12, tzinfo=UTC)


async def leave(h: Harness, member_id: str, name: str, **options: Any) -> None:
    answer = await h.post(f"/members/{member_id}/leave", as_=applicant(name), **options)
    assert answer.status_code == 200, answer.text


async def push(circle: Circle, now: datetime) -> None:
    answer = await circle.do(f"/communities/{circle.id}/clock", {"now": now})
    assert answer.status_code == 200, answer.text


async def member(h: Harness, member_id: str) -> dict[str, Any]:
    return dict((await h.get(f"/members/{member_id}", as_=MANAGER)).json())


async def test_a_suspension_ends_by_itself_after_fourteen_days(h: Harness, found: Founder) -> None:
    circle = await found(clock="driven", at=THEN)
    ann = (await circle.apply("ann", at=THEN)).json()["member_id"]
    await circle.do(f"/members/{ann}/suspend", {}, at=THEN)

    await push(circle, THEN + timedelta(days=13))
    assert (await member(h, ann))["status"] == "suspended"
    await push(circle, THEN + timedelta(days=15))

    assert (await member(h, ann))["status"] == "active"
    (reinstated,) = await h.published(MemberReinstated)
    assert reinstated.time == THEN + timedelta(days=14), "stamped with the deadline"


async def test_a_deadline_of_an_earlier_suspension_ends_no_later_one(
    h: Harness, found: Founder
) -> None:
    circle = await found(clock="driven", at=THEN)
    ann = (await circle.apply("ann", at=THEN)).json()["member_id"]
    await circle.do(f"/members/{ann}/suspend", {"until": THEN + timedelta(days=5)}, at=THEN)
    await circle.do(f"/members/{ann}/reinstate", at=THEN)
    await circle.do(f"/members/{ann}/suspend", {"until": THEN + timedelta(days=9)}, at=THEN)

    await push(circle, THEN + timedelta(days=6))
    assert (await member(h, ann))["status"] == "suspended"
    await push(circle, THEN + timedelta(days=10))
    assert (await member(h, ann))["status"] == "active"


async def test_leaving_does_not_end_a_suspension(h: Harness, found: Founder) -> None:
    circle = await found(clock="driven", at=THEN)
    ann = (await circle.apply("ann", at=THEN)).json()["member_id"]
    await circle.do(f"/members/{ann}/suspend", {}, at=THEN)
    await leave(h, ann, "ann", at=THEN)

    assert (await circle.apply("ann", at=THEN + timedelta(days=13))).status_code == 409
    assert (await circle.apply("ann", at=THEN + timedelta(days=15))).status_code == 201


async def test_who_returns_is_the_same_member_with_the_same_number(
    h: Harness, found: Founder
) -> None:
    circle = await found(clock="driven", at=THEN)
    ann = (await circle.apply("ann", at=THEN)).json()["member_id"]
    assert ann == str(member_id_of(circle.id, applicant("ann").person_id))
    await circle.apply("bob", at=THEN)
    await leave(h, ann, "ann", at=THEN)

    back = (await circle.apply("ann", at=THEN)).json()

    assert (back["status"], back["member_id"]) == ("admitted", ann)
    assert (await member(h, ann))["founding_number"] == 1
    admitted = [e for e in await h.published(MemberAdmitted) if str(e.subject) == ann]
    assert [event.sequence for event in admitted] == [1, 3]


@pytest.mark.parametrize(
    ("deed", "days", "status"),
    [("remove", 179, 409), ("remove", 181, 201), ("release", 0, 201)],
)
async def test_a_removal_bans_for_half_a_year_and_a_release_does_not(
    found: Founder, deed: str, days: int, status: int
) -> None:
    circle = await found(clock="driven", at=THEN)
    ann = (await circle.apply("ann", at=THEN)).json()["member_id"]
    await circle.do(f"/members/{ann}/{deed}", at=THEN)

    assert (await circle.apply("ann", at=THEN + timedelta(days=days))).status_code == status


@pytest.mark.parametrize(("days", "first"), [(180, "ann"), (181, "bob")])
async def test_who_was_released_goes_first_for_half_a_year(
    h: Harness, found: Founder, days: int, first: str
) -> None:
    circle = await found(capacity=1, clock="driven", at=THEN)
    ann = (await circle.apply("ann", at=THEN)).json()["member_id"]
    await circle.do(f"/members/{ann}/release", at=THEN)
    cleo = (await circle.apply("cleo", at=THEN)).json()["member_id"]
    bob = (await circle.apply("bob", at=THEN)).json()["application_id"]
    back = (await circle.apply("ann", at=THEN + timedelta(days=days))).json()["application_id"]

    await leave(h, cleo, "cleo", at=THEN + timedelta(days=days))

    statuses = {"ann": await circle.show(back), "bob": await circle.show(bob)}
    assert statuses[first]["status"] == "offered"
    assert sorted(each["status"] for each in statuses.values()) == ["offered", "waitlisted"]


async def test_members_read_each_others_profiles_and_strangers_none(
    h: Harness, found: Founder
) -> None:
    circle = await found()
    ann = (await circle.admit("ann"))["member_id"]
    bob = (await circle.admit("bob"))["member_id"]
    body = {"handle": "Ann of Glow", "about": "I test serums."}
    path = f"/members/{ann}/profile"
    assert (await h.put(path, body, as_=applicant("bob"))).status_code == 404
    before = len(await h.published(EventBody))
    assert (await h.put(path, body, as_=applicant("ann"))).status_code == 200

    profiles = f"/communities/{circle.id}/profiles"
    params = {"ids": [ann, bob]}
    shown = await h.get(profiles, as_=applicant("bob"), params=params)
    stranger = await h.get(profiles, as_=applicant("eve"), params=params)

    assert [each["handle"] for each in shown.json()] == ["Ann of Glow", None]
    assert [each["founding_number"] for each in shown.json()] == [1, 2]
    assert stranger.status_code == 404
    assert len(await h.published(EventBody)) == before, "a profile is never in an event"


async def test_an_edit_of_an_older_version_is_refused(h: Harness, found: Founder) -> None:
    circle = await found()
    ann = (await circle.admit("ann"))["member_id"]
    path, caller = f"/members/{ann}/profile", applicant("ann")
    assert (await h.put(path, {"handle": "one"}, as_=caller, if_match=1)).status_code == 200

    late = await h.put(path, {"handle": "two"}, as_=caller, if_match=1)

    assert late.status_code == 412
    assert (await member(h, ann))["handle"] == "one"


async def test_the_list_of_members_comes_in_pages_without_loss(h: Harness, found: Founder) -> None:
    circle = await found()
    everybody = [(await circle.admit(f"person {n}"))["member_id"] for n in range(5)]
    path, seen, cursor = f"/communities/{circle.id}/members", [], None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await h.get(path, as_=MANAGER, params=params)).json()
        seen += [each["member_id"] for each in page["items"]]
        if (cursor := page["next"]) is None:
            break

    assert sorted(seen) == sorted(everybody)
    assert (await h.get(path, as_=applicant("person 1"))).status_code == 403


async def test_suspending_again_until_the_same_day_says_nothing_new(
    h: Harness, found: Founder
) -> None:
    circle = await found(clock="driven", at=THEN)
    ann = (await circle.apply("ann", at=THEN)).json()["member_id"]
    body = {"until": THEN + timedelta(days=3)}

    answers = [await circle.do(f"/members/{ann}/suspend", body, at=THEN) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert len(await h.published(MemberSuspended)) == 1
