"""Who is told of what, once, in which words."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from sqlalchemy import select, text

from coterie_chassis.testing import Harness, event_of
from coterie_contracts import feedback, member, reward
from coterie_contracts.community import ClockMode
from coterie_contracts.notification import NotificationSent, NotificationSuppressed
from coterie_notifications.domain.notices import notices_of
from coterie_notifications.store.tables import metadata, notification
from coterie_notifications.telling import tell

from .world import DAY, HOUR, START, World, ledgered


async def test_an_applicant_hears_of_every_step(world: World) -> None:
    await world.h.deliver(world.opened())
    id_ = uuid4()
    seat = {"seat_sequence": 1, "capacity": 10, "seats_held": 1}
    await world.h.deliver(
        world.application(member.ApplicationSubmitted, "ana", START, id_, requirements_version=1),
        world.application(
            member.ApplicationWaitlisted, "ana", START + HOUR, id_, priority=0, enqueued_at=START
        ),
    )
    offered = member.SeatOffered(
        application_id=id_,
        community_id=world.community_id,
        person_id=world.who("ana").person_id,
        expires_at=START + 3 * DAY,
        **seat,
    )
    lapsed = member.SeatLapsed(
        application_id=id_,
        community_id=world.community_id,
        person_id=world.who("ana").person_id,
        reason=member.SeatLapse.EXPIRED,
        final=False,
        **{**seat, "seat_sequence": 2, "seats_held": 0},
    )
    await world.h.deliver(
        world.event(offered, id_, START + DAY), world.event(lapsed, id_, START + 4 * DAY)
    )
    assert await world.templates("ana") == [
        "application_received",
        "application_waitlisted",
        "seat_offered",
        "seat_kept_waiting",
    ]
    text = (await world.inbox("ana"))[1]["text"]
    assert "The Bike Kitchen" in text
    assert "Thursday 7 March 2024, 13:00" in text


async def test_a_reward_is_told_once_although_it_is_approved_and_issued(world: World) -> None:
    await world.populate("ana")
    id_ = uuid4()
    approved = world.reward(
        reward.RewardApproved, "ana", START + DAY, id_, approved_by="policy", **ledgered()
    )
    issued = world.reward(reward.RewardIssued, "ana", START + DAY, id_, **ledgered())
    await world.h.deliver(issued, approved)
    assert (await world.templates("ana")).count("reward") == 1
    await world.h.deliver(world.reward(reward.RewardIssued, "ana", START + DAY, id_, **ledgered()))
    assert (await world.templates("ana")).count("reward") == 1
    sent = await world.h.published(NotificationSent)
    assert [e.data.template for e in sent].count("reward") == 1


async def test_a_rejected_reward_is_not_told(world: World) -> None:
    await world.populate("ana")
    await world.h.deliver(world.reward(reward.RewardRejected, "ana", START + DAY, uuid4()))
    assert await world.templates("ana") == ["member_admitted"]


async def test_one_cause_gives_one_notification_however_often_it_is_delivered(
    world: World,
) -> None:
    await world.populate("ana")
    accepted = world.accepted("ana", START + DAY)
    await world.h.deliver(accepted, accepted)
    await world.h.deliver(accepted)
    assert (await world.templates("ana")).count("feedback_accepted") == 1


async def test_who_left_is_told_of_a_reward_and_of_nothing_else(world: World) -> None:
    await world.populate("ana")
    await world.h.deliver(world.left("ana", START + DAY))
    approved = world.reward(
        reward.RewardApproved, "ana", START + 2 * DAY, uuid4(), approved_by="policy", **ledgered()
    )
    await world.h.deliver(approved, world.accepted("ana", START + 2 * DAY))
    assert await world.templates("ana") == ["member_admitted", "member_left", "reward"]
    held = await world.h.published(NotificationSuppressed)
    assert [(e.data.template, e.data.reason) for e in held] == [("feedback_accepted", "relation")]


async def test_all_who_asked_for_it_are_thanked_when_it_is_verified(world: World) -> None:
    await world.populate("ana", "bo")
    verified = world.suggestion(
        feedback.FeedbackVerified,
        "ana",
        START + DAY,
        implementation_id=uuid4(),
        round=1,
        duplicate_author_ids=(world.member_id("bo"),),
        implemented_at=START,
        by="author",
    )
    await world.h.deliver(verified)
    for name in ("ana", "bo"):
        assert "feedback_verified" in await world.templates(name)


async def test_a_look_again_is_reminded_of_on_day_seven_unless_answered(world: World) -> None:
    await world.populate("ana", "bo")
    hers, his = uuid4(), uuid4()
    await world.h.deliver(world.asked("ana", START, hers), world.asked("bo", START, his))
    answered = world.look_again(feedback.LookAgainAnswered, "bo", START + DAY, his, satisfied=True)
    await world.h.deliver(answered)
    await world.h.deliver(world.accepted("ana", START + 7 * DAY - HOUR))
    await world.h.sweep()
    assert "look_again_reminder" not in await world.templates("ana")
    await world.h.deliver(world.accepted("ana", START + 7 * DAY))
    await world.h.sweep()
    assert (await world.templates("ana")).count("look_again_reminder") == 1
    assert "look_again_reminder" not in await world.templates("bo")
    inbox = await world.inbox("ana")
    reminder = next(item for item in inbox if item["template"] == "look_again_reminder")
    assert reminder["sent_at"].startswith("2024-03-11T12:00")


async def test_an_event_about_a_member_not_seen_yet_is_kept_and_told_later(world: World) -> None:
    admitted = world.admitted("ana")
    early = world.accepted("ana", START + DAY)
    await world.h.deliver(early)
    assert await world.h.dead_letters() == []
    await world.h.deliver(admitted)
    await world.h.deliver(world.opened())
    assert sorted(await world.templates("ana")) == ["feedback_accepted", "member_admitted"]
    (sent,) = [
        e
        for e in await world.h.published(NotificationSent)
        if e.data.template == "feedback_accepted"
    ]
    assert sent.causation_id == early.id
    assert sent.data.sent_at == early.time


async def test_a_campaign_reaches_who_was_active_when_it_began_in_any_order(
    world: World,
) -> None:
    ana, bo, late = (
        world.admitted("ana"),
        world.admitted("bo"),
        world.admitted("cy", START + 2 * DAY),
    )
    await world.h.deliver(world.opened(), ana, world.campaign(START + DAY))
    await world.h.deliver(bo, late)
    assert "campaign" in await world.templates("ana")
    assert "campaign" in await world.templates("bo")
    assert "campaign" not in await world.templates("cy")


async def test_nothing_is_kept_of_the_erased_and_nothing_brings_them_back(world: World) -> None:
    await world.populate("ana", "bo")
    await world.h.deliver(
        world.accepted("ana", START + DAY),
        world.asked("ana", START + DAY),
        world.event(
            member.MemberContact(
                member_id=world.member_id("ana"),
                community_id=world.community_id,
                email="ana@example.org",
            ),
            world.member_id("ana"),
            START,
        ),
    )
    await world.h.deliver(world.erased("ana", START + 2 * DAY))
    await world.h.deliver(world.accepted("ana", START + 3 * DAY), world.asked("ana", START + DAY))
    ids = {str(world.member_id("ana")), str(world.who("ana").person_id)}
    async with world.h.database.begin() as uow:
        for table in metadata.sorted_tables:
            for row in await uow.rows(select(table)):
                assert ids.isdisjoint(map(str, row)), table.name
    assert await world.inbox("ana") == []
    assert await world.templates("bo") == ["member_admitted"]


async def test_the_last_address_that_a_member_gave_stands(world: World) -> None:
    await world.populate("ana")
    for email in ("first@example.org", "second@example.org"):
        body = member.MemberContact(
            member_id=world.member_id("ana"), community_id=world.community_id, email=email
        )
        await world.h.deliver(event_of(body, world.member_id("ana"), sequence=None))
    async with world.h.database.begin() as uow:
        (row,) = await uow.rows(select(metadata.tables["contact"]))
    assert row.email == "second@example.org"


async def test_managers_are_told_once_of_a_held_reward(world: World) -> None:
    await world.populate("ana")
    id_ = uuid4()
    for day in (1, 2):
        held = world.reward(reward.RewardHeld, "ana", START + day * DAY, id_, reason="budget")
        await world.h.deliver(held)
    path = f"/communities/{world.community_id}/staff-inbox"
    items = (await world.h.get(path, as_=world.manager)).json()["items"]
    assert [item["template"] for item in items] == ["reward_held"]
    assert "the budget is too low" in items[0]["text"]
    todo = (await world.h.get(f"/communities/{world.community_id}/todo", as_=world.manager)).json()
    assert [item["what"] for item in todo] == ["A reward has to wait"]
    done = await world.h.post(todo[0]["path"], {}, as_=world.manager)
    assert done.status_code == 200, done.text
    todo = await world.h.get(f"/communities/{world.community_id}/todo", as_=world.manager)
    assert todo.json() == []
    assert (await world.h.get(path, as_=world.who("ana"))).status_code == 403


async def test_an_open_seat_offer_is_reminded_of_at_half_time_and_a_taken_one_is_not(
    world: World,
) -> None:
    await world.h.deliver(world.opened())
    applications = {"ana": uuid4(), "bo": uuid4()}
    for number, (name, id_) in enumerate(applications.items(), 1):
        offered = member.SeatOffered(
            application_id=id_,
            community_id=world.community_id,
            person_id=world.who(name).person_id,
            expires_at=START + 3 * DAY,
            seat_sequence=number,
            capacity=10,
            seats_held=number,
        )
        await world.h.deliver(world.event(offered, id_, START))
    await world.h.deliver(
        world.admitted("bo", START + DAY, application_id=applications["bo"]),
        world.admitted("cy", START + 2 * DAY),
    )
    await world.h.sweep()
    assert await world.templates("ana") == ["seat_offered", "seat_offer_reminder"]
    assert "seat_offer_reminder" not in await world.templates("bo")
    reminder = (await world.inbox("ana"))[0]
    assert reminder["sent_at"].startswith("2024-03-06T00:00")


async def test_an_erasure_waits_for_who_writes_and_takes_what_they_wrote(world: World) -> None:
    await world.populate("ana")
    accepted = world.accepted("ana", START + DAY)
    async with world.h.database.begin() as uow:
        await tell(uow, notices_of(accepted))
        erasing = asyncio.create_task(world.h.deliver(world.erased("ana", START + 2 * DAY)))
        await _somebody_waits(world)
    await erasing
    assert await world.h.dead_letters() == []
    async with world.h.database.begin() as uow:
        rows = await uow.rows(select(notification))
    assert rows == []


async def _somebody_waits(world: World) -> None:
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    async with asyncio.timeout(10):
        while True:
            async with world.h.database.begin() as uow:
                if (await uow.execute(waiting)).scalar_one():
                    return


async def test_two_instances_that_hear_of_one_reward_at_once_tell_it_once(h: Harness) -> None:
    world = World(h, clock=ClockMode.WALL)
    await world.populate("ana")
    for _ in range(15):
        id_ = uuid4()
        approved = world.reward(
            reward.RewardApproved, "ana", START, id_, approved_by="policy", **ledgered()
        )
        issued = world.reward(reward.RewardIssued, "ana", START, id_, **ledgered())
        await asyncio.gather(h.deliver(approved), h.deliver(issued))
    assert await h.dead_letters() == []
    sent = [e for e in await h.published(NotificationSent) if e.data.template == "reward"]
    assert len(sent) == len({e.subject for e in sent}) == 15
