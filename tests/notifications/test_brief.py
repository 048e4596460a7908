"""The Monday brief: what waits, what was confirmed, what was held back."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from coterie_chassis.testing import Harness
from coterie_contracts import feedback, member, reward
from coterie_contracts.community import ClockMode, CommunityChanged, CommunityStatus
from coterie_contracts.notification import NotificationSent

from .world import DAY, HOUR, START, World, ledgered


async def brief(world: World) -> dict[str, object]:
    path = f"/communities/{world.community_id}/brief"
    answer = await world.h.get(path, as_=world.manager)
    assert answer.status_code == 200, answer.text
    result: dict[str, object] = answer.json()
    return result


async def test_the_brief_says_what_waits_and_what_happened(world: World) -> None:
    await world.populate("ana", "bo")
    application, answered = uuid4(), uuid4()
    at = START + 100 * DAY
    await world.h.deliver(
        world.application(
            member.ApplicationWaitlisted, "cy", at - DAY, application, priority=0, enqueued_at=at
        ),
        world.suggestion(feedback.FeedbackSubmitted, "ana", at - 5 * DAY),
        world.suggestion(feedback.FeedbackSubmitted, "ana", at - 4 * DAY, answered),
        world.suggestion(
            feedback.FeedbackAccepted, "ana", at - 3 * DAY, answered, label="Louder bells"
        ),
        world.suggestion(
            feedback.FeedbackVerified,
            "ana",
            at - DAY,
            answered,
            implementation_id=uuid4(),
            round=1,
            implemented_at=at,
            by="author",
        ),
    )
    waits, settled = uuid4(), uuid4()
    proposal = {"amount_minor": 5000, "currency": "USD", "needs_approval": True}
    await world.h.deliver(
        world.reward(reward.RewardProposed, "ana", at - DAY, waits, **proposal),
        world.reward(reward.RewardProposed, "ana", at - DAY, settled, **proposal),
        world.reward(
            reward.RewardApproved, "ana", at - HOUR, settled, approved_by="x", **ledgered()
        ),
        world.reward(reward.RewardHeld, "bo", at - HOUR, uuid4(), reason="budget"),
    )
    short = uuid4()
    await world.h.deliver(
        world.reward(reward.RewardProposed, "ana", at - DAY, short, **proposal),
        world.reward(reward.RewardHeld, "ana", at - HOUR, short, reason="pool"),
    )
    await world.offer(at)
    seen = await brief(world)
    assert (seen["capacity"], seen["seats_held"], seen["waitlist"]) == (10, 2, 1)
    assert (seen["unanswered_count"], seen["approvals_count"], seen["held_rewards"]) == (1, 1, 2)
    assert seen["confirmed_count"] == 1
    assert seen["dormant_count"] == 1
    assert seen["dormant"][0]["id"] == str(world.member_id("bo"))  # type: ignore[index]
    assert seen["withheld"] == [{"notification_class": "offer", "reason": "ratio", "count": 2}]
    text = str(seen["text"])
    assert "Seats: 2 of 10 held, 8 free" in text
    assert "Louder bells (by author)" in text
    assert "2 x offer: too little of value between offers" in text


async def test_staff_get_a_brief_each_monday_at_nine_as_of_that_instant(world: World) -> None:
    await world.populate("ana")
    answered = uuid4()
    await world.h.deliver(
        world.suggestion(feedback.FeedbackSubmitted, "ana", START + DAY, answered),
        world.suggestion(feedback.FeedbackDeclined, "ana", START + 10 * DAY, answered),
        world.accepted("ana", START + 21 * DAY),
    )
    await world.h.sweep()
    path = f"/communities/{world.community_id}/staff-inbox"
    items = (await world.h.get(path, as_=world.manager)).json()["items"]
    briefs = [item for item in items if item["template"] == "monday_brief"]
    times = [datetime.fromisoformat(item["sent_at"]) for item in briefs]
    assert (
        times
        == [
            datetime(2024, 3, 25, 8, tzinfo=UTC),
            datetime(2024, 3, 18, 8, tzinfo=UTC),
            datetime(2024, 3, 11, 8, tzinfo=UTC),
        ][-len(times) :]
    )
    assert len(times) == 2
    assert "without an answer: 1, the oldest for 5 days" in briefs[-1]["text"]
    assert "without an answer: 0" in briefs[0]["text"]


async def test_a_community_with_nothing_to_say_gets_no_brief_and_a_closed_one_none_at_all(
    world: World,
) -> None:
    await world.h.deliver(world.opened())
    await world.h.deliver(world.opened(START + 8 * DAY, status=CommunityStatus.CLOSED))
    await world.h.sweep()
    path = f"/communities/{world.community_id}/staff-inbox"
    assert (await world.h.get(path, as_=world.manager)).json()["items"] == []
    await world.h.deliver(world.admitted("ana", START + 30 * DAY))
    await world.h.sweep()
    assert (await world.h.get(path, as_=world.manager)).json()["items"] == []


@pytest.mark.parametrize("together", [True, False])
async def test_a_change_that_is_read_before_the_opening_costs_no_brief(
    world: World, together: bool
) -> None:
    opened = world.opened()
    changed = world.opened(START + 15 * DAY, CommunityChanged, name="The Bike Shed")
    if together:
        await world.h.deliver(changed, opened)
    else:
        await world.h.deliver(changed)
        await world.h.deliver(opened)
    await world.h.deliver(world.admitted("ana"), world.accepted("ana", START + HOUR))

    await world.h.sweep()

    found = await world.h.published(NotificationSent)
    briefs = [event.time for event in found if event.data.template == "monday_brief"]
    assert briefs == [START - 4 * HOUR + 7 * DAY]


async def test_only_staff_read_the_brief(world: World) -> None:
    await world.populate("ana")
    path = f"/communities/{world.community_id}/brief"
    assert (await world.h.get(path, as_=world.who("ana"))).status_code == 403
    other = World(world.h)
    assert (await world.h.get(path, as_=other.manager)).status_code == 404


async def test_after_an_outage_live_staff_get_one_brief_and_not_one_for_each_week(
    h: Harness,
) -> None:
    world = World(h, clock=ClockMode.WALL)
    await world.populate("ana")
    await h.sweep()
    path = f"/communities/{world.community_id}/staff-inbox"
    items = (await h.get(path, as_=world.manager)).json()["items"]
    assert [item["sent_at"][:10] for item in items] == ["2024-03-11"]
    assert "Seats: 1 of 10 held" in items[0]["text"]
    todo = await h.get(f"/communities/{world.community_id}/todo", as_=world.manager)
    assert todo.json() == []
