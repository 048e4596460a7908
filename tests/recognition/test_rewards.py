"""Rewards on PostgreSQL: one per cause, paid in order, never more than there is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from uuid_utils.compat import uuid7

from coterie_contracts.feedback import VerifiedBy
from coterie_contracts.member import (
    MemberAdmitted,
    MemberLeft,
    MemberReinstated,
    MemberRemoved,
    MemberSuspended,
)
from coterie_contracts.reward import (
    BudgetExhausted,
    BudgetFunded,
    RewardApproved,
    RewardExpired,
    RewardFacts,
    RewardHeld,
    RewardIrreversible,
    RewardIssued,
    RewardPolicyChanged,
    RewardProposed,
    RewardRejected,
    RewardReversed,
)

from .circle import Circle

COFFEE = "Coffee card"
GAS = "Gas card"


async def stocked(circle: Circle, amount: int = 10_000, codes: int = 5) -> str:
    """A funded budget and coffee codes, so that the coffee template is on; the budget's id."""
    budget_id = await circle.budget(amount)
    await circle.fill(COFFEE, *(f"CODE-{n}" for n in range(codes)))
    return budget_id


async def verify(circle: Circle, *authors: UUID) -> list[UUID]:
    """A verified item of each author; the items."""
    items = [uuid4() for _ in authors]
    for item, author in zip(items, authors, strict=True):
        circle.now += timedelta(minutes=1)
        await circle.h.deliver(circle.verified(item, author))
    return items


async def test_a_community_has_five_policies_on_its_first_day(circle: Circle) -> None:
    policies = (await circle.get(f"/communities/{circle.community_id}/policies")).json()

    assert {p["name"]: (p["active"], p["awaits_funding"]) for p in policies} == {
        "Thanks": (True, False),
        "Early access": (True, False),
        COFFEE: (False, True),
        "Phone session": (False, False),
        GAS: (False, True),
    }
    assert len(await circle.published(RewardPolicyChanged)) == 5

    await circle.h.deliver(circle.opened())
    assert len(await circle.published(RewardPolicyChanged)) == 5


async def test_a_template_turns_itself_on_with_money_and_codes(circle: Circle) -> None:
    await circle.budget(1_000)
    assert not (await circle.policy(COFFEE))["active"]

    await circle.fill(COFFEE, "CODE-1")

    assert (await circle.policy(COFFEE))["active"]
    assert not (await circle.policy(GAS))["active"]


async def test_thanks_and_early_access_cost_nothing(circle: Circle) -> None:
    (ada,) = await circle.admit("ada")
    item = uuid4()

    await circle.h.deliver(circle.verified(item, ada), circle.answered(item, ada, satisfied=False))

    issued = await circle.published(RewardIssued)
    assert {e.data.item_name for e in issued} == {"Thanks", "Early access"}
    for event in issued:
        assert (event.data.budget_id, event.data.ledger_sequence) == (None, None)
        assert (event.data.amount_minor, event.data.currency) == (0, "XXX")


async def test_one_item_pays_once_per_policy_whatever_is_redelivered_or_reopened(
    circle: Circle,
) -> None:
    (ada,) = await circle.admit("ada")
    await stocked(circle)
    item = uuid4()
    first = circle.verified(item, ada)

    await circle.h.deliver(first)
    await circle.h.deliver(first)
    await circle.h.deliver(replace(first, id=uuid7(), replayed=True))
    await circle.h.deliver(circle.reopened(item, ada))
    await circle.h.deliver(circle.implemented(item, ada, 2), circle.verified(item, ada, round_=2))

    assert len(await circle.rewards(COFFEE)) == 1
    assert len([e for e in await circle.published(RewardIssued) if e.data.amount_minor]) == 1


async def test_unconfirmed_without_objection_pays_and_praise_never_does(circle: Circle) -> None:
    ada, ben, cyd = await circle.admit("ada", "ben", "cyd")
    await stocked(circle)

    await circle.h.deliver(*(circle.rated(uuid4(), ben, ada, 1.0) for _ in range(5)))
    await circle.h.deliver(circle.appreciated(uuid4(), cyd))
    await circle.h.run_tasks()
    assert await circle.rewards() == []

    await circle.h.deliver(circle.unconfirmed(uuid4(), ada))
    assert [r["status"] for r in await circle.rewards(COFFEE)] == ["issued"]


@pytest.mark.parametrize("by", [VerifiedBy.AUTHOR, VerifiedBy.SUPPORTERS])
async def test_unconfirmed_after_an_objection_pays_nothing(circle: Circle, by: VerifiedBy) -> None:
    (ada,) = await circle.admit("ada")
    await stocked(circle)

    await circle.h.deliver(circle.unconfirmed(uuid4(), ada, by=by))

    assert await circle.rewards() == []


async def test_above_the_limit_a_manager_decides(circle: Circle) -> None:
    (ada,) = await circle.admit("ada")
    await circle.budget(10_000)
    await circle.fill(GAS, "GAS-1")

    await verify(circle, ada)

    (gas,) = await circle.rewards(GAS)
    assert (gas["status"], gas["needs_approval"]) == ("proposed", True)
    approved = await circle.post(f"/rewards/{gas['reward_id']}/approve")
    assert approved.json()["status"] == "issued"
    by = [e.data.approved_by for e in await circle.published(RewardApproved) if e.data.amount_minor]
    assert by == [circle.manager.actor]


async def test_a_manager_rejects(circle: Circle) -> None:
    (ada,) = await circle.admit("ada")
    await circle.budget(10_000)
    await circle.fill(GAS, "GAS-1")
    await verify(circle, ada)
    (gas,) = await circle.rewards(GAS)

    rejected = await circle.post(f"/rewards/{gas['reward_id']}/reject")

    assert rejected.json()["status"] == "rejected"
    assert len(await circle.published(RewardRejected)) == 1
    again = await circle.post(f"/rewards/{gas['reward_id']}/approve")
    assert again.json()["type"] == "urn:coterie:problem:reward-not-in-that-state"


async def test_the_approver_is_never_the_beneficiary(circle: Circle) -> None:
    manager = circle.someone("manager")
    await circle.admit("manager")
    await circle.budget(10_000)
    await circle.fill(GAS, "GAS-1")
    await verify(circle, manager)
    (gas,) = await circle.rewards(GAS)

    answer = await circle.post(f"/rewards/{gas['reward_id']}/approve")

    assert answer.status_code == 403
    assert answer.json()["type"] == "urn:coterie:problem:approver-is-beneficiary"


async def test_what_lacks_money_is_held_in_order_and_paid_when_funded(circle: Circle) -> None:
    ada, ben, cyd = await circle.admit("ada", "ben", "cyd")
    budget_id = await stocked(circle, amount=500)

    await verify(circle, ada, ben, cyd)

    assert [r["status"] for r in await circle.rewards(COFFEE)] == ["held", "held", "issued"]
    held = await circle.published(RewardHeld)
    assert [(e.data.member_id, e.data.reason) for e in held] == [(ben, "budget"), (cyd, "budget")]
    assert len(await circle.published(BudgetExhausted)) == 1

    await circle.post(f"/budgets/{budget_id}/fund", {"amount_minor": 500})
    assert {r["member_id"]: r["status"] for r in await circle.rewards(COFFEE)} == {
        str(ada): "issued",
        str(ben): "issued",
        str(cyd): "held",
    }
    assert len(await circle.published(RewardHeld)) == 2
    assert len(await circle.published(BudgetExhausted)) == 2


async def test_nobody_overtakes_who_waits_for_the_same_money(circle: Circle) -> None:
    ada, ben = await circle.admit("ada", "ben")
    await circle.budget(4_900)
    await circle.fill(GAS, "GAS-1")
    await verify(circle, ada)
    (gas,) = await circle.rewards(GAS)
    waiting = await circle.post(f"/rewards/{gas['reward_id']}/approve")
    assert waiting.json()["held_for"] == "budget"
    await circle.fill(COFFEE, "CODE-1")

    await verify(circle, ben)

    (coffee,) = await circle.rewards(COFFEE)
    assert (coffee["amount_minor"], coffee["held_for"]) == (500, "budget")


async def test_what_lacks_a_code_is_held_and_paid_when_codes_come(circle: Circle) -> None:
    ada, ben = await circle.admit("ada", "ben")
    await stocked(circle, codes=1)

    await verify(circle, ada, ben)
    held = {r["member_id"]: r["held_for"] for r in await circle.rewards(COFFEE)}
    assert held == {str(ada): None, str(ben): "pool"}

    await circle.fill(COFFEE, "MORE-1")
    assert {r["status"] for r in await circle.rewards(COFFEE)} == {"issued"}


async def test_a_cap_holds_across_policies_until_the_next_season(circle: Circle) -> None:
    (ada,) = await circle.admit("ada")
    await circle.budget(50_000)
    await circle.fill(COFFEE, *(f"CODE-{n}" for n in range(5)))
    await circle.fill(GAS, "GAS-1", "GAS-2")
    await verify(circle, ada)
    circle.now += timedelta(days=15)
    await circle.h.deliver(circle.submitted(uuid4(), ada))
    (gas,) = await circle.rewards(GAS)
    paid = await circle.post(f"/rewards/{gas['reward_id']}/approve")
    assert paid.json()["status"] == "issued"
    circle.now += timedelta(days=15)

    await verify(circle, ada)

    newest = (await circle.rewards(COFFEE))[0]
    assert (newest["status"], newest["held_for"]) == ("held", "cap")
    await circle.advance(15)
    assert (await circle.rewards(COFFEE))[0]["status"] == "issued"
    issued = [e for e in await circle.published(RewardIssued) if e.data.amount_minor]
    assert [e.time.isoformat() for e in issued][-1] == "2026-06-30T22:00:00+00:00"


async def test_the_cap_counts_rewards_as_well_as_money(circle: Circle) -> None:
    (ada,) = await circle.admit("ada")
    await stocked(circle)
    for _ in range(3):
        await verify(circle, ada)
        circle.now += timedelta(days=14)

    assert [r["held_for"] for r in await circle.rewards(COFFEE)] == ["cap", None, None]


async def test_between_two_rewards_of_a_member_lies_the_cooldown(circle: Circle) -> None:
    (ada,) = await circle.admit("ada")
    await stocked(circle)
    await verify(circle, ada)
    circle.now += timedelta(days=3)
    await verify(circle, ada)
    assert (await circle.rewards(COFFEE))[0]["held_for"] == "cooldown"

    await circle.advance(11)

    assert {r["status"] for r in await circle.rewards(COFFEE)} == {"issued"}


async def test_who_is_suspended_waits_and_is_paid_afterwards(circle: Circle) -> None:
    (ada,) = await circle.admit("ada")
    await stocked(circle)
    await circle.h.deliver(circle.membership(MemberSuspended, ada))

    await verify(circle, ada)
    assert {r["held_for"] for r in await circle.rewards()} == {"suspended"}

    await circle.h.deliver(circle.membership(MemberReinstated, ada))
    assert {r["status"] for r in await circle.rewards()} == {"issued"}


async def test_who_left_is_paid_and_takes_the_code(circle: Circle) -> None:
    (ada,) = await circle.admit("ada")
    await stocked(circle)
    await circle.h.deliver(circle.membership(MemberLeft, ada))

    await verify(circle, ada)

    (coffee,) = await circle.rewards(COFFEE)
    assert coffee["status"] == "issued"
    taken = await circle.post(f"/rewards/{coffee['reward_id']}/reveal", as_=circle.as_(ada))
    assert taken.status_code == 200


@pytest.mark.parametrize("end", ["removed", "erased"])
async def test_who_was_removed_or_erased_is_not_paid(circle: Circle, end: str) -> None:
    ada, ben = await circle.admit("ada", "ben")
    budget_id = await stocked(circle, amount=500)
    await verify(circle, ben, ada)
    before = [r["status"] for r in await circle.rewards(COFFEE) if r["member_id"] == str(ada)]
    assert before == ["held"]

    gone = circle.membership(MemberRemoved, ada) if end == "removed" else circle.erased(ada)
    await circle.h.deliver(gone)
    await circle.post(f"/budgets/{budget_id}/fund", {"amount_minor": 5_000})
    await verify(circle, ada)

    mine = [r for r in await circle.rewards(COFFEE) if r["member_id"] == str(ada)]
    assert [r["status"] for r in mine] == ["expired"]
    (expired,) = await circle.published(RewardExpired)
    assert (expired.data.amount_minor, expired.data.ledger_sequence) == (0, None)


async def test_after_thirty_days_a_manager_decides(circle: Circle) -> None:
    (ada,) = await circle.admit("ada")
    budget_id = await stocked(circle, amount=100)
    await verify(circle, ada)
    await circle.advance(31)
    (coffee,) = await circle.rewards(COFFEE)
    assert (coffee["status"], coffee["overdue"]) == ("held", True)
    todo = (await circle.get(f"/communities/{circle.community_id}/todo")).json()
    assert "reward held for 30 days, decide (budget)" in {item["what"] for item in todo}

    await circle.post(f"/budgets/{budget_id}/fund", {"amount_minor": 5_000})
    assert (await circle.rewards(COFFEE))[0]["status"] == "held"

    answer = await circle.post(f"/rewards/{coffee['reward_id']}/retry")
    assert answer.json()["status"] == "issued"


async def test_what_nobody_claims_is_released_after_180_days(circle: Circle) -> None:
    (ada,) = await circle.admit("ada")
    budget_id = await stocked(circle, amount=1_000)
    await verify(circle, ada)
    due = circle.now + timedelta(days=180)

    await circle.advance(181)

    (coffee,) = await circle.rewards(COFFEE)
    assert coffee["status"] == "expired"
    (expired,) = await circle.published(RewardExpired)
    assert (expired.data.amount_minor, expired.data.spent_minor, expired.time) == (500, 0, due)
    budget = (await circle.get(f"/budgets/{budget_id}")).json()
    assert (budget["available_minor"], budget["reserved_minor"]) == (1_000, 0)
    taken = await circle.post(f"/rewards/{coffee['reward_id']}/reveal", as_=circle.as_(ada))
    assert taken.status_code == 409


async def test_an_unrevealed_code_is_reversed_with_a_correcting_entry(circle: Circle) -> None:
    ada, ben = await circle.admit("ada", "ben")
    budget_id = await stocked(circle, amount=500)
    await verify(circle, ada, ben)
    first = next(r for r in await circle.rewards(COFFEE) if r["status"] == "issued")

    answer = await circle.post(f"/rewards/{first['reward_id']}/reverse")

    assert answer.json()["status"] == "reversed"
    assert len(await circle.published(RewardReversed)) == 1
    assert {r["status"] for r in await circle.rewards(COFFEE)} == {"reversed", "issued"}
    ledger = (await circle.get(f"/budgets/{budget_id}/ledger")).json()["items"]
    assert [entry["move"] for entry in ledger] == [
        "spend",
        "reserve",
        "return",
        "spend",
        "reserve",
        "fund",
    ]


async def test_a_revealed_code_cannot_be_taken_back(circle: Circle) -> None:
    (ada,) = await circle.admit("ada")
    await stocked(circle, codes=1)
    await verify(circle, ada)
    (coffee,) = await circle.rewards(COFFEE)
    path = f"/rewards/{coffee['reward_id']}"
    assert (await circle.post(f"{path}/reveal", as_=circle.as_(ada))).status_code == 200

    assert (await circle.post(f"{path}/reverse")).json()["status"] == "irreversible"
    assert len(await circle.published(RewardIrreversible)) == 1
    assert (await circle.post(f"{path}/reveal", as_=circle.as_(ada))).json()["code"] == "CODE-0"


async def test_a_session_is_booked_by_its_member_alone(circle: Circle) -> None:
    (ada,) = await circle.admit("ada")
    policy = await circle.policy("Phone session")
    path = f"/policies/{policy['policy_id']}"
    terms = {
        key: policy[key] for key in ("name", "when", "beneficiary", "item_id", "auto_approve_up_to")
    }
    refused = await circle.h.put(path, terms, as_=circle.manager)
    assert refused.json()["type"] == "urn:coterie:problem:session-needs-host"
    url = "https://book.example/call"
    item = {"kind": "session", "minutes": 15, "host": "Nora", "booking_url": url}
    changed = await circle.h.put(
        f"/catalogue/{policy['item_id']}", {"name": "A call", "item": item}, as_=circle.manager
    )
    assert changed.status_code == 200, changed.text
    assert (await circle.h.put(path, terms, as_=circle.manager, if_match=1)).status_code == 200
    seen = await circle.get(f"/communities/{circle.community_id}/catalogue", as_=circle.as_(ada))
    assert url not in seen.text

    await verify(circle, ada)
    (call,) = await circle.rewards("A call")
    assert call["status"] == "proposed"
    await circle.post(f"/rewards/{call['reward_id']}/approve")
    taken = await circle.post(f"/rewards/{call['reward_id']}/reveal", as_=circle.as_(ada))

    assert taken.json()["booking_url"] == url


async def test_a_verdict_before_its_author_is_heard_of_waits_and_keeps_its_cause(
    circle: Circle,
) -> None:
    await stocked(circle)
    ada = circle.someone("ada")
    verdict = circle.verified(uuid4(), ada)
    admitted = circle.membership(MemberAdmitted, ada)

    await circle.h.deliver(verdict)
    assert await circle.rewards() == []
    assert await circle.h.dead_letters() == []
    await circle.h.deliver(admitted)

    assert {r["status"] for r in await circle.rewards(COFFEE)} == {"issued"}
    proposed = await circle.published(RewardProposed)
    assert {(e.causation_id, e.time) for e in proposed} == {(verdict.id, verdict.time)}


async def test_every_entry_balances_and_is_never_rewritten(circle: Circle) -> None:
    (ada,) = await circle.admit("ada")
    await stocked(circle)
    await verify(circle, ada)
    async with circle.h.database.begin() as uow:
        rows = await uow.rows(text("SELECT * FROM ledger_entry ORDER BY ledger_sequence"))

    assert [row.ledger_sequence for row in rows] == [1, 2, 3]
    balances = {"funded": 0, "available": 0, "reserved": 0, "spent": 0}
    for row in rows:
        balances[row.credited] -= row.amount_minor
        balances[row.debited] += row.amount_minor
        assert sum(balances.values()) == 0
        assert -balances["funded"] == row.funded_minor
        assert (balances["reserved"], balances["spent"]) == (row.reserved_minor, row.spent_minor)
    for statement in (
        "UPDATE ledger_entry SET amount_minor = 1",
        "DELETE FROM ledger_entry",
        "UPDATE budget SET reserved = funded + 1",
        "UPDATE gift_code SET reward_id = NULL WHERE reward_id IS NOT NULL",
    ):
        with pytest.raises(IntegrityError):
            async with circle.h.database.begin() as uow:
                await uow.execute(text(statement))


async def test_money_is_numbered_without_gaps_and_every_change_too(circle: Circle) -> None:
    ada, ben = await circle.admit("ada", "ben")
    await stocked(circle, amount=500)
    await verify(circle, ada, ben)
    await circle.advance(181)

    ledgered = [
        e
        for e in await circle.published()
        if isinstance(e.data, BudgetFunded | RewardFacts)
        and getattr(e.data, "budget_id", None) is not None
    ]
    assert [e.data.ledger_sequence for e in ledgered] == list(range(1, len(ledgered) + 1))
    changes: dict[UUID, list[tuple[int | None, UUID]]] = {}
    for event in await circle.published():
        changes.setdefault(event.subject, []).append((event.sequence, event.causation_id))
    for numbered in changes.values():
        assert sorted({n for n, _ in numbered if n}) == list(range(1, len(set(numbered)) + 1))
