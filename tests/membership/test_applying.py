"""Applying: judged at once, explained, and the same however often it is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from coterie_chassis.auth import Role
from coterie_chassis.testing import Harness, person
from coterie_contracts.member import (
    ApplicationDeclined,
    ApplicationJudged,
    ApplicationSubmitted,
    MemberAdmitted,
    MemberContact,
)
from coterie_contracts.model import EventBody

from .conftest import AGREED, BRAND, HOUSE_RULES, MANAGER, Circle, Founder, applicant

THEN = datetime(2010, 3, 2, 12, tzinfo=UTC)
APPROVAL = {"kind": "manager_approval"}
PURCHASE = {"kind": "purchase", "within_days": 30}


def rule_of(answer: Any) -> str:
    return str(answer.json()["type"]).removeprefix("urn:coterie:problem:")


async def test_a_name_a_zone_and_an_objective_make_a_circle_with_the_defaults(h: Harness) -> None:
    body = {"name": "Glow", "time_zone": "Europe/Berlin", "objective": "Finish a serum"}
    created = (await h.post("/communities", body, as_=MANAGER)).json()

    assert created["status"] == "draft"
    assert created["seats"] == {"capacity": 100, "held": 0, "free": 100, "waitlisted": 0}
    assert (created["quiet_from"], created["quiet_until"]) == ("21:00:00", "08:00:00")
    agreement, entry = created["requirements"]["of"]
    assert (agreement["kind"], agreement["document"]) == ("agreement", "house-rules")
    assert [each["kind"] for each in entry["of"]] == ["invitation", "manager_approval"]
    circle = Circle(h, created["community_id"])
    assert rule_of(await circle.apply("ann")) == "community-not-open"
    assert (await circle.do(f"/communities/{circle.id}/open")).json()["status"] == "open"
    assert (await circle.apply("ann")).json()["status"] == "submitted"


async def test_whoever_satisfies_the_tree_is_in_the_moment_it_is_satisfied(
    h: Harness, found: Founder
) -> None:
    circle = await found(requirements={"kind": "all_of", "of": [PURCHASE, APPROVAL]})
    applied = (await circle.apply("ann", {})).json()
    path = f"/applications/{applied['application_id']}"
    assert [each["verdict"] for each in applied["verdicts"]] == ["unknown", "unknown"]

    bought = await circle.do(f"{path}/verdicts", {"verdicts": {"root/0": "met"}})
    approved = await circle.do(f"{path}/approve")

    assert bought.json()["status"] == "submitted"
    assert approved.json()["status"] == "admitted"
    assert [event.data.satisfied for event in await h.published(ApplicationJudged)] == [
        False,
        False,
        True,
    ]


async def test_an_applicant_reads_why(found: Founder) -> None:
    circle = await found(requirements={"kind": "all_of", "of": [HOUSE_RULES, PURCHASE]})

    answer = (await circle.apply("ann", {})).json()

    assert [each["why"] for each in answer["verdicts"]] == [
        "Agreeing to house-rules (version 1): is missing.",
        "At least 1 order within 30 days: is still open.",
    ]


async def test_a_verdict_on_an_approval_does_not_stand_in_for_managers(found: Founder) -> None:
    circle = await found(requirements={"kind": "manager_approval", "n": 2})
    path = f"/applications/{(await circle.apply('ann')).json()['application_id']}"

    assert rule_of(await circle.do(f"{path}/verdicts", {"verdicts": {"root": "met"}})) == (
        "approve-instead"
    )
    assert (await circle.do(f"{path}/approve")).json()["status"] == "submitted"
    assert (await circle.do(f"{path}/approve")).json()["status"] == "submitted"
    other = person("max", Role.MANAGER, brand=BRAND)
    assert (await circle.do(f"{path}/approve", as_=other)).json()["status"] == "admitted"


async def test_a_waiver_admits_without_the_evidence(found: Founder) -> None:
    circle = await found(requirements=PURCHASE)
    path = f"/applications/{(await circle.apply('ann', {})).json()['application_id']}"

    waived = await circle.do(f"{path}/verdicts", {"verdicts": {"root": "waived"}})

    assert waived.json()["status"] == "admitted"


async def test_an_application_is_judged_by_the_version_that_it_began_with(
    found: Founder,
) -> None:
    circle = await found(requirements=APPROVAL)
    before = (await circle.apply("ann")).json()
    changed = await circle.h.put(
        f"/communities/{circle.id}/requirements", {"requirements": PURCHASE}, as_=MANAGER
    )
    assert changed.json()["requirements_version"] == 2

    approved = await circle.do(f"/applications/{before['application_id']}/approve")

    assert approved.json()["status"] == "admitted"
    assert (await circle.apply("bob")).json()["verdicts"][0]["kind"] == "purchase"


async def test_there_is_one_live_application_a_person(h: Harness, found: Founder) -> None:
    circle = await found(requirements=APPROVAL)
    await circle.apply("ann")

    assert rule_of(await circle.apply("ann")) == "already-applied"
    assert len(await h.published(ApplicationSubmitted)) == 1
    with pytest.raises(Exception, match="one_live_application"):
        async with h.database.begin() as uow:
            await uow.execute(
                text(
                    "INSERT INTO application SELECT (jsonb_populate_record(a, jsonb_build_object("
                    "'application_id', gen_random_uuid()))).* FROM application AS a"
                )
            )


async def test_the_same_command_told_again_is_found_even_when_its_key_is_forgotten(
    h: Harness, found: Founder
) -> None:
    circle = await found(clock="driven", at=THEN)
    first = await circle.apply("ann", at=THEN, key="history:ann")
    before = len(await h.published(EventBody))

    again = await circle.apply("ann", at=THEN, key="history:ann")
    async with h.database.begin() as uow:
        await uow.execute(text("DELETE FROM idempotency"))
    forgotten = await circle.apply("ann", at=THEN, key="history:ann")

    assert first.status_code == again.status_code == forgotten.status_code == 201
    assert first.json() == again.json() == forgotten.json()
    assert len(await h.published(EventBody)) == before


async def test_what_staff_say_twice_is_said_once(h: Harness, found: Founder) -> None:
    circle = await found(requirements={"kind": "all_of", "of": [PURCHASE, APPROVAL]})
    path = f"/applications/{(await circle.apply('ann', {})).json()['application_id']}"
    body = {"verdicts": {"root/0": "met"}, "evidence": "order 17"}
    await circle.do(f"{path}/verdicts", body)
    before = len(await h.published(EventBody))

    again = await circle.do(f"{path}/verdicts", body)

    assert again.status_code == 200
    assert len(await h.published(EventBody)) == before
    await circle.do(f"{path}/verdicts", {**body, "evidence": "order 18"})
    assert len(await h.published(EventBody)) == before + 1


@pytest.mark.parametrize(("days", "status"), [(89, 409), (91, 201)])
async def test_who_was_declined_may_apply_again_after_ninety_days(
    h: Harness, found: Founder, days: int, status: int
) -> None:
    circle = await found(clock="driven", at=THEN, requirements=APPROVAL)
    path = f"/applications/{(await circle.apply('ann', at=THEN)).json()['application_id']}"
    declined = await circle.do(f"{path}/decline", {"reason": "Not this season."}, at=THEN)
    own = await h.get(path, as_=applicant("ann"))
    assert own.json()["reason"] == "Not this season."
    assert declined.json()["status"] == "declined"

    again = await circle.apply("ann", at=THEN + timedelta(days=days))

    assert again.status_code == status


async def test_evidence_that_nobody_brings_ends_the_application_after_thirty_days(
    h: Harness, found: Founder
) -> None:
    circle = await found(
        clock="driven", at=THEN, requirements={"kind": "all_of", "of": [PURCHASE, APPROVAL]}
    )
    ann = (await circle.apply("ann", {}, at=THEN)).json()["application_id"]
    bob = (await circle.apply("bob", {}, at=THEN)).json()["application_id"]
    await circle.do(f"/applications/{bob}/verdicts", {"verdicts": {"root/0": "waived"}}, at=THEN)

    await circle.do(f"/communities/{circle.id}/clock", {"now": THEN + timedelta(days=31)})

    assert (await circle.show(ann))["status"] == "declined"
    assert (await circle.show(bob))["status"] == "submitted", "it hangs on a manager alone"
    (declined,) = await h.published(ApplicationDeclined)
    assert (declined.time, declined.data.reapply_after) == (THEN + timedelta(days=30), None)
    assert (await circle.apply("ann", {}, at=THEN + timedelta(days=31))).status_code == 201


async def test_staff_hold_no_seat(found: Founder) -> None:
    circle = await found()
    both = person("hal", Role.HOST, Role.APPLICANT, brand=BRAND)

    assert rule_of(await circle.apply("", as_=both)) == "staff-hold-no-seat"


async def test_an_address_is_told_when_its_owner_comes_in_and_never_in_another_event(
    h: Harness, found: Founder
) -> None:
    circle = await found(requirements=APPROVAL)
    body = {"email": "ann@example.com"}
    path = f"/applications/{(await circle.apply('ann', body)).json()['application_id']}"
    assert await h.published(MemberContact) == []

    await circle.do(f"{path}/approve")

    (contact,) = await h.published(MemberContact)
    (admitted,) = await h.published(MemberAdmitted)
    assert contact.data.email == "ann@example.com"
    assert contact.subject == admitted.data.member_id
    others = [e for e in await h.published(EventBody) if not isinstance(e.data, MemberContact)]
    assert not any("ann@" in event.data.model_dump_json() for event in others)


async def test_strangers_find_nothing(h: Harness, found: Founder) -> None:
    circle = await found(requirements=APPROVAL)
    path = f"/applications/{(await circle.apply('ann')).json()['application_id']}"
    elsewhere = person("eve", Role.MANAGER, brand=uuid4())
    confined = person("con", Role.MANAGER, brand=BRAND, communities=[uuid4()])

    for stranger in (elsewhere, confined, applicant("bob")):
        assert (await h.get(path, as_=stranger)).status_code == 404
    for stranger in (elsewhere, confined):
        assert (await h.post(f"{path}/approve", as_=stranger)).status_code == 404
        page = await h.get(f"/communities/{circle.id}/waitlist", as_=stranger)
        assert page.status_code == 404
    assert (await h.post(f"{path}/withdraw", as_=applicant("bob"))).status_code == 404
    assert rule_of(await h.post(f"{path}/approve", as_=applicant("bob"))) == "staff-only"


@pytest.mark.parametrize(
    "body",
    [
        {"surprise": 1},
        {"email": "nobody"},
        {"answers": {"q": "x" * 2_001}},
        {"time_zone": "Mars/Olympus"},
        {"answers": {"q": "a\x00b"}},
        {"answers": {"\ud800": "x"}},
        {"locale": "e"},
    ],
)
async def test_a_malformed_application_is_refused(found: Founder, body: dict[str, Any]) -> None:
    circle = await found()

    assert (await circle.apply("ann", {**AGREED, **body})).status_code == 422


async def test_todo_names_the_command_that_settles_it(h: Harness, found: Founder) -> None:
    circle = await found(requirements={"kind": "all_of", "of": [PURCHASE, APPROVAL]})
    ann = (await circle.apply("ann", {})).json()["application_id"]
    path = f"/communities/{circle.id}/todo"

    (waits,) = (await h.get(path, as_=MANAGER)).json()

    assert (waits["method"], waits["path"]) == ("POST", f"/applications/{ann}/approve")
    await circle.do(waits["path"])
    (waits,) = (await h.get(path, as_=MANAGER)).json()
    assert waits["path"] == f"/applications/{ann}/verdicts"
    await circle.do(waits["path"], {"verdicts": {"root/0": "met"}})
    assert (await h.get(path, as_=MANAGER)).json() == []


@pytest.mark.parametrize(
    "body",
    [
        {"verdicts": {"root": "perhaps"}},
        {"verdicts": {"root": True}},
        {"verdicts": {}},
        {"verdicts": {"root/7": "met"}},
        {"verdicts": {"x" * 81: "met"}},
        {"verdicts": {"root": "met"}, "evidence": "ann@example.com has it"},
    ],
)
async def test_a_verdict_that_says_nothing_is_refused(
    h: Harness, found: Founder, body: dict[str, Any]
) -> None:
    circle = await found(requirements=PURCHASE)
    path = f"/applications/{(await circle.apply('ann', {})).json()['application_id']}"

    assert (await circle.do(f"{path}/verdicts", body)).status_code == 422
    assert len(await h.published(ApplicationJudged)) == 1


async def test_a_verdict_is_shown_with_the_reference_of_its_evidence(
    h: Harness, found: Founder
) -> None:
    circle = await found(requirements={"kind": "all_of", "of": [PURCHASE, APPROVAL]})
    path = f"/applications/{(await circle.apply('ann', {})).json()['application_id']}"
    await circle.do(f"{path}/verdicts", {"verdicts": {"root/0": "met"}, "evidence": "order 4711"})

    (bought, approved) = (await h.get(path, as_=applicant("ann"))).json()["verdicts"]

    assert (bought["evidence"], bought["why"]) == (
        "order 4711",
        "At least 1 order within 30 days: is there.",
    )
    assert approved["evidence"] is None


@pytest.mark.parametrize("ending", ["withdraw", "decline"])
async def test_an_application_that_ended_is_approved_by_nobody(
    h: Harness, found: Founder, ending: str
) -> None:
    circle = await found(requirements=APPROVAL)
    path = f"/applications/{(await circle.apply('ann')).json()['application_id']}"
    if ending == "withdraw":
        await h.post(f"{path}/withdraw", as_=applicant("ann"))
    else:
        await circle.do(f"{path}/decline", {"reason": "No."})

    assert rule_of(await circle.do(f"{path}/approve")) == "application-ended"
    assert (await circle.seats())["held"] == 0


async def test_a_token_without_a_role_does_nothing_for_its_owner(
    h: Harness, found: Founder
) -> None:
    circle = await found(capacity=1)
    ann = await circle.admit("ann")
    bob = (await circle.apply("bob")).json()["application_id"]
    member, application = f"/members/{ann['member_id']}", f"/applications/{bob}"
    asks = [
        ("ann", "GET", member, None),
        ("ann", "POST", f"{member}/leave", None),
        ("ann", "PUT", f"{member}/profile", {"handle": "Ann"}),
        ("ann", "POST", f"{member}/erase", None),
        ("bob", "GET", application, None),
        ("bob", "POST", f"{application}/withdraw", None),
        ("bob", "POST", f"{application}/accept-seat", None),
        ("bob", "POST", f"{application}/erase", None),
        ("cem", "POST", f"/communities/{circle.id}/applications", AGREED),
    ]

    for name, method, path, body in asks:
        answer = await h.request(method, path, body, as_=person(name))
        assert (answer.status_code, rule_of(answer)) == (403, "missing-role"), (method, path)


async def test_todo_of_a_paused_circle_asks_to_open_it_and_of_a_closed_one_to_answer(
    h: Harness, found: Founder
) -> None:
    circle = await found(capacity=1)
    ann = await circle.admit("ann")
    bob, cem = [(await circle.apply(n)).json()["application_id"] for n in ("bob", "cem")]
    await circle.do(f"/communities/{circle.id}/pause")
    await h.post(f"/members/{ann['member_id']}/leave", as_=applicant("ann"))
    path = f"/communities/{circle.id}/todo"

    (paused,) = (await h.get(path, as_=MANAGER)).json()
    await circle.do(f"/communities/{circle.id}/close")
    closed = (await h.get(path, as_=MANAGER)).json()

    assert paused["path"] == f"/communities/{circle.id}/open"
    assert [one["path"] for one in closed] == [
        f"/applications/{each}/decline" for each in (bob, cem)
    ]
    for one in closed:
        assert (await circle.do(one["path"], {"reason": "We closed."})).status_code == 200
    assert (await h.get(path, as_=MANAGER)).json() == []
