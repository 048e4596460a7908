"""From a driven clock to the wall clock: what is open gets its whole time again, once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from coterie_chassis.testing import Harness
from coterie_contracts.community import ClockAdvanced, ClockMode
from coterie_contracts.envelope import Event
from coterie_contracts.feedback import (
    CampaignClosed,
    FeedbackUnconfirmed,
    LookAgainAnswered,
    LookAgainLapsed,
)
from coterie_contracts.model import EventBody

from .world import DAY, World

NOW = datetime(2030, 5, 6, 12, tzinfo=UTC)


@pytest.fixture
async def live(world: World) -> Event[EventBody]:
    """The news that a community goes live, in which much is open."""
    await world.built("ann", "bob")
    draft = {"community_id": world.community_id, "title": "Which?", "member_benefit": "First ride"}
    campaign = await world.do("POST", "/campaigns", draft, as_=world.manager, expect=201)
    path = f"/campaigns/{campaign.json()['campaign_id']}/launch"
    await world.do("POST", path, as_=world.manager, expect=200)
    world.clock, world.now = ClockMode.WALL, NOW
    body = ClockAdvanced(community_id=world.community_id, mode=ClockMode.WALL, now=NOW)
    return world.event(body, world.community_id)


async def deadlines(h: Harness, community_id: UUID) -> list[tuple[Any, ...]]:
    async with h.database.begin() as uow:
        rows = await uow.rows(
            text("SELECT kind, due_at FROM deadline WHERE community_id = :id ORDER BY kind"),
            {"id": community_id},
        )
    return [(row.kind, row.due_at) for row in rows]


async def test_open_look_agains_and_campaigns_restart_when_a_community_goes_live(
    h: Harness, world: World, live: Event[EventBody]
) -> None:
    before = await h.published()

    await h.deliver(live)

    assert await h.sweep(NOW + 13 * DAY) == 0, "nothing lapses although it was years ago"
    assert await h.published() == before
    end = NOW + 14 * DAY
    assert await deadlines(h, world.community_id) == [
        ("campaign.close", end),
        ("look_again.lapse", end),
        ("look_again.lapse", end),
    ]
    (asked,) = await world.asked("ann")
    assert datetime.fromisoformat(asked["late_until"]) == NOW + 90 * DAY
    assert await h.sweep(end) == 3
    assert len(await h.published(LookAgainLapsed)) == 2
    assert len(await h.published(FeedbackUnconfirmed, CampaignClosed)) == 2


async def test_the_new_time_begins_outside_quiet_hours_too(
    h: Harness, world: World, live: Event[EventBody]
) -> None:
    at_night = NOW.replace(hour=23)
    body = ClockAdvanced(community_id=world.community_id, mode=ClockMode.WALL, now=at_night)

    await h.deliver(world.event(body, world.community_id))

    (asked,) = await world.asked("bob")
    morning = (NOW + DAY).replace(hour=6)  # eight in the summer of Berlin
    assert datetime.fromisoformat(asked["due_at"]) == morning + 14 * DAY


async def test_going_live_restarts_once_whatever_is_told_again(
    h: Harness, world: World, live: Event[EventBody]
) -> None:
    await h.deliver(live)
    before = await deadlines(h, world.community_id)
    body = ClockAdvanced(community_id=world.community_id, mode=ClockMode.WALL, now=NOW + 5 * DAY)

    await h.deliver(world.event(body, world.community_id))

    assert await deadlines(h, world.community_id) == before


async def test_what_happened_since_and_is_read_before_ends_nothing(
    h: Harness, world: World, live: Event[EventBody]
) -> None:
    await h.deliver(world.admitted("newcomer"))
    assert await h.sweep(NOW) == 0

    await h.deliver(live)

    assert await h.sweep(NOW) == 0
    await world.answer("ann", True, expect=200)
    (answered,) = await h.published(LookAgainAnswered)
    assert not answered.data.late
