"""Rounds over the real routes, deadlines and events."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import text

from coterie_chassis.testing import Harness
from coterie_contracts.feedback import (
    FeedbackReopened,
    FeedbackUnconfirmed,
    FeedbackVerified,
    LookAgainAnswered,
    LookAgainFacts,
    LookAgainLapsed,
    LookAgainRequested,
    VerifiedBy,
)

from .world import DAY, World, rule


async def test_the_author_satisfied_verifies(h: Harness, world: World) -> None:
    item = await world.built("ann", "bob")
    answer = await world.answer("ann", True, expect=200)

    (event,) = await h.published(FeedbackVerified)
    assert answer.json()["state"] == "satisfied"
    assert (event.subject, event.data.by, event.data.round) == (item, VerifiedBy.AUTHOR, 1)
    assert (await world.see(item))["status"] == "verified"


async def test_the_author_unsatisfied_reopens_and_a_second_round_can_follow(
    h: Harness, world: World
) -> None:
    item = await world.built("ann", "bob")
    await world.answer("ann", False, expect=200)
    assert (await world.see(item))["status"] == "reopened"

    await world.staff(item, "plan")
    await world.implement(item)
    await world.answer("ann", True, expect=200)

    seen = await world.see(item)
    assert [one["outcome"] for one in seen["rounds"]] == ["reopened", "verified"]
    assert len(await h.published(FeedbackReopened)) == 1
    lapsed = await h.published(LookAgainLapsed)
    assert [e.data.member_id for e in lapsed] == [world.member_id("bob")]


async def test_after_three_rounds_only_a_manager_reopens(h: Harness, world: World) -> None:
    item = await world.submit("ann")
    await world.staff(item, "accept", {"label": "Lights"})
    for _ in range(3):
        await world.staff(item, "plan")
        await world.implement(item)
        await world.answer("ann", False, expect=200)
    assert (await world.see(item))["status"] == "unconfirmed"
    assert len(await h.published(FeedbackReopened)) == 2

    by_host = await world.do("POST", f"/feedback/{item}/reopen", as_=world.host)
    todo = await h.get(f"/communities/{world.community_id}/todo", as_=world.manager)
    await world.staff(item, "reopen")

    assert (by_host.status_code, rule(by_host)) == (403, "missing-role")
    assert [(one["for_whom"], one["path"]) for one in todo.json()] == [
        ("manager", f"/feedback/{item}/reopen")
    ]
    last = (await h.published(FeedbackReopened))[-1]
    assert (last.data.by, last.data.round) == (VerifiedBy.MANAGER, 3)


async def test_nobody_answers_and_the_round_is_unconfirmed_at_the_deadline(
    h: Harness, world: World
) -> None:
    item = await world.built("ann", "bob")
    due = world.now + 14 * DAY
    await world.pass_time(14 * DAY - timedelta(seconds=1))
    assert (await world.see(item))["status"] == "looking_again"

    await world.pass_time(5 * DAY)

    (event,) = await h.published(FeedbackUnconfirmed)
    assert (event.data.by, event.data.not_askable) == (VerifiedBy.DEADLINE, False)
    assert event.time == due, "stamped with the deadline"
    assert len(await h.published(LookAgainLapsed)) == 2


async def test_most_of_the_supporters_who_answered_verify_at_the_deadline(
    h: Harness, world: World
) -> None:
    await world.built("ann", "bob", "cem", "dee")
    for name, satisfied in (("bob", True), ("cem", False), ("dee", True)):
        await world.answer(name, satisfied, expect=200)
    assert await h.published(FeedbackVerified) == []

    await world.pass_time(15 * DAY)

    (event,) = await h.published(FeedbackVerified)
    assert event.data.by is VerifiedBy.SUPPORTERS


async def test_an_unsatisfied_duplicate_author_makes_staff_think_of_unmerging(
    h: Harness, world: World
) -> None:
    root, twin = await world.submit("ann"), await world.submit("bob")
    await world.staff(twin, "merge", {"root_id": root})
    await world.staff(root, "accept", {"label": "Lights"})
    await world.staff(root, "plan")
    await world.implement(root)

    await world.answer("bob", False, expect=200)

    assert await h.published(FeedbackReopened) == []
    todo = (await h.get(f"/communities/{world.community_id}/todo", as_=world.host)).json()
    assert [one["path"] for one in todo] == [f"/feedback/{twin}/unmerge"]
    await world.staff(twin, "unmerge")
    todo = (await h.get(f"/communities/{world.community_id}/todo", as_=world.host)).json()
    assert [one["path"] for one in todo] == [f"/feedback/{twin}/accept"]


async def test_a_late_answer_counts_until_day_ninety(h: Harness, world: World) -> None:
    item = await world.built("ann")
    await world.pass_time(60 * DAY)
    assert (await world.see(item))["status"] == "unconfirmed"

    await world.answer("ann", True, expect=200)

    (answered,) = await h.published(LookAgainAnswered)
    assert answered.data.late
    assert (await world.see(item))["status"] == "verified"
    assert [e.sequence for e in await h.published(LookAgainFacts)] == [1, 2, 3]


async def test_after_day_ninety_an_answer_is_too_late(world: World) -> None:
    await world.built("ann")
    (asked,) = await world.asked("ann")
    await world.pass_time(91 * DAY)

    path = f"/look-agains/{asked['look_again_id']}/answer"
    answer = await world.do("POST", path, {"satisfied": True}, as_=world.who("ann"))

    assert rule(answer) == "too-late"
    assert await world.asked("ann") == []


async def test_the_deadline_starts_at_the_first_instant_outside_quiet_hours(
    h: Harness, world: World
) -> None:
    world.now = world.now.replace(hour=22)
    await world.built("ann")

    (event,) = await h.published(LookAgainRequested)
    next_morning = (world.now + DAY).replace(hour=7)
    assert event.data.due_at == next_morning + 14 * DAY


async def test_nobody_else_answers_a_look_again(h: Harness, world: World) -> None:
    await world.built("ann", "bob")
    (asked,) = await world.asked("ann")
    path = f"/look-agains/{asked['look_again_id']}"

    for who in (world.who("bob"), world.manager):
        assert (await h.get(path, as_=who)).status_code == 404
        answer = await world.do("POST", f"{path}/answer", {"satisfied": True}, as_=who)
        assert answer.status_code == 404


async def test_the_same_answer_told_again_changes_nothing_and_another_is_refused(
    h: Harness, world: World, forget_keys: object
) -> None:
    await world.built("ann")
    (asked,) = await world.asked("ann")
    path, ann = f"/look-agains/{asked['look_again_id']}/answer", world.who("ann")
    await world.do("POST", path, {"satisfied": True}, as_=ann, key="a", expect=200)
    before = await h.published()
    await forget_keys()  # type: ignore[operator]

    await world.do("POST", path, {"satisfied": True}, as_=ann, key="a", expect=200)
    other = await world.do("POST", path, {"satisfied": False}, as_=ann)

    assert rule(other) == "already-answered"
    assert await h.published() == before


async def test_either_answer_earns_the_same_answer(world: World) -> None:
    await world.built("ann", "bob", "cem")
    yes = (await world.answer("bob", True, expect=200)).json()
    no = (await world.answer("cem", False, expect=200)).json()

    assert yes.keys() == no.keys()
    assert (yes["state"], no["state"]) == ("satisfied", "unsatisfied")


async def test_who_left_before_is_not_asked(h: Harness, world: World) -> None:
    item = await world.planned("ann")
    await world.support(item, "bob")
    await world.support(item, "cem")
    await h.deliver(world.left("ann"), world.left("bob"))

    await world.implement(item)

    asked = await h.published(LookAgainRequested)
    (gone,) = await h.published(LookAgainLapsed)
    assert [e.data.member_id for e in asked] == [world.member_id("cem")]
    assert (gone.data.member_id, gone.data.not_askable) == (world.member_id("ann"), True)
    assert (await world.see(item))["author_id"] == str(world.member_id("ann"))


@pytest.mark.parametrize("deed", ["left", "removed", "erased"])
async def test_if_nobody_can_be_asked_the_item_is_unconfirmed_at_once(
    h: Harness, world: World, deed: str
) -> None:
    item = await world.planned("ann")
    await h.deliver(getattr(world, deed)("ann"))

    await world.implement(item)

    (event,) = await h.published(FeedbackUnconfirmed)
    assert event.data.not_askable
    assert (await world.see(item))["status"] == "unconfirmed"


async def test_a_member_is_asked_once_per_implementation(h: Harness, world: World) -> None:
    root, twin = await world.submit("ann"), await world.submit("ann")
    await world.staff(twin, "merge", {"root_id": root})
    await world.support(twin, "bob")
    await world.support(root, "bob")
    await world.staff(root, "accept", {"label": "Lights"})
    await world.staff(root, "plan")
    await world.implement(root)

    asked = Counter(e.data.member_id for e in await h.published(LookAgainRequested))

    assert asked == {world.member_id("ann"): 1, world.member_id("bob"): 1}
    again = (
        "INSERT INTO look_again SELECT (jsonb_populate_record(l, jsonb_build_object("
        "'look_again_id', gen_random_uuid()))).* FROM look_again AS l"
    )
    with pytest.raises(Exception, match="look_again_once"):
        async with h.database.begin() as uow:
            await uow.execute(text(again))


async def test_a_suspended_member_is_asked_and_answers_once_reinstated(
    h: Harness, world: World
) -> None:
    item = await world.planned("ann")
    await h.deliver(world.suspended("ann"))
    await world.implement(item)

    answer = await world.answer("ann", True)

    assert (answer.status_code, rule(answer)) == (403, "not-in-good-standing")
    assert (await world.see(item))["status"] == "looking_again"
