"""What cannot be meant is refused with its rule, by every command, and nothing is done."""

from __future__ import annotations

import base64
import json
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from .circle import Circle

SECRET = "TOP-SECRET-4711"
SOME_ID = "01890000-0000-7000-8000-000000000001"


def rule(answer: Any) -> str:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return str(answer.json()["type"]).removeprefix("urn:coterie:problem:")


async def test_commands_that_say_all_by_their_path_take_nothing_more(circle: Circle) -> None:
    (ada,) = await circle.admit("ada")
    await circle.budget(10_000)
    await circle.fill("Gas card", "GAS-1")
    await circle.h.deliver(circle.verified(uuid4(), ada))
    (gas,) = await circle.rewards("Gas card")
    before = len(await circle.published())

    for deed in ("approve", "reject", "retry", "reverse", "reveal"):
        who = circle.as_(ada) if deed == "reveal" else circle.manager
        path = f"/rewards/{gas['reward_id']}/{deed}"
        answer = await circle.post(path, {"reason": "because"}, as_=who)
        assert (answer.status_code, rule(answer)) == (422, "invalid-request"), deed

    assert len(await circle.published()) == before
    answer = await circle.post(f"/rewards/{gas['reward_id']}/approve", {})
    assert answer.json()["status"] == "issued"


@pytest.mark.parametrize("name", ["Ask nora@example.org", "Call +49 30 1234567", "", "x" * 81])
async def test_a_catalogue_name_is_carried_by_events_and_names_nobody(
    circle: Circle, name: str
) -> None:
    body = {"community_id": circle.community_id, "name": name, "item": {"kind": "thanks"}}

    answer = await circle.post("/catalogue", body)

    assert (answer.status_code, rule(answer)) == (422, "invalid-request")


@pytest.mark.parametrize("codes", [[f"{SECRET}\x00"], [SECRET, 5], [SECRET, "abc"], [SECRET] * 501])
async def test_a_refused_code_is_not_repeated(circle: Circle, codes: list[Any]) -> None:
    pools = (await circle.get(f"/communities/{circle.community_id}/pools")).json()

    answer = await circle.post(f"/pools/{pools[0]['pool_id']}/codes", {"codes": codes})

    assert answer.status_code == 422
    assert SECRET not in answer.text
    async with circle.h.database.begin() as uow:
        assert await uow.rows(text("SELECT 1 FROM gift_code")) == []


def cursor(**values: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


@pytest.mark.parametrize(
    "given",
    [
        cursor(),
        cursor(before="2"),
        cursor(before=True),
        cursor(before=2**63),
        cursor(at="2026-05-20T12:00:00", id=SOME_ID),
        cursor(at="9999-12-31T23:59:59Z", id=SOME_ID),
        cursor(at=5, id=[]),
    ],
)
async def test_a_cursor_that_no_page_gave_is_refused(circle: Circle, given: str) -> None:
    budget_id = await circle.budget(100)
    community = f"/communities/{circle.community_id}"

    for path in (f"/budgets/{budget_id}/ledger", f"{community}/rewards"):
        answer = await circle.get(path, params={"cursor": given})
        assert (answer.status_code, rule(answer)) == (422, "invalid-cursor"), path
