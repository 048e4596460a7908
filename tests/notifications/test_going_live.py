"""From a driven clock to the wall clock: reminders begin anew, once; the brief has its Monday."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from coterie_contracts import feedback, member
from coterie_contracts.community import ClockAdvanced, ClockMode
from coterie_contracts.envelope import Event
from coterie_contracts.model import EventBody
from coterie_contracts.notification import NotificationSent

from .world import DAY, HOUR, START, World

NOW = datetime(2030, 5, 6, 12, tzinfo=UTC)
MONDAY = datetime(2030, 5, 13, 7, tzinfo=UTC)


@pytest.fixture
async def open_things(world: World) -> dict[str, UUID]:
    """Everything that somebody will be reminded of, asked in the night of the driven past."""
    await world.populate("ana")
    ids = {name: uuid4() for name in ("look", "offer", "invitation", "suggestion")}
    night = START.replace(hour=22)
    asked = world.look_again(
        feedback.LookAgainRequested,
        "ana",
        night,
        ids["look"],
        label="Louder bells",
        what_changed="Bells are louder.",
        see_it_at="your next order",
        due_at=START.replace(hour=7) + 15 * DAY,
    )
    seats = {"seat_sequence": 2, "capacity": 10, "seats_held": 2}
    offered = member.SeatOffered(
        application_id=ids["offer"],
        community_id=world.community_id,
        person_id=world.who("cy").person_id,
        expires_at=START + 84 * HOUR,
        **seats,
    )
    issued = member.InvitationIssued(
        invitation_id=ids["invitation"],
        community_id=world.community_id,
        max_uses=1,
        expires_at=START + 14 * DAY,
        reserves_seat=True,
        **{**seats, "seat_sequence": 3},
    )
    await world.h.deliver(
        asked,
        world.event(offered, ids["offer"], START),
        world.event(issued, ids["invitation"], START),
        world.suggestion(feedback.FeedbackSubmitted, "ana", START, ids["suggestion"]),
    )
    return ids


def live(world: World, now: datetime = NOW) -> Event[EventBody]:
    world.clock = ClockMode.WALL
    body = ClockAdvanced(community_id=world.community_id, mode=ClockMode.WALL, now=now)
    return world.event(body, world.community_id, now)


async def deadlines(world: World) -> dict[str, datetime]:
    async with world.h.database.begin() as uow:
        rows = await uow.rows(text("SELECT kind, due_at FROM deadline"))
    return {row.kind: row.due_at for row in rows}


async def test_what_is_open_is_reminded_of_after_its_whole_time_again(
    world: World, open_things: dict[str, UUID]
) -> None:
    before = len(await world.h.published())

    await world.h.deliver(live(world))

    assert await deadlines(world) == {
        "brief.send": MONDAY,
        "invitation.remind": NOW + 7 * DAY,
        "look_again.remind": NOW + 7 * DAY,
        "seat_offer.remind": NOW + 36 * HOUR,
        "suggestion.remind": NOW + 5 * DAY,
    }
    await world.h.sweep(NOW + 30 * HOUR)
    assert len(await world.h.published()) == before
    await world.h.sweep(NOW + 7 * DAY)
    told = {
        e.data.template: e
        for e in (await world.h.published(NotificationSent))
        if e.time > NOW and e.data.template != "monday_brief"
    }
    assert {name: event.time for name, event in told.items()} == {
        "seat_offer_reminder": NOW + 36 * HOUR,
        "suggestion_waits": NOW + 5 * DAY,
        "invitation_waits": NOW + 7 * DAY,
        "look_again_reminder": NOW + 7 * DAY,
    }
    assert set(open_things.values()) == {
        UUID(item["about"]) for item in await everything(world) if item["template"] in told
    }
    texts = {item["template"]: item["text"] for item in await everything(world)}
    assert "by Monday 20 May 2030, 14:00" in texts["look_again_reminder"]
    assert "until Thursday 9 May 2030, 14:00" in texts["seat_offer_reminder"]
    assert "on Monday 20 May 2030, 14:00" in texts["invitation_waits"]


async def everything(world: World) -> list[dict[str, Any]]:
    path = f"/communities/{world.community_id}/staff-inbox"
    staff: list[dict[str, Any]] = (await world.h.get(path, as_=world.manager)).json()["items"]
    return staff + await world.inbox("ana") + await world.inbox("cy")


@pytest.mark.usefixtures("open_things")
async def test_the_same_news_again_restarts_nothing(world: World) -> None:
    await world.h.deliver(live(world))
    before = await deadlines(world)

    await world.h.deliver(live(world, NOW + DAY))

    assert await deadlines(world) == before


@pytest.mark.usefixtures("open_things")
async def test_what_was_told_or_settled_before_is_not_reminded_of_again(world: World) -> None:
    await world.h.deliver(world.admitted("bo", START + 8 * DAY))
    await world.h.sweep()
    told = [e for e in await world.h.published(NotificationSent) if "wait" in e.data.template]
    assert len(told) == 2

    await world.h.deliver(live(world))

    assert await deadlines(world) == {"brief.send": MONDAY}
