"""What staff do, over the real routes: each step once, in order, with its reason."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import text

from coterie_chassis.testing import Harness
from coterie_contracts.feedback import (
    FeedbackAccepted,
    FeedbackDeclined,
    FeedbackFacts,
    FeedbackImplemented,
    FeedbackMerged,
    FeedbackUnmerged,
    LookAgainRequested,
)

from .world import DAY, World, rule


async def test_acceptance_needs_a_label_of_at_most_eighty_characters(
    h: Harness, world: World
) -> None:
    item = await world.submit("ann")
    path = f"/feedback/{item}/accept"
    personal = {"label": "As ann@example.com wrote"}
    for body in ({}, {"label": ""}, {"label": "x" * 81}, {"label": "ok", "surprise": 1}, personal):
        assert (await world.do("POST", path, body, as_=world.host)).status_code == 422

    await world.do("POST", path, {"label": "x" * 80}, as_=world.host, expect=200)

    (event,) = await h.published(FeedbackAccepted)
    assert (event.data.label, event.sequence) == ("x" * 80, 2)


async def test_the_author_reads_the_reason_and_other_members_do_not(
    h: Harness, world: World
) -> None:
    item = await world.submit("ann")
    assert (
        await world.do("POST", f"/feedback/{item}/decline", {}, as_=world.host)
    ).status_code == 422
    await world.staff(item, "decline", {"reason": "It is too dear"})

    assert (await world.see(item, world.who("ann")))["reason"] == "It is too dear"
    assert "too dear" not in str(await world.see(item, world.who("bob")))
    (event,) = await h.published(FeedbackDeclined)
    assert "dear" not in event.data.model_dump_json()


async def test_steps_are_taken_in_their_order(world: World) -> None:
    item = await world.submit("ann")
    built = {"what_changed": "x", "see_it_at": "y"}
    for deed, body in (("plan", {}), ("implement", built), ("unmerge", {}), ("reopen", {})):
        answer = await world.do("POST", f"/feedback/{item}/{deed}", body, as_=world.manager)
        assert answer.status_code == 409, deed
        assert rule(answer) in ("wrong-state", "not-merged"), deed


async def test_every_change_is_one_line_of_history_and_one_sequence(
    h: Harness, world: World
) -> None:
    item = await world.built("ann", "bob")
    await world.answer("ann", True, expect=200)

    events = [e for e in await h.published(FeedbackFacts) if e.subject == item]
    history = (await world.see(item))["history"]

    assert [e.sequence for e in events] == [1, 2, 3, 4, 5]
    assert [line["deed"] for line in history] == [
        "submitted",
        "accepted",
        "planned",
        "implemented",
        "verified",
    ]
    assert [line["by"] for line in history] == ["author", "team", "team", "team", "author"]


async def test_implementing_needs_what_changed_and_where_to_see_it(
    h: Harness, world: World
) -> None:
    item = await world.planned("ann")
    path = f"/feedback/{item}/implement"
    for body in ({"what_changed": "x"}, {"see_it_at": "x"}):
        assert (await world.do("POST", path, body, as_=world.manager)).status_code == 422

    await world.implement(item)

    (event,) = await h.published(FeedbackImplemented)
    assert (event.data.round, event.data.release) == (1, None)
    assert event.data.see_it_at == "in your next order"


async def test_look_agains_are_created_with_the_implementation(h: Harness, world: World) -> None:
    root, twin = await world.submit("ann"), await world.submit("bob")
    await world.staff(twin, "merge", {"root_id": root})
    await world.support(twin, "cem", 3)
    await world.support(root, "dee", 1)
    await world.staff(root, "accept", {"label": "Lights"})
    await world.staff(root, "plan")
    await world.implement(root)

    events = await h.published(LookAgainRequested)
    (built,) = await h.published(FeedbackImplemented)

    assert {(e.data.member_id, e.data.asked_as.value) for e in events} == {
        (world.member_id("ann"), "author"),
        (world.member_id("bob"), "duplicate_author"),
        (world.member_id("cem"), "supporter"),
        (world.member_id("dee"), "supporter"),
    }
    assert {e.data.implementation_id for e in events} == {built.data.implementation_id}
    assert built.data.duplicate_author_ids == (world.member_id("bob"),)
    assert {e.data.due_at for e in events} == {world.now + 14 * DAY}


async def test_only_the_three_keenest_supporters_are_asked(h: Harness) -> None:
    world = World(h)
    names = [f"fan{number}" for number in range(5)]
    await world.begin("ann", *names)
    item = await world.planned("ann")
    for name, importance in zip(names, (1, 3, 2, 1, 3), strict=True):
        await world.support(item, name, importance)

    await world.implement(item)

    asked = {e.data.member_id for e in await h.published(LookAgainRequested)}
    assert asked == {world.member_id(n) for n in ("ann", "fan1", "fan4", "fan2")}


async def test_duplicates_form_a_star_of_depth_one_in_the_database_too(
    h: Harness, world: World
) -> None:
    root, twin, third = [await world.submit(name) for name in ("ann", "bob", "cem")]
    await world.staff(twin, "merge", {"root_id": root})

    into_twin = await world.do(
        "POST", f"/feedback/{third}/merge", {"root_id": twin}, as_=world.manager
    )
    of_root = await world.do(
        "POST", f"/feedback/{root}/merge", {"root_id": third}, as_=world.manager
    )
    unknown = await world.do(
        "POST", f"/feedback/{third}/merge", {"root_id": UUID(int=1)}, as_=world.manager
    )

    assert (rule(into_twin), rule(of_root), rule(unknown)) == (
        "root-is-duplicate",
        "has-duplicates",
        "not-found",
    )
    assert len(await h.published(FeedbackMerged)) == 1
    merge = "UPDATE feedback SET status = 'duplicate', root_id = :root WHERE feedback_id = :id"
    for values in ({"id": third, "root": twin}, {"id": root, "root": third}):
        with pytest.raises(Exception, match="feedback_depth_one"):
            async with h.database.begin() as uow:
                await uow.execute(text(merge), values)


async def test_an_erased_author_of_a_duplicate_is_named_no_more(h: Harness, world: World) -> None:
    root, *twins = [await world.submit(name) for name in ("ann", "bob", "cem")]
    for twin in twins:
        await world.staff(twin, "merge", {"root_id": root})
    await world.staff(root, "accept", {"label": "Lights"})
    await world.staff(root, "plan")
    await h.deliver(world.erased("bob"))

    await world.implement(root)

    (built,) = await h.published(FeedbackImplemented)
    assert built.data.duplicate_author_ids == (world.member_id("cem"),)


async def test_withdrawing_a_root_frees_its_duplicates(h: Harness, world: World) -> None:
    root, twin = await world.submit("ann"), await world.submit("bob")
    await world.staff(twin, "merge", {"root_id": root})

    await world.do("POST", f"/feedback/{root}/withdraw", as_=world.who("ann"), expect=200)

    assert (await world.see(twin))["status"] == "submitted"
    assert [e.subject for e in await h.published(FeedbackUnmerged)] == [twin]


async def test_a_duplicates_author_reads_what_became_of_the_root(world: World) -> None:
    root, twin = await world.submit("ann"), await world.submit("bob")
    await world.staff(twin, "merge", {"root_id": root})
    await world.staff(root, "decline", {"reason": "Too dear"})

    seen = await world.see(twin, world.who("bob"))

    assert (seen["root_status"], seen["reason"]) == ("declined", "Too dear")


async def test_a_lost_race_between_staff_answers_412(h: Harness, world: World) -> None:
    item = await world.submit("ann")
    await world.do(
        "POST", f"/feedback/{item}/accept", {"label": "x"}, as_=world.host, if_match=1, expect=200
    )

    answer = await world.do("POST", f"/feedback/{item}/plan", as_=world.host, if_match=1)

    assert (answer.status_code, rule(answer)) == (412, "lost-race")


async def test_steps_told_again_by_the_same_cause_change_nothing(
    h: Harness, world: World, forget_keys: object
) -> None:
    item, other, twin = [await world.submit("ann") for _ in range(3)]
    steps: list[tuple[UUID, str, object]] = [
        (item, "accept", {"label": "Lights"}),
        (item, "plan", {}),
        (item, "implement", {"what_changed": "x", "see_it_at": "y"}),
        (other, "decline", {"reason": "no"}),
        (twin, "merge", {"root_id": str(item)}),
        (twin, "unmerge", {}),
    ]
    for number, (subject, deed, body) in enumerate(steps):
        path = f"/feedback/{subject}/{deed}"
        await world.do("POST", path, body, as_=world.manager, key=f"s{number}", expect=200)
    before = await h.published()
    await forget_keys()  # type: ignore[operator]
    world.now += DAY

    for number, (subject, deed, body) in enumerate(steps):
        path = f"/feedback/{subject}/{deed}"
        await world.do("POST", path, body, as_=world.manager, key=f"s{number}", expect=200)

    assert await h.published() == before
