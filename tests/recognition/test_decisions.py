"""What managers decide by themselves, and what waits for nobody's decision."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from coterie_chassis.auth import Role
from coterie_chassis.decisions import derived_id
from coterie_chassis.testing import person
from coterie_contracts.member import (
    MemberReinstated,
    MemberRemoved,
    MemberSuspended,
)
from coterie_contracts.reward import (
    RewardApproved,
    RewardDelivered,
    RewardHeld,
    RewardIssued,
    RewardProposed,
)

from .circle import Circle

COFFEE = "Coffee card"


async def stocked(circle: Circle, amount: int = 10_000, codes: int = 5) -> str:
    budget_id = await circle.budget(amount)
    await circle.fill(COFFEE, *(f"CODE-{n}" for n in range(codes)))
    return budget_id


async def by_judgement(circle: Circle, budget_id: str, **more: Any) -> str:
    """A policy by which a manager gives a coffee card; its id."""
    coffee = await circle.policy(COFFEE)
    terms = {
        "community_id": circle.community_id,
        "name": "For a good idea",
        "when": "judgement",
        "beneficiary": "chosen_member",
        "item_id": coffee["item_id"],
        "budget_id": budget_id,
        **more,
    }
    made = await circle.post("/policies", terms)
    assert made.status_code == 201, made.text
    return str(made.json()["policy_id"])


async def test_a_manager_gives_by_judgement_and_the_decision_is_the_cause(circle: Circle) -> None:
    (ada,) = await circle.admit("ada")
    policy_id = await by_judgement(circle, await stocked(circle), auto_approve_up_to=None)
    path = f"/policies/{policy_id}/award"

    first = await circle.post(path, {"member_id": ada}, key="idea")
    again = await circle.post(path, {"member_id": ada}, key="idea")

    assert (first.status_code, again.status_code) == (201, 201), first.text
    assert first.json()["reward_id"] == again.json()["reward_id"]
    assert (first.json()["status"], first.json()["needs_approval"]) == ("issued", False)
    approved = [e for e in await circle.published(RewardApproved) if e.data.amount_minor]
    assert [e.data.approved_by for e in approved] == [circle.manager.actor]
    data = approved[0].data
    assert (data.cause_id, data.feedback_id) == (approved[0].causation_id, None)
    assert data.reward_id == derived_id(data.policy_id, ada, data.cause_id)
    assert len(await circle.published(RewardIssued)) == 1
    code = await circle.post(f"/rewards/{data.reward_id}/reveal", as_=circle.as_(ada))
    assert code.json()["code"].startswith("CODE-")


async def test_a_judgement_told_again_without_its_stored_outcome_gives_nothing_more(
    circle: Circle,
) -> None:
    (ada,) = await circle.admit("ada")
    policy_id = await by_judgement(circle, await stocked(circle))
    path, body = f"/policies/{policy_id}/award", {"member_id": ada}
    first = await circle.post(path, body, key="idea")
    async with circle.h.database.begin() as uow:
        await uow.execute(text("DELETE FROM idempotency"))
    before = len(await circle.published())

    again = await circle.post(path, body, key="idea")

    assert again.json() == first.json()
    assert len(await circle.published()) == before


async def test_commands_told_again_without_their_stored_outcomes_do_nothing_more(
    circle: Circle,
) -> None:
    async def everything() -> list[Any]:
        budget = {"community_id": circle.community_id, "name": "Rewards", "currency": "USD"}
        opened = await circle.post("/budgets", budget, key="a")
        budget_id = opened.json()["budget_id"]
        funded = await circle.post(f"/budgets/{budget_id}/fund", {"amount_minor": 70}, key="b")
        item = {"kind": "gift_code", "face_value": 5}
        added = await circle.post(
            "/catalogue",
            {"community_id": circle.community_id, "name": "Card", "item": item},
            key="c",
        )
        terms = {
            "name": "Card",
            "when": "feedback.verified",
            "beneficiary": "author",
            "item_id": added.json()["item_id"],
            "budget_id": budget_id,
        }
        body = {"community_id": circle.community_id, **terms}
        made = await circle.post("/policies", body, key="d")
        path = f"/policies/{made.json()['policy_id']}"
        changed = await circle.h.put(path, {**terms, "active": False}, as_=circle.manager, key="e")
        answers = [opened, funded, added, made, changed]
        assert {answer.status_code for answer in answers} <= {200, 201}, [a.text for a in answers]
        return [answer.json() for answer in answers]

    first = await everything()
    assert first[1]["funded_minor"] == 70
    before = len(await circle.published())
    async with circle.h.database.begin() as uow:
        await uow.execute(text("DELETE FROM idempotency"))

    again = await everything()

    assert len(await circle.published()) == before
    assert (again[1]["funded_minor"], again[1]["ledger_sequence"]) == (70, 1)
    assert again[2:] == [first[2], first[4], first[4]]


async def test_a_judgement_keeps_caps_and_money_like_every_policy(circle: Circle) -> None:
    ada, ben = await circle.admit("ada", "ben")
    budget_id = await stocked(circle, amount=1_000)
    policy_id = await by_judgement(circle, budget_id)
    path = f"/policies/{policy_id}/award"

    answers = [await circle.post(path, {"member_id": who}) for who in (ada, ada, ben, ben)]

    assert [(a.json()["status"], a.json()["held_for"]) for a in answers] == [
        ("issued", None),
        ("held", "cooldown"),
        ("issued", None),
        ("held", "cooldown"),
    ]
    assert (await circle.get(f"/budgets/{budget_id}")).json()["available_minor"] == 0


async def test_nobody_judges_for_themselves_for_strangers_or_without_the_right(
    circle: Circle,
) -> None:
    (manager, ada, gone) = await circle.admit("manager", "ada", "gone")
    policy_id = await by_judgement(circle, await stocked(circle))
    await circle.h.deliver(circle.membership(MemberRemoved, gone))
    path = f"/policies/{policy_id}/award"
    other = Circle(circle.h, circle.now)
    await other.open()
    (stranger,) = await other.admit("stranger")

    async def rule(member: UUID, **options: Any) -> tuple[int, str]:
        answer = await circle.post(path, {"member_id": member}, **options)
        return answer.status_code, answer.json()["type"].removeprefix("urn:coterie:problem:")

    assert await rule(manager) == (403, "approver-is-beneficiary")
    assert await rule(stranger) == (404, "not-found")
    assert await rule(gone) == (409, "member-removed")
    host = person("host", Role.HOST, brand=circle.brand_id)
    assert (await rule(ada, as_=host))[0] == 403
    assert (await rule(ada, as_=circle.as_(ada)))[0] == 404
    assert (await rule(ada, as_=other.manager))[0] == 404
    coffee = await circle.policy(COFFEE)
    path = f"/policies/{coffee['policy_id']}/award"
    assert await rule(ada) == (409, "policy-not-by-judgement")
    assert await circle.rewards() == []


@pytest.mark.parametrize(
    ("when", "beneficiary"),
    [
        ("judgement", "author"),
        ("judgement", "lookagain_responder"),
        ("feedback.verified", "chosen_member"),
        ("lookagain.answered", "chosen_member"),
    ],
)
async def test_a_judgement_is_for_whom_the_manager_chooses_and_nothing_else_is(
    circle: Circle, when: str, beneficiary: str
) -> None:
    coffee = await circle.policy(COFFEE)
    terms = {
        "community_id": circle.community_id,
        "name": "Card",
        "when": when,
        "beneficiary": beneficiary,
        "item_id": coffee["item_id"],
        "active": False,
    }

    answer = await circle.post("/policies", terms)

    assert answer.json()["type"] == "urn:coterie:problem:beneficiary-does-not-fit"


async def test_a_cap_that_a_reversal_frees_pays_who_waited_for_it(circle: Circle) -> None:
    (ada,) = await circle.admit("ada")
    await stocked(circle)
    await circle.h.deliver(circle.verified(uuid4(), ada))
    circle.now += timedelta(days=3)
    await circle.h.deliver(circle.verified(uuid4(), ada))
    waiting, given = await circle.rewards(COFFEE)
    assert (waiting["held_for"], given["status"]) == ("cooldown", "issued")

    answer = await circle.post(f"/rewards/{given['reward_id']}/reverse")

    assert answer.status_code == 200, answer.text
    assert [r["status"] for r in await circle.rewards(COFFEE)] == ["issued", "reversed"]


async def test_an_overdue_reward_is_decided_by_another_manager_than_its_member(
    circle: Circle,
) -> None:
    await circle.admit("manager")
    budget_id = await stocked(circle, amount=100)
    await circle.h.deliver(circle.verified(uuid4(), circle.someone("manager")))
    await circle.advance(31)
    await circle.post(f"/budgets/{budget_id}/fund", {"amount_minor": 5_000})
    (coffee,) = await circle.rewards(COFFEE)
    assert (coffee["status"], coffee["overdue"]) == ("held", True)
    path = f"/rewards/{coffee['reward_id']}/retry"

    own = await circle.post(path)
    other = person("another", Role.MANAGER, brand=circle.brand_id)
    answer = await circle.post(path, as_=other)

    assert own.json()["type"] == "urn:coterie:problem:approver-is-beneficiary"
    assert answer.json()["status"] == "issued"
    (approved,) = [e for e in await circle.published(RewardApproved) if e.data.amount_minor]
    assert approved.data.approved_by == other.actor


async def test_what_waits_does_not_change_because_others_move(circle: Circle) -> None:
    ada, ben = await circle.admit("ada", "ben")
    budget_id = await stocked(circle, amount=100)
    await circle.h.deliver(circle.verified(uuid4(), ada))
    (before,) = await circle.rewards(COFFEE)
    held = len(await circle.published(RewardHeld))

    await circle.h.deliver(circle.verified(uuid4(), ben))
    await circle.post(f"/budgets/{budget_id}/fund", {"amount_minor": 1})

    after = next(r for r in await circle.rewards(COFFEE) if r["member_id"] == str(ada))
    assert after == before
    assert len(await circle.published(RewardHeld)) == held + 1


async def test_the_erased_take_nothing_any_more(circle: Circle) -> None:
    (ada,) = await circle.admit("ada")
    policy = await circle.policy("Phone session")
    item = {"kind": "session", "minutes": 15, "host": "Nora", "booking_url": "https://b.example/1"}
    path = f"/catalogue/{policy['item_id']}"
    await circle.h.put(path, {"name": "A call", "item": item}, as_=circle.manager)
    keys = ("name", "when", "beneficiary", "item_id", "auto_approve_up_to")
    terms = {key: policy[key] for key in keys}
    await circle.h.put(f"/policies/{policy['policy_id']}", terms, as_=circle.manager)
    await circle.h.deliver(circle.verified(uuid4(), ada))
    (call,) = await circle.rewards("A call")
    approved = await circle.post(f"/rewards/{call['reward_id']}/approve")
    assert approved.json()["status"] == "issued"

    await circle.h.deliver(circle.erased(ada))
    answer = await circle.post(f"/rewards/{call['reward_id']}/reveal", as_=circle.as_(ada))

    assert answer.status_code == 404
    assert await circle.published(RewardDelivered) == []
    async with circle.h.database.begin() as uow:
        assert await uow.rows(text("SELECT 1 FROM reveal")) == []


async def test_a_judgement_waits_for_who_is_suspended(circle: Circle) -> None:
    (ada,) = await circle.admit("ada")
    policy_id = await by_judgement(circle, await stocked(circle))
    await circle.h.deliver(circle.membership(MemberSuspended, ada))

    answer = await circle.post(f"/policies/{policy_id}/award", {"member_id": ada})

    assert (answer.json()["status"], answer.json()["held_for"]) == ("held", "suspended")
    await circle.h.deliver(circle.membership(MemberReinstated, ada))
    assert {r["status"] for r in await circle.rewards(COFFEE)} == {"issued"}
    assert len(await circle.published(RewardProposed)) == 1
