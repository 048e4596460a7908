"""Calls for feedback: one at a time, for those who were members at the launch."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import text

from coterie_chassis.testing import Harness
from coterie_contracts.community import ClockMode, CommunityStatus
from coterie_contracts.feedback import CampaignClosed, CampaignLaunched, FeedbackSubmitted

from .world import DAY, World, rule


async def drafted(world: World, **more: object) -> UUID:
    body = {
        "community_id": world.community_id,
        "title": "Which light?",
        "member_benefit": "You ride with it first",
        **more,
    }
    answer = await world.do("POST", "/campaigns", body, as_=world.manager, expect=201)
    return UUID(answer.json()["campaign_id"])


async def launched(world: World) -> UUID:
    campaign = await drafted(world)
    await world.do("POST", f"/campaigns/{campaign}/launch", as_=world.manager, expect=200)
    return campaign


async def test_a_campaign_names_one_objective_a_deadline_and_what_the_member_gains(
    h: Harness, world: World
) -> None:
    body = {"community_id": world.community_id, "title": "x"}
    without = await world.do("POST", "/campaigns", body, as_=world.manager)
    await launched(world)

    (event,) = await h.published(CampaignLaunched)
    assert without.status_code == 422
    assert event.data.objective_id == world.objective.objective_id
    assert event.data.closes_at == world.now + 14 * DAY
    assert event.data.member_benefit == "You ride with it first"
    assert (event.data.audience_size, event.sequence) == (4, 1)


async def test_the_audience_is_frozen_at_launch(h: Harness, world: World) -> None:
    await h.deliver(world.suspended("dee"))
    campaign = await launched(world)
    await h.deliver(world.admitted("eve"))
    body = {"community_id": world.community_id, "text": "x", "campaign_id": campaign}

    late = await world.do("POST", "/feedback", body, as_=world.who("eve"))
    asked = await world.do("POST", "/feedback", body, as_=world.who("ann"))

    assert rule(late) == "not-in-audience"
    assert asked.status_code == 201
    (event,) = await h.published(FeedbackSubmitted)
    assert event.data.campaign_id == campaign
    seen = await h.get(f"/campaigns/{campaign}", as_=world.who("eve"))
    assert seen.json()["audience_size"] == 3


async def test_campaigns_run_one_at_a_time_even_when_launched_at_once(
    h: Harness, world: World
) -> None:
    ids = [await drafted(world) for _ in range(4)]

    answers = await asyncio.gather(
        *(world.do("POST", f"/campaigns/{id_}/launch", as_=world.manager) for id_ in ids)
    )

    assert sorted(a.status_code for a in answers) == [200, 409, 409, 409]
    assert {rule(a) for a in answers if a.status_code == 409} == {"one-campaign-at-a-time"}


async def test_a_campaign_closes_at_its_deadline(h: Harness, world: World) -> None:
    campaign = await launched(world)
    closes = world.now + 14 * DAY

    await world.pass_time(20 * DAY)

    (event,) = await h.published(CampaignClosed)
    assert (event.time, event.sequence) == (closes, 2)
    body = {"community_id": world.community_id, "text": "x", "campaign_id": campaign}
    late = await world.do("POST", "/feedback", body, as_=world.who("ann"))
    assert rule(late) == "no-such-campaign"


async def test_a_campaign_closed_by_hand_is_not_closed_again(h: Harness, world: World) -> None:
    campaign = await launched(world)
    await world.do("POST", f"/campaigns/{campaign}/close", as_=world.manager, expect=200)

    await world.pass_time(20 * DAY)

    assert len(await h.published(CampaignClosed)) == 1
    await launched(world)


async def test_members_see_what_was_launched_and_never_drafts(h: Harness, world: World) -> None:
    draft = await drafted(world)
    path = f"/communities/{world.community_id}/campaigns"

    assert (await h.get(path, as_=world.who("ann"))).json() == []
    assert (await h.get(f"/campaigns/{draft}", as_=world.who("ann"))).status_code == 404
    assert len((await h.get(path, as_=world.manager)).json()) == 1
    by_member = await world.do("POST", f"/campaigns/{draft}/launch", as_=world.who("ann"))
    assert rule(by_member) == "staff-only"


@pytest.mark.parametrize(
    ("change", "broken"),
    [("retired", "unknown-objective"), ("closed", "community-closed")],
)
async def test_what_changed_since_the_draft_is_looked_at_when_it_is_launched(
    h: Harness, world: World, change: str, broken: str
) -> None:
    campaign = await drafted(world)
    retired = world.objective.model_copy(update={"retired": True})
    changes = {
        "retired": {"objectives": (retired,)},
        "closed": {"status": CommunityStatus.CLOSED},
    }
    await h.deliver(world.opened(**changes[change]))

    answer = await world.do("POST", f"/campaigns/{campaign}/launch", as_=world.manager)
    body = {"community_id": world.community_id, "title": "x", "member_benefit": "y"}
    again = await world.do("POST", "/campaigns", body, as_=world.manager)

    assert rule(answer) == broken
    assert rule(again) in {broken, "objective-needed"}
    assert await h.published(CampaignLaunched) == []


async def test_a_campaign_whose_time_is_over_takes_no_answer_before_the_sweep_either(
    h: Harness,
) -> None:
    world = World(h, clock=ClockMode.WALL)
    await world.begin("ann")
    campaign = await launched(world)
    async with h.database.begin() as uow:
        await uow.execute(text("UPDATE campaign SET closes_at = now() - interval '1 second'"))
    body = {"community_id": world.community_id, "text": "x", "campaign_id": campaign}

    answer = await world.do("POST", "/feedback", body, as_=world.who("ann"))

    assert rule(answer) == "no-such-campaign"
