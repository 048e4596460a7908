"""Commands refuse what is wrong and name the rule; queries show staff what waits."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError

from coterie_chassis.auth import Role
from coterie_chassis.testing import person
from coterie_contracts.reward import BudgetFunded
from coterie_recognition.settings import RecognitionSettings

from .circle import Circle
from .conftest import KEYS

THANKS = {"kind": "thanks"}


def rule(answer: Any) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["type"]).removeprefix("urn:coterie:problem:")


@pytest.mark.parametrize(
    ("item", "status"),
    [
        (THANKS, 201),
        ({"kind": "early_access", "feature": "Beta", "until": "2026-09-01T00:00:00Z"}, 201),
        ({"kind": "gift_code", "face_value": 700}, 201),
        ({"kind": "session", "minutes": 15}, 201),
        ({"kind": "provider_gift", "provider": "gifts", "product": "tea", "amount_minor": 9}, 201),
        ({"kind": "donation", "charity": "Trees", "amount_minor": 100}, 201),
        ({"kind": "gift_code", "face_value": 0}, 422),
        ({"kind": "gift_code", "face_value": 5.5}, 422),
        ({"kind": "session", "minutes": 15, "booking_url": "javascript:alert(1)"}, 422),
        ({"kind": "thanks", "surprise": True}, 422),
        ({"kind": "pony"}, 422),
    ],
)
async def test_the_catalogue_takes_the_known_kinds_alone(
    circle: Circle, item: dict[str, Any], status: int
) -> None:
    body = {"community_id": circle.community_id, "name": "It", "item": item}

    answer = await circle.post("/catalogue", body)

    assert answer.status_code == status, answer.text


async def test_a_pool_of_another_community_cannot_be_drawn_from(circle: Circle) -> None:
    other = Circle(circle.h, circle.now)
    await other.open()
    pools = (await other.get(f"/communities/{other.community_id}/pools")).json()
    item = {"kind": "gift_code", "face_value": 5, "pool_id": pools[0]["pool_id"]}

    body = {"community_id": circle.community_id, "name": "It", "item": item}
    answer = await circle.post("/catalogue", body)

    assert (answer.status_code, rule(answer)) == (404, "not-found")


async def test_a_policy_that_cannot_be_carried_out_is_refused(circle: Circle) -> None:
    made = await circle.post(
        "/catalogue",
        {
            "community_id": circle.community_id,
            "name": "Card",
            "item": {"kind": "gift_code", "face_value": 5},
        },
    )
    terms: dict[str, Any] = {
        "community_id": circle.community_id,
        "name": "Card",
        "when": "feedback.verified",
        "beneficiary": "author",
        "item_id": made.json()["item_id"],
    }

    assert rule(await circle.post("/policies", terms)) == "policy-needs-budget"
    responder = terms | {"beneficiary": "lookagain_responder"}
    assert rule(await circle.post("/policies", responder)) == "beneficiary-does-not-fit"
    assert rule(await circle.post("/policies", terms | {"item_id": str(uuid4())})) == "not-found"
    assert rule(await circle.post("/policies", terms | {"when": "praise"})) == "invalid-request"
    assert (await circle.post("/policies", terms | {"active": False})).status_code == 201


async def test_rights_are_denied_by_default(circle: Circle) -> None:
    (ada,) = await circle.admit("ada")
    budget_id = await circle.budget(1_000)
    await circle.h.deliver(circle.verified(uuid4(), ada))
    (reward,) = await circle.rewards("Early access")
    foreign = person("foreign", Role.MANAGER, brand=uuid4())
    host = person("host", Role.HOST, brand=circle.brand_id)
    community = f"/communities/{circle.community_id}"

    for path in (
        f"{community}/budgets",
        f"{community}/todo",
        f"{community}/rewards",
        f"{community}/catalogue",
        f"/budgets/{budget_id}",
        f"/budgets/{budget_id}/ledger",
        f"/rewards/{reward['reward_id']}",
        f"/members/{ada}/rewards",
        f"/members/{ada}/badges",
        f"/communities/{uuid4()}/leaderboard",
    ):
        assert (await circle.get(path, as_=foreign)).status_code == 404, path
    for path in (f"{community}/budgets", f"{community}/todo", f"{community}/rewards"):
        assert (await circle.get(path, as_=circle.as_(ada))).status_code == 403
        assert (await circle.get(path, as_=host)).status_code == 200
    money = {"amount_minor": 5}
    assert (await circle.post(f"/budgets/{budget_id}/fund", money, as_=host)).status_code == 403
    assert (await circle.post(f"/budgets/{budget_id}/fund", money, as_=foreign)).status_code == 404
    approve = f"/rewards/{reward['reward_id']}/approve"
    assert (await circle.post(approve, as_=circle.as_(ada))).status_code == 404
    assert (await circle.post(approve, as_=host)).status_code == 403
    assert (await circle.get(f"/members/{ada}/rewards", as_=circle.as_(ada))).status_code == 200


async def test_funding_is_done_once_per_key_and_edits_name_their_version(circle: Circle) -> None:
    budget_id = await circle.budget(1_000)
    path = f"/budgets/{budget_id}/fund"

    for _ in range(2):
        answer = await circle.post(path, {"amount_minor": 70}, key="same", if_match=2)
        assert answer.json()["funded_minor"] == 1_070, answer.text
    assert answer.headers["etag"] == '"3"'
    assert answer.headers["coterie-position"] == f"{budget_id};2"
    lost = await circle.post(path, {"amount_minor": 70}, if_match=2)
    assert (lost.status_code, rule(lost)) == (412, "lost-race")
    assert len(await circle.published(BudgetFunded)) == 2
    for wrong in ({"amount_minor": 0}, {"amount_minor": -5}, {"amount_minor": 1, "x": 1}, {}):
        assert (await circle.post(path, wrong)).status_code == 422


async def test_the_ledger_is_read_in_pages(circle: Circle) -> None:
    budget_id = await circle.budget(100)
    for _ in range(4):
        await circle.post(f"/budgets/{budget_id}/fund", {"amount_minor": 1})
    path = f"/budgets/{budget_id}/ledger"

    first = (await circle.get(path, params={"limit": 3})).json()
    rest = (await circle.get(path, params={"limit": 3, "cursor": first["next"]})).json()

    numbers = [entry["ledger_sequence"] for entry in [*first["items"], *rest["items"]]]
    assert (numbers, rest["next"]) == ([5, 4, 3, 2, 1], None)
    assert rule(await circle.get(path, params={"cursor": "e30"})) == "invalid-cursor"


async def test_todo_lists_what_waits_with_the_command_that_settles_it(circle: Circle) -> None:
    ada, ben = await circle.admit("ada", "ben")
    todo = f"/communities/{circle.community_id}/todo"
    assert (await circle.get(todo)).json() == []
    await circle.budget(1_000)
    await circle.fill("Coffee card", *(f"CODE-{n}" for n in range(6)))
    await circle.fill("Gas card", *(f"GAS-{n}" for n in range(9)))
    await circle.h.deliver(circle.verified(uuid4(), ada), circle.verified(uuid4(), ben))

    waiting = (await circle.get(todo)).json()

    assert sorted(item["what"] for item in waiting) == [
        "budget is low",
        "code pool is low",
        "reward waits for approval",
        "reward waits for approval",
    ]
    approvals = [i for i in waiting if i["what"] == "reward waits for approval"]
    for item in approvals:
        answer = await circle.h.request(item["method"], item["path"], as_=circle.manager)
        assert answer.json()["held_for"] == "cooldown"
    held = [i["what"] for i in (await circle.get(todo)).json()]
    assert held.count("reward held (cooldown)") == 2


@pytest.mark.parametrize("keys", [{}, {"a": "short"}, {"a": "####"}])
def test_settings_refuse_keys_that_cannot_seal(keys: dict[str, str]) -> None:
    values: dict[str, Any] = {
        "database_url": "postgresql://x",
        "kafka_bootstrap": "x",
        "jwks": "x",
        "token_issuer": "x",
    }
    assert RecognitionSettings(**values, code_keys=KEYS).raw_keys()["old"] == b"o" * 32
    with pytest.raises(ValidationError) as refused:
        RecognitionSettings(**values, code_keys=keys)
    assert "####" not in str(refused.value.errors(include_input=False))


async def test_an_operator_sees_the_budgets_of_every_circle_in_pages(circle: Circle) -> None:
    other = Circle(circle.h, circle.now)
    await other.open()
    ids = sorted([await circle.budget(1_000), await circle.budget(50), await other.budget(70)])
    olu = person("olu", Role.OPERATOR)

    first = (await circle.get("/operator/budgets", as_=olu, params={"limit": 2})).json()
    onward = {"limit": 2, "cursor": first["next"]}
    rest = (await circle.get("/operator/budgets", as_=olu, params=onward)).json()

    told = [*first["items"], *rest["items"]]
    assert [budget["budget_id"] for budget in told] == ids
    assert sorted(budget["available_minor"] for budget in told) == [50, 70, 1_000]
    assert rest["next"] is None
    assert (await circle.get("/operator/budgets", as_=circle.manager)).status_code == 403
