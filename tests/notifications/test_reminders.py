"""Staff are reminded once of what waits for them, as of the deadline and not of the sweep."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest

from coterie_contracts import feedback, member
from coterie_contracts.community import CommunityStatus
from coterie_contracts.envelope import Event
from coterie_contracts.model import EventBody

from .world import DAY, HOUR, START, World

TAKEN_UP: dict[type[feedback.FeedbackFacts], dict[str, Any]] = {
    feedback.FeedbackAccepted: {"label": "Louder bells"},
    feedback.FeedbackDeclined: {},
    feedback.FeedbackMerged: {"root_id": uuid4()},
    feedback.FeedbackWithdrawn: {},
}


async def reminders(world: World) -> list[tuple[str, str, datetime]]:
    """What staff were told: template, what it is about, when; oldest first."""
    path = f"/communities/{world.community_id}/staff-inbox"
    answer = await world.h.get(path, as_=world.manager, params={"limit": 100})
    return [
        (item["template"], item["about"], datetime.fromisoformat(item["sent_at"]))
        for item in reversed(answer.json()["items"])
        if item["template"] != "monday_brief"
    ]


async def pass_time(world: World, until: timedelta) -> None:
    await world.h.deliver(world.admitted(f"at {until}", START + until))
    await world.h.sweep()


async def test_staff_are_reminded_on_day_five_of_a_suggestion_without_an_answer(
    world: World,
) -> None:
    await world.populate("ana")
    waits = uuid4()
    await world.h.deliver(world.suggestion(feedback.FeedbackSubmitted, "ana", START, waits))
    await pass_time(world, 5 * DAY - HOUR)
    assert await reminders(world) == []

    await pass_time(world, 9 * DAY)
    await pass_time(world, 30 * DAY)

    assert await reminders(world) == [("suggestion_waits", str(waits), START + 5 * DAY)]
    todo = await world.h.get(f"/communities/{world.community_id}/todo", as_=world.manager)
    assert todo.json() == [], "feedback's list has it, with the command that settles it"


@pytest.mark.parametrize("answer", TAKEN_UP)
async def test_what_was_answered_in_time_is_not_reminded_of(
    world: World, answer: type[feedback.FeedbackFacts]
) -> None:
    await world.populate("ana")
    early, late = uuid4(), uuid4()
    await world.h.deliver(
        *(world.suggestion(feedback.FeedbackSubmitted, "ana", START, id_) for id_ in (early, late)),
        world.suggestion(answer, "ana", START + 4 * DAY, early, **TAKEN_UP[answer]),
        world.suggestion(answer, "ana", START + 6 * DAY, late, **TAKEN_UP[answer]),
    )

    await world.h.sweep()

    assert await reminders(world) == [("suggestion_waits", str(late), START + 5 * DAY)]


def issued(world: World, id_: UUID, at: datetime = START, lasts: int = 14) -> Event[EventBody]:
    body = member.InvitationIssued(
        invitation_id=id_,
        community_id=world.community_id,
        max_uses=1,
        expires_at=at + lasts * DAY,
        reserves_seat=True,
        seat_sequence=next(world.seats),
        capacity=10,
        seats_held=1,
    )
    return world.event(body, id_, at)


def redeemed(world: World, id_: UUID, at: datetime) -> Event[EventBody]:
    body = member.InvitationRedeemed(
        invitation_id=id_, community_id=world.community_id, application_id=uuid4(), uses=1
    )
    return world.event(body, id_, at)


def revoked(world: World, id_: UUID, at: datetime) -> Event[EventBody]:
    body = member.InvitationRevoked(
        invitation_id=id_,
        community_id=world.community_id,
        seat_sequence=next(world.seats),
        capacity=10,
        seats_held=0,
    )
    return world.event(body, id_, at)


async def test_staff_are_reminded_on_day_seven_of_an_invitation_that_nobody_used(
    world: World,
) -> None:
    await world.populate("ana")
    waits, used, back, short, late = (uuid4() for _ in range(5))
    await world.h.deliver(
        *(issued(world, id_) for id_ in (waits, used, back, late)),
        issued(world, short, lasts=6),
        redeemed(world, used, START + DAY),
        revoked(world, back, START + 2 * DAY),
        redeemed(world, late, START + 8 * DAY),
    )

    await pass_time(world, 20 * DAY)

    due = START + 7 * DAY
    assert sorted(await reminders(world)) == sorted(
        ("invitation_waits", str(id_), due) for id_ in (waits, late)
    )


async def test_a_use_heard_of_before_its_invitation_counts_in_any_order(world: World) -> None:
    for order in permutations(range(2)):
        each = World(world.h)
        await each.populate("ana")
        id_ = uuid4()
        events = [issued(each, id_), redeemed(each, id_, START + DAY)]
        for position in order:
            await each.h.deliver(events[position])
        await pass_time(each, 20 * DAY)
        assert await reminders(each) == []


async def test_a_closed_community_is_reminded_of_nothing(world: World) -> None:
    await world.populate("ana")
    await world.h.deliver(
        world.suggestion(feedback.FeedbackSubmitted, "ana", START),
        issued(world, uuid4()),
        world.opened(START + DAY, status=CommunityStatus.CLOSED),
    )

    await pass_time(world, 20 * DAY)

    assert await reminders(world) == []
