"""A circle's own rules: its objectives, its end, and who may touch it."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import text

from coterie_chassis.auth import Role
from coterie_chassis.testing import Harness, person
from coterie_contracts.community import CommunityChanged, CommunityOpened

from .conftest import BRAND, MANAGER, Founder, applicant

OBJECTIVE = {
    "title": "Finish a serum",
    "measure": "refund rate",
    "baseline": "9 %",
    "target": "4 %",
    "by": "2027-01-01T00:00:00Z",
}


async def test_a_third_objective_waits_until_one_is_retired(h: Harness, found: Founder) -> None:
    circle = await found(objective=None, objectives=[{"title": "one"}, {"title": "two"}])
    path = f"/communities/{circle.id}/objectives"
    three = {"objectives": [{"title": name} for name in ("one", "two", "three")]}

    refused = await h.put(path, three, as_=MANAGER)
    two = {"objectives": [{"title": name} for name in ("two", "three")]}
    changed = await h.put(path, two, as_=MANAGER)

    assert refused.json()["type"].endswith("too-many-objectives")
    assert {o["title"]: o["retired"] for o in changed.json()["objectives"]} == {
        "one": True,
        "two": False,
        "three": False,
    }
    before = len(await h.published(CommunityChanged))
    assert (await h.put(path, two, as_=MANAGER)).status_code == 200
    assert len(await h.published(CommunityChanged)) == before, "the same again is no change"


async def test_an_objective_says_how_it_is_known_to_be_met(h: Harness, found: Founder) -> None:
    circle = await found(objective=None, objectives=[OBJECTIVE])

    (shown,) = (await h.get(f"/communities/{circle.id}", as_=MANAGER)).json()["objectives"]
    (opened,) = await h.published(CommunityOpened)

    assert {name: shown[name] for name in OBJECTIVE} == OBJECTIVE
    assert set(opened.data.objectives[0].model_dump()) == {"objective_id", "title", "retired"}


async def test_a_circle_without_an_objective_is_refused(h: Harness) -> None:
    body = {"name": "x", "time_zone": "UTC"}

    assert (await h.post("/communities", body, as_=MANAGER)).status_code == 422


@pytest.mark.parametrize(
    "requirements",
    [
        {"kind": "horoscope"},
        {"kind": "at_least", "n": 3, "of": [{"kind": "invitation"}]},
        {"kind": "all_of", "of": []},
    ],
)
async def test_requirements_that_cannot_be_used_are_refused(
    h: Harness, requirements: dict[str, object]
) -> None:
    body = {"name": "x", "time_zone": "UTC", "objective": "y", "requirements": requirements}

    assert (await h.post("/communities", body, as_=MANAGER)).status_code == 422


async def test_a_closed_circle_lets_nobody_in(h: Harness, found: Founder) -> None:
    circle = await found(capacity=1, requirements={"kind": "manager_approval"})
    ann = (await circle.apply("ann")).json()["application_id"]

    assert (await circle.do(f"/communities/{circle.id}/close")).json()["status"] == "closed"

    for path in (f"/applications/{ann}/approve", f"/communities/{circle.id}/invitations"):
        body: dict[str, int] | None = {} if path.endswith("invitations") else None
        assert (await circle.do(path, body)).json()["type"].endswith("community-closed")
    assert (await circle.do(f"/communities/{circle.id}/open")).status_code == 409
    assert (await circle.do(f"/applications/{ann}/decline", {"reason": "x"})).status_code == 200


async def test_a_lost_race_between_managers_is_told(h: Harness, found: Founder) -> None:
    circle = await found()
    path = f"/communities/{circle.id}/capacity"
    version = (await h.get(f"/communities/{circle.id}", as_=MANAGER)).json()["version"]
    first = await h.put(path, {"capacity": 5}, as_=MANAGER, if_match=version)

    second = await h.put(path, {"capacity": 9}, as_=MANAGER, if_match=version)

    assert (first.status_code, second.status_code) == (200, 412)
    assert (await circle.seats())["capacity"] == 5


async def test_staff_of_another_brand_find_no_such_circle(h: Harness, found: Founder) -> None:
    circle = await found()
    eve = person("eve", Role.MANAGER, Role.IMPORTER, brand=uuid4())
    host = person("hal", Role.HOST, brand=BRAND)
    path = f"/communities/{circle.id}"

    assert (await h.put(f"{path}/capacity", {"capacity": 1}, as_=eve)).status_code == 404
    for deed in ("open", "pause", "close", "offer-seat", "go-live", "invitations"):
        body: dict[str, int] | None = {} if deed == "invitations" else None
        assert (await h.post(f"{path}/{deed}", body, as_=eve)).status_code == 404
        assert (await h.post(f"{path}/{deed}", body, as_=host)).status_code == 403
        assert (await h.post(f"{path}/{deed}", body, as_=applicant("ann"))).status_code == 403
    for query in ("members", "waitlist", "todo"):
        assert (await h.get(f"{path}/{query}", as_=eve)).status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"capacity": True},
        {"capacity": "5"},
        {"capacity": 0},
        {"quiet_from": "21:00+02:00"},
        {"objective": "x", "objectives": [{"title": "y"}]},
        {"objective": None, "objectives": [{"title": "y"}, {"title": " y "}]},
        {"objective": None, "objectives": [{"title": "y", "objective_id": str(uuid4())}]},
        {"objective": None, "objectives": [{"title": "y", "by": "9999-12-31T23:59:59Z"}]},
        {"objective": "Ask ann@example.com"},
        {"name": "Call +49 30 1234567"},
        {"purpose": "a\x00b"},
        {"time_zone": "Mars/Olympus"},
    ],
)
async def test_a_malformed_circle_is_refused(h: Harness, change: dict[str, object]) -> None:
    body = {"name": "x", "time_zone": "UTC", "objective": "y", **change}

    answer = await h.post("/communities", body, as_=MANAGER)

    assert answer.status_code == 422, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_only_known_objectives_are_named_by_id(h: Harness, found: Founder) -> None:
    circle = await found()
    path = f"/communities/{circle.id}/objectives"
    (known,) = (await h.get(f"/communities/{circle.id}", as_=MANAGER)).json()["objectives"]

    renamed = [{"title": "renamed", "objective_id": known["objective_id"]}]
    answer = await h.put(path, {"objectives": renamed}, as_=MANAGER)
    twice = await h.put(path, {"objectives": renamed * 2}, as_=MANAGER)
    foreign = [{"title": "x", "objective_id": str(uuid4())}]
    unknown = await h.put(path, {"objectives": foreign}, as_=MANAGER)

    (shown,) = answer.json()["objectives"]
    assert (shown["objective_id"], shown["title"]) == (known["objective_id"], "renamed")
    assert twice.json()["type"].endswith("objective-named-twice")
    assert unknown.json()["type"].endswith("unknown-objective")


async def test_what_counts_as_right_is_told_to_staff_alone(h: Harness, found: Founder) -> None:
    asked = {"text": "Which scent?", "accepted": ["rose"]}
    circle = await found(requirements={"kind": "questionnaire", "questions": [asked]})
    path = f"/communities/{circle.id}"

    to_staff, to_others = [
        (await h.get(path, as_=who)).json()["requirements"]["questions"]
        for who in (MANAGER, applicant("ann"))
    ]

    assert to_staff == [asked]
    assert to_others == [{"text": "Which scent?"}]
    assert (await circle.apply("ann", {"answers": {"Which scent?": " Rose "}})).json()[
        "status"
    ] == ("admitted")


async def test_a_paused_circle_offers_no_seats(found: Founder) -> None:
    circle = await found()
    await circle.do(f"/communities/{circle.id}/pause")

    answer = await circle.do(f"/communities/{circle.id}/offer-seat")

    assert answer.json()["type"].endswith("community-not-open")


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("UPDATE community SET objectives = '[]'", "open_with_objectives"),
        (
            "UPDATE community SET objectives = objectives || objectives || objectives",
            "open_with_objectives",
        ),
        ("UPDATE community SET seat_limit = capacity - 1", "limit_not_below_capacity"),
        (
            "UPDATE application SET status = 'offered', enqueued_at = submitted_at",
            "offer_has_an_end",
        ),
        ("UPDATE application SET status = 'waitlisted'", "line_has_an_order"),
        ("UPDATE invitation SET reserves_seat = true, max_uses = 2", "one_seat_for_one"),
    ],
)
async def test_the_database_holds_what_a_circle_means(
    h: Harness, found: Founder, statement: str, rule: str
) -> None:
    circle = await found(requirements={"kind": "manager_approval"})
    await circle.apply("ann")
    await circle.do(f"/communities/{circle.id}/invitations", {})

    with pytest.raises(Exception, match=rule):
        async with h.database.begin() as uow:
            await uow.execute(text(statement))
