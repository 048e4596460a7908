"""Many at once on PostgreSQL: money and codes are given once, and nobody deadlocks."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from coterie_chassis.decisions import Cause
from coterie_chassis.sweeper import Deadline
from coterie_contracts.community import ClockMode
from coterie_contracts.reward import RewardApproved
from coterie_recognition.handlers.deadlines import look_at_rewards
from coterie_recognition.store import desks

from .circle import Circle


async def approval_policy(circle: Circle, budget_id: str, pool: str | None) -> None:
    """A policy of 500 each that always needs a manager, with a code from `pool` if given."""
    item: dict[str, Any] = {"kind": "gift_code", "face_value": 500, "pool_id": pool}
    body = {"community_id": circle.community_id, "name": "Card", "item": item}
    made = await circle.post("/catalogue", body)
    assert made.status_code == 201, made.text
    terms = {
        "community_id": circle.community_id,
        "name": "Card",
        "when": "feedback.verified",
        "beneficiary": "author",
        "item_id": made.json()["item_id"],
        "budget_id": budget_id,
        "auto_approve_up_to": None,
    }
    assert (await circle.post("/policies", terms)).status_code == 201


async def proposed(circle: Circle, n: int) -> list[dict[str, Any]]:
    """One proposed card for each of `n` new members."""
    members = await circle.admit(*(f"member {i}" for i in range(n)))
    await circle.h.deliver(*(circle.verified(uuid4(), member) for member in members))
    cards = await circle.rewards("Card")
    assert Counter(card["status"] for card in cards) == {"proposed": n}
    return cards


async def test_a_hundred_approvals_against_a_budget_for_ten_approve_exactly_ten(
    circle: Circle,
) -> None:
    budget_id = await circle.budget(5_000)
    pool = await circle.fill("Gas card", *(f"CODE-{n}" for n in range(100)))
    await approval_policy(circle, budget_id, pool)
    cards = await proposed(circle, 100)

    answers = await asyncio.gather(
        *(circle.post(f"/rewards/{card['reward_id']}/approve", key="k") for card in cards)
    )

    assert {answer.status_code for answer in answers} == {200}
    assert Counter(answer.json()["status"] for answer in answers) == {"issued": 10, "held": 90}
    budget = (await circle.get(f"/budgets/{budget_id}")).json()
    assert (budget["available_minor"], budget["reserved_minor"]) == (0, 0)
    approved = [e.data for e in await circle.published(RewardApproved) if e.data.amount_minor]
    assert [data.ledger_sequence for data in approved] == list(range(2, 22, 2))
    async with circle.h.database.begin() as uow:
        rows = await uow.rows(text("SELECT reward_id FROM gift_code WHERE reward_id IS NOT NULL"))
        entries = await uow.rows(text("SELECT * FROM ledger_entry ORDER BY ledger_sequence"))
    assert len({row.reward_id for row in rows}) == 10
    assert [entry.ledger_sequence for entry in entries] == list(range(1, 22))
    balance: Counter[str] = Counter()
    for entry in entries:
        balance[entry.credited] -= entry.amount_minor
        balance[entry.debited] += entry.amount_minor
        assert balance["reserved"] + balance["spent"] <= entry.funded_minor
        assert (balance["reserved"], balance["spent"]) == (entry.reserved_minor, entry.spent_minor)
    assert balance == {"funded": -5_000, "available": 0, "reserved": 0, "spent": 5_000}


async def test_codes_that_come_while_approvals_run_are_given_once(circle: Circle) -> None:
    budget_id = await circle.budget(100_000)
    pool = await circle.fill("Gas card", "FIRST-CODE")
    await approval_policy(circle, budget_id, pool)
    cards = await proposed(circle, 30)

    await asyncio.gather(
        *(circle.post(f"/rewards/{card['reward_id']}/approve") for card in cards),
        *(circle.post(f"/pools/{pool}/codes", {"codes": [f"LATER-{n}"]}) for n in range(14)),
    )

    statuses = Counter(card["status"] for card in await circle.rewards("Card"))
    assert statuses == {"issued": 15, "held": 15}
    async with circle.h.database.begin() as uow:
        rows = await uow.rows(text("SELECT reward_id FROM gift_code WHERE reward_id IS NOT NULL"))
    assert len({row.reward_id for row in rows}) == 15


async def test_interleaved_batches_and_commands_never_deadlock(circle: Circle) -> None:
    other = Circle(circle.h, circle.now)
    await other.open()
    circles = [circle, other]
    members: dict[Circle, list[UUID]] = {}
    budgets: dict[Circle, str] = {}
    for each in circles:
        budgets[each] = await each.budget(3_000)
        await each.fill("Coffee card", *(f"CODE-{n}" for n in range(40)))
        members[each] = await each.admit(*(f"m{n}" for n in range(12)))
    before = await deadlocks(circle)

    def batch(first: Circle, second: Circle, n: int) -> Any:
        events = []
        for each in (first, second):
            author, rater = members[each][n], members[each][n - 1]
            item = uuid4()
            events += [
                each.rated(item, author, rater, 0.7),
                each.submitted(item, author),
                each.implemented(item, author),
                each.verified(item, author),
                each.answered(item, author),
            ]
        return circle.h.deliver(*events)

    async def fund(each: Circle) -> None:
        path = f"/budgets/{budgets[each]}/fund"
        assert (await each.post(path, {"amount_minor": 100})).status_code == 200

    async with asyncio.timeout(60):
        for n in range(0, 12, 4):
            await asyncio.gather(
                *(batch(*(circles if i % 2 else circles[::-1]), n + i) for i in range(4)),
                *(fund(each) for each in circles for _ in range(3)),
                circle.h.run_tasks(),
                circle.h.sweep(),
            )

    assert await deadlocks(circle) == before
    assert await circle.h.dead_letters() == []
    for each in circles:
        assert len(await each.rewards("Coffee card")) == 12


async def test_a_deadline_whose_desk_is_held_is_put_back_instead_of_waiting(circle: Circle) -> None:
    live = Circle(circle.h, datetime.now(UTC), ClockMode.WALL)
    await live.open()
    (ada,) = await live.admit("ada")
    await live.budget(500)
    await live.fill("Coffee card", "CODE-1")
    await live.h.deliver(live.verified(uuid4(), ada))
    (coffee,) = await live.rewards("Coffee card")
    assert coffee["status"] == "issued"
    reward_id, at = UUID(coffee["reward_id"]), live.now + timedelta(days=180)
    cause = Cause(
        id=uuid4(),
        actor="system",
        at=at,
        recorded_at=at,
        correlation_id=uuid4(),
        community_id=live.community_id,
    )
    due = Deadline(desks.DUE, reward_id, live.community_id, at, cause)

    async with live.h.database.begin() as holder:
        await desks.lock_desks(holder, [live.community_id])
        async with asyncio.timeout(3), live.h.database.begin() as sweeper:
            await look_at_rewards([due], sweeper)
        assert (await live.rewards("Coffee card"))[0]["status"] == "issued"
    await live.h.sweep(at + timedelta(days=1))

    assert (await live.rewards("Coffee card"))[0]["status"] == "expired"


async def deadlocks(circle: Circle) -> int:
    """How many deadlocks PostgreSQL has broken in this database."""
    async with circle.h.database.begin() as uow:
        await uow.execute(text("SELECT pg_stat_clear_snapshot()"))
        statement = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        return int((await uow.execute(text(statement))).scalar_one())
