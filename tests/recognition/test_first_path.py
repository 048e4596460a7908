"""The first path: built, verified, merit; and a reward from proposal to the code in hand."""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy import text

from coterie_contracts.reward import (
    MeritChanged,
    RewardApproved,
    RewardDelivered,
    RewardIssued,
    RewardProposed,
)

from .circle import Circle


async def test_an_implementation_and_its_verification_lift_merit(circle: Circle) -> None:
    (ada,) = await circle.admit("ada")
    feedback = uuid4()

    await circle.h.deliver(circle.implemented(feedback, ada))
    await circle.h.run_tasks()
    await circle.h.deliver(circle.verified(feedback, ada))
    await circle.h.run_tasks()

    changes = await circle.published(MeritChanged)
    assert [(e.data.merit, e.data.provisional, e.sequence) for e in changes] == [
        (0.62, False, 1),
        (0.72, False, 2),
    ]
    assert {e.data.season for e in changes} == {"2026-Q2"}
    assert {e.data.band for e in changes} == {None}


async def test_a_verified_item_is_rewarded_and_the_code_revealed(circle: Circle) -> None:
    (ada,) = await circle.admit("ada")
    await circle.budget(2_000)
    await circle.fill("Coffee card", "COFFEE-1")
    feedback = uuid4()

    await circle.h.deliver(circle.implemented(feedback, ada), circle.verified(feedback, ada))

    coffee = [
        e for e in await circle.published() if getattr(e.data, "item_name", "") == "Coffee card"
    ]
    assert [type(e.data) for e in coffee] == [RewardProposed, RewardApproved, RewardIssued]
    assert [e.sequence for e in coffee] == [1, 1, 1]
    approved, issued = coffee[1].data, coffee[2].data
    assert (approved.ledger_sequence, approved.reserved_minor, approved.spent_minor) == (2, 500, 0)
    assert (issued.ledger_sequence, issued.reserved_minor, issued.spent_minor) == (3, 0, 500)
    assert approved.approved_by == "policy"

    reward_id = approved.reward_id
    answer = await circle.post(f"/rewards/{reward_id}/reveal", as_=circle.as_(ada), key="k")
    assert answer.status_code == 200, answer.text
    assert answer.json()["code"] == "COFFEE-1"
    assert [e.data.reward_id for e in await circle.published(RewardDelivered)] == [reward_id]
    async with circle.h.database.begin() as uow:
        assert len(await uow.rows(text("SELECT * FROM reveal"))) == 1
    assert await circle.h.dead_letters() == []
