"""From a driven clock to the wall clock: what is open gets its whole time again, once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from coterie_contracts.community import ClockAdvanced, ClockMode
from coterie_contracts.envelope import Event
from coterie_contracts.reward import RewardExpired

from .circle import Circle

NOW = datetime(2030, 5, 6, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def live(circle: Circle) -> Event[Any]:
    """The news that the community goes live, years after it was driven to."""
    circle.clock, circle.now = ClockMode.WALL, NOW
    body = ClockAdvanced(community_id=circle.community_id, mode=ClockMode.WALL, now=NOW)
    return circle.event(body, circle.community_id)


async def statuses(circle: Circle) -> dict[str, tuple[str, bool]]:
    return {r["item_name"]: (r["status"], r["overdue"]) for r in await circle.rewards()}


@pytest.fixture
async def open_rewards(circle: Circle) -> None:
    """One reward that waits for a decision, one for money, one to be claimed."""
    ada, ben = await circle.admit("ada", "ben")
    await circle.budget(500)
    await circle.fill("Coffee card", "CODE-1", "CODE-2")
    await circle.fill("Gas card", "GAS-1")
    await circle.h.deliver(circle.verified(uuid4(), ada))
    await circle.h.deliver(circle.verified(uuid4(), ben))
    found = {(r["item_name"], r["status"]) for r in await circle.rewards()}
    assert {("Coffee card", "issued"), ("Coffee card", "held"), ("Gas card", "proposed")} <= found


@pytest.mark.usefixtures("open_rewards")
async def test_what_is_open_has_its_whole_time_again_when_a_community_goes_live(
    circle: Circle,
) -> None:
    before = await circle.rewards()

    await circle.h.deliver(live(circle))
    await circle.h.sweep(NOW + 29 * DAY)
    assert await circle.rewards() == before, "nothing is overdue although it was years ago"

    await circle.h.sweep(NOW + 30 * DAY)
    held = [r for r in await circle.rewards() if r["status"] == "held"]
    assert [r["overdue"] for r in held] == [True]
    await circle.h.sweep(NOW + 179 * DAY)
    assert await circle.published(RewardExpired) == []

    await circle.h.sweep(NOW + 180 * DAY)

    expired = await circle.published(RewardExpired)
    assert {(e.data.item_name, e.time) for e in expired} == {
        ("Coffee card", NOW + 180 * DAY),
        ("Gas card", NOW + 180 * DAY),
    }
    assert len(expired) == 4


@pytest.mark.usefixtures("open_rewards")
async def test_the_same_news_again_restarts_nothing(circle: Circle) -> None:
    first = live(circle)
    await circle.h.deliver(first)
    body = first.data.model_copy(update={"now": NOW + 20 * DAY})
    await circle.h.deliver(circle.event(body, circle.community_id, NOW + 20 * DAY))

    async with circle.h.database.begin() as uow:
        rows = await uow.rows(text("SELECT live_since FROM reward_desk"))
    assert [row.live_since for row in rows] == [NOW]


@pytest.mark.usefixtures("open_rewards")
async def test_what_begins_after_going_live_is_counted_from_its_own_time(circle: Circle) -> None:
    await circle.h.deliver(live(circle))
    circle.now = NOW + 100 * DAY
    (cyd,) = await circle.admit("cyd")
    await circle.h.deliver(circle.verified(uuid4(), cyd))

    await circle.h.sweep(NOW + 181 * DAY)

    mine = {
        r["item_name"]: r["status"] for r in await circle.rewards() if r["member_id"] == str(cyd)
    }
    assert (mine["Gas card"], mine["Coffee card"]) == ("proposed", "held")
