"""What somebody outside delivers: asked once, asked about when in doubt, released when not paid."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from coterie_chassis.service import Service
from coterie_chassis.testing import harness
from coterie_contracts.community import ClockMode
from coterie_contracts.member import MemberRemoved
from coterie_contracts.reward import RewardAbandoned, RewardFailed, RewardIssued
from coterie_recognition.providers import PROVIDERS, Answer
from coterie_recognition.service import service

from .circle import Circle
from .conftest import KEYS


class Shop:
    """A provider in memory: one order per idempotency key; `mood` is what the next calls do."""

    def __init__(self) -> None:
        self.orders: set[UUID] = set()
        self.calls: list[tuple[str, UUID]] = []
        self.mood = "well"

    async def issue(
        self, reward_id: UUID, product: str, amount_minor: int, currency: str
    ) -> Answer:
        self.calls.append(("issue", reward_id))
        assert (product, amount_minor, currency) == ("tea", 300, "USD")
        if self.mood == "refuses":
            return Answer.REFUSED
        if self.mood != "loses the order":
            self.orders.add(reward_id)
        if self.mood in {"answers late", "loses the order"}:
            raise TimeoutError
        return Answer.DONE

    async def ask(self, reward_id: UUID) -> Answer:
        self.calls.append(("ask", reward_id))
        return Answer.DONE if reward_id in self.orders else Answer.UNKNOWN


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    PROVIDERS["shop"] = made
    yield made
    del PROVIDERS["shop"]


@pytest.fixture
async def live(
    fresh_database: Callable[[Service], Awaitable[str]], shop: Shop
) -> AsyncIterator[Circle]:
    """A community on the wall clock whose verified items earn tea from the shop."""
    settings = {"code_keys": KEYS, "refold_interval": 0}
    async with harness(service, await fresh_database(service), settings) as running:
        circle = Circle(running, datetime.now(UTC), ClockMode.WALL)
        await circle.open()
        await tea_policy(circle)
        yield circle


async def tea_policy(circle: Circle, provider: str = "shop") -> Any:
    budget_id = await circle.budget(1_000)
    gift = {
        "kind": "provider_gift",
        "provider": provider,
        "product": "tea",
        "amount_minor": 300,
    }
    body = {"community_id": circle.community_id, "name": "Tea", "item": gift}
    made = await circle.post("/catalogue", body)
    terms = {
        "community_id": circle.community_id,
        "name": "Tea",
        "when": "feedback.verified",
        "beneficiary": "author",
        "item_id": made.json()["item_id"],
        "budget_id": budget_id,
    }
    return await circle.post("/policies", terms)


async def earn_tea(circle: Circle) -> UUID:
    """A member to whom tea is approved and not yet issued; their id."""
    (ada,) = await circle.admit("ada")
    await circle.h.deliver(circle.verified(uuid4(), ada))
    (tea,) = await circle.rewards("Tea")
    assert tea["status"] == "approved"
    return ada


async def status(circle: Circle) -> str:
    (tea,) = await circle.rewards("Tea")
    return str(tea["status"])


async def balances(circle: Circle) -> tuple[int, int]:
    (budget,) = (await circle.get(f"/communities/{circle.community_id}/budgets")).json()
    return budget["reserved_minor"], budget["spent_minor"]


async def pretend_the_pause_is_over(circle: Circle) -> None:
    async with circle.h.database.begin() as uow:
        await uow.execute(text("UPDATE reward SET retry_at = now() WHERE retry_at IS NOT NULL"))


async def test_a_provider_is_called_once_with_the_rewards_id(live: Circle, shop: Shop) -> None:
    await earn_tea(live)
    assert await balances(live) == (300, 0)

    await live.h.run_tasks()
    await live.h.run_tasks()

    (tea,) = await live.rewards("Tea")
    assert (tea["status"], await balances(live)) == ("issued", (0, 300))
    assert shop.calls == [("issue", UUID(tea["reward_id"]))]
    assert [e.data.amount_minor for e in await live.published(RewardIssued)][-1] == 300


@pytest.mark.parametrize(
    ("mood", "ends"), [("answers late", "issued"), ("loses the order", "failed")]
)
async def test_a_timeout_is_asked_about_and_never_sent_anew(
    live: Circle, shop: Shop, mood: str, ends: str
) -> None:
    shop.mood = mood
    await earn_tea(live)

    await live.h.run_tasks()
    assert await status(live) == "approved"
    await live.h.run_tasks()

    assert [call for call, _ in shop.calls] == ["issue", "ask"]
    assert await status(live) == ends


async def test_a_failing_provider_is_tried_five_times_and_the_money_released(
    live: Circle, shop: Shop
) -> None:
    shop.mood = "refuses"
    await earn_tea(live)

    await live.h.run_tasks()
    await live.h.run_tasks()
    assert len(shop.calls) == 1
    for _ in range(6):
        await pretend_the_pause_is_over(live)
        await live.h.run_tasks()

    assert len(shop.calls) == 5
    assert (await status(live), await balances(live)) == ("abandoned", (0, 0))
    assert [e.data.attempt for e in await live.published(RewardFailed)] == [1, 2, 3, 4]
    assert len(await live.published(RewardAbandoned)) == 1


@pytest.mark.parametrize("end", ["removed", "erased"])
async def test_the_reservation_of_the_removed_and_erased_is_released(
    live: Circle, shop: Shop, end: str
) -> None:
    ada = await earn_tea(live)
    gone = live.membership(MemberRemoved, ada) if end == "removed" else live.erased(ada)

    await live.h.deliver(gone)
    await live.h.run_tasks()

    assert (await status(live), await balances(live)) == ("abandoned", (0, 0))
    assert shop.calls == []


async def test_nothing_of_a_driven_community_leaves_the_platform(
    circle: Circle, shop: Shop
) -> None:
    assert (await tea_policy(circle)).status_code == 201
    await earn_tea(circle)

    await circle.h.run_tasks()

    assert (await status(circle), shop.calls) == ("issued", [])


async def test_a_policy_through_an_unknown_provider_is_refused(circle: Circle) -> None:
    answer = await tea_policy(circle, provider="nobody")

    assert answer.json()["type"] == "urn:coterie:problem:provider-not-there"
