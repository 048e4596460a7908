"""What members do: submit, comment, withdraw; and who may not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from coterie_chassis.auth import Role
from coterie_chassis.testing import Harness, person
from coterie_contracts.community import CommunityStatus, Objective
from coterie_contracts.feedback import (
    CommentPosted,
    FeedbackFacts,
    FeedbackSubmitted,
    FeedbackWithdrawn,
)

from .world import DAY, HOUR, World, rule

SECRET = "the words of a member"


async def test_the_only_objective_is_taken_by_itself(h: Harness, world: World) -> None:
    item = await world.submit("ann")

    (event,) = await h.published(FeedbackSubmitted)
    assert event.data.objective_id == world.objective.objective_id
    assert event.data.author_id == world.member_id("ann")
    assert (event.subject, event.sequence, event.time) == (item, 1, world.now)


async def test_outside_the_objectives_is_allowed_and_shown(h: Harness, world: World) -> None:
    body = {"community_id": world.community_id, "text": "Tea", "outside": True}
    answer = await world.do("POST", "/feedback", body, as_=world.who("ann"), expect=201)

    assert answer.json()["objective_id"] is None
    (event,) = await h.published(FeedbackSubmitted)
    assert event.data.objective_id is None


async def test_with_two_objectives_the_member_says_which(h: Harness) -> None:
    world = World(h)
    other, old = (
        Objective(objective_id=uuid4(), title="Comfort"),
        Objective(objective_id=uuid4(), title="Old", retired=True),
    )
    await h.deliver(world.opened(objectives=(world.objective, other, old)), world.admitted("ann"))
    body = {"community_id": world.community_id, "text": "x"}

    silent = await world.do("POST", "/feedback", body, as_=world.who("ann"))
    retired = await world.do(
        "POST", "/feedback", {**body, "objective_id": old.objective_id}, as_=world.who("ann")
    )
    named = await world.do(
        "POST", "/feedback", {**body, "objective_id": other.objective_id}, as_=world.who("ann")
    )

    assert rule(silent) == "objective-needed"
    assert rule(retired) == "unknown-objective"
    assert named.json()["objective_id"] == str(other.objective_id)


async def test_no_event_carries_a_members_words(h: Harness, world: World) -> None:
    item = await world.submit("ann", SECRET)
    path = f"/feedback/{item}/comments"
    await world.do("POST", path, {"text": SECRET}, as_=world.who("bob"), expect=201)

    events = await h.published()

    assert len(events) == 2
    assert not [event for event in events if SECRET in event.data.model_dump_json()]
    assert (await world.see(item))["text"] == SECRET


async def test_ten_suggestions_a_day_on_the_communitys_clock(h: Harness, world: World) -> None:
    for _ in range(10):
        await world.submit("ann")
    body = {"community_id": world.community_id, "text": "one more"}

    eleventh = await world.do("POST", "/feedback", body, as_=world.who("ann"))
    assert rule(eleventh) == "daily-limit"
    await world.submit("bob")

    world.now = datetime(2024, 3, 4, 22, 59, tzinfo=UTC)
    assert rule(await world.do("POST", "/feedback", body, as_=world.who("ann"))) == "daily-limit"
    world.now += timedelta(minutes=2)
    await world.submit("ann")


@pytest.mark.parametrize(
    "text", ["", "   ", "x" * 4_001, "a\x00b"], ids=["empty", "blank", "long", "null"]
)
async def test_a_text_is_neither_empty_nor_too_long(world: World, text: str) -> None:
    body = {"community_id": world.community_id, "text": text}

    answer = await world.do("POST", "/feedback", body, as_=world.who("ann"))

    assert answer.status_code == 422
    assert rule(answer) == "invalid-request"


async def test_four_thousand_characters_of_any_script_are_allowed(world: World) -> None:
    item = await world.submit("ann", "自" * 3_999 + "🚲")

    assert len((await world.see(item))["text"]) == 4_000


@pytest.mark.parametrize("deed", ["suspended", "left", "removed"])
async def test_only_members_in_good_standing_act(h: Harness, world: World, deed: str) -> None:
    item = await world.submit("bob")
    await h.deliver(getattr(world, deed)("ann"))
    who = world.who("ann")
    body = {"community_id": world.community_id, "text": "x"}

    answers = [
        await world.do("POST", "/feedback", body, as_=who),
        await world.do("POST", f"/feedback/{item}/comments", {"text": "x"}, as_=who),
        await world.do("PUT", f"/feedback/{item}/support", {}, as_=who),
        await world.rate(item, "ann", 1),
        await world.do("POST", f"/feedback/{item}/withdraw", as_=who),
    ]

    assert {answer.status_code for answer in answers} == {403}
    assert {rule(answer) for answer in answers} == {"not-in-good-standing"}


async def test_an_erased_member_is_a_stranger(h: Harness, world: World) -> None:
    await h.deliver(world.erased("ann"))
    body = {"community_id": world.community_id, "text": "x"}

    answer = await world.do("POST", "/feedback", body, as_=world.who("ann"))

    assert answer.status_code == 404


async def test_another_communitys_ids_do_not_exist(h: Harness, world: World) -> None:
    item = await world.submit("ann")
    other = World(h, community_id=uuid4())
    await other.begin("eve")
    stranger, boss = other.who("eve"), other.manager
    asks = [
        ("GET", f"/feedback/{item}", None),
        ("POST", f"/feedback/{item}/comments", {"text": "x"}),
        ("PUT", f"/feedback/{item}/support", {}),
        ("PUT", f"/contributions/{item}/rating", {"value": 1}),
        ("POST", f"/feedback/{item}/accept", {"label": "x"}),
        ("POST", f"/contributions/{item}/appreciate", {}),
        ("GET", f"/communities/{world.community_id}/board", None),
        ("GET", f"/communities/{world.community_id}/todo", None),
        ("GET", f"/communities/{world.community_id}/summary", None),
        ("GET", f"/communities/{world.community_id}/mine", None),
        ("GET", f"/communities/{world.community_id}/changes", None),
        ("GET", f"/communities/{world.community_id}/look-agains", None),
    ]

    for method, path, body in asks:
        for who in (stranger, boss):
            answer = await h.request(method, path, body, as_=who)
            assert answer.status_code == 404, (method, path, who.subject, answer.text)


async def test_a_host_of_another_community_of_the_brand_is_a_stranger(
    h: Harness, world: World
) -> None:
    item = await world.submit("ann")
    elsewhere = person("hana", Role.HOST, brand=world.brand_id, communities=[uuid4()])

    answer = await h.post(f"/feedback/{item}/accept", {"label": "x"}, as_=elsewhere)

    assert answer.status_code == 404


async def test_members_do_not_do_what_staff_do(h: Harness, world: World) -> None:
    item = await world.submit("ann")
    for deed, body in [
        ("accept", {"label": "x"}),
        ("plan", {}),
        ("decline", {"reason": "x"}),
        ("implement", {"what_changed": "x", "see_it_at": "x"}),
        ("merge", {"root_id": uuid4()}),
        ("unmerge", {}),
        ("reopen", {}),
    ]:
        answer = await h.post(f"/feedback/{item}/{deed}", body, as_=world.who("bob"))
        assert (answer.status_code, rule(answer)) == (403, "staff-only"), deed


async def test_a_token_without_the_role_member_does_not_act(h: Harness, world: World) -> None:
    item = await world.submit("ann")

    answer = await h.put(f"/feedback/{item}/support", {}, as_=person("bob"))

    assert (answer.status_code, rule(answer)) == (403, "missing-role")


async def test_comments_are_written_by_members_and_by_staff_as_team(
    h: Harness, world: World
) -> None:
    item = await world.submit("ann")
    path = f"/feedback/{item}/comments"
    await world.do("POST", path, {"text": "me too"}, as_=world.who("bob"), expect=201)
    world.now += HOUR
    await world.do("POST", path, {"text": "thanks"}, as_=world.host, expect=201)

    posted = await h.published(CommentPosted)
    talk = (await world.see(item, world.who("ann")))["talk"]

    assert [event.data.author_id for event in posted] == [world.member_id("bob"), None]
    assert {event.sequence for event in posted} == {1}
    assert [said["author"] for said in talk] == [str(world.member_id("bob")), "team"]


async def test_the_author_withdraws_before_acceptance_and_nobody_else(
    h: Harness, world: World
) -> None:
    item, taken = await world.submit("ann"), await world.submit("ann")
    await world.staff(taken, "accept", {"label": "Lights"})
    path = "/feedback/{}/withdraw"

    by_other = await world.do("POST", path.format(item), as_=world.who("bob"))
    too_late = await world.do("POST", path.format(taken), as_=world.who("ann"))
    await world.do("POST", path.format(item), as_=world.who("ann"), expect=200)

    assert (by_other.status_code, rule(by_other)) == (403, "not-the-author")
    assert rule(too_late) == "wrong-state"
    assert [event.subject for event in await h.published(FeedbackWithdrawn)] == [item]
    assert (await world.see(item, world.who("bob")))["text"] is None


async def test_a_duplicate_is_taken_back_until_its_root_is_accepted(
    h: Harness, world: World
) -> None:
    root, early, late = [await world.submit(name) for name in ("ann", "bob", "cem")]
    for twin in (early, late):
        await world.staff(twin, "merge", {"root_id": root})
    path = "/feedback/{}/withdraw"

    taken = await world.do("POST", path.format(early), as_=world.who("bob"), expect=200)
    await world.staff(root, "accept", {"label": "Lights"})
    refused = await world.do("POST", path.format(late), as_=world.who("cem"))

    assert (taken.json()["status"], taken.json()["root_id"]) == ("withdrawn", None)
    assert rule(refused) == "wrong-state"
    assert "accepted already" in refused.json()["detail"]
    own = [e for e in await h.published(FeedbackFacts) if e.subject == early]
    assert [(e.topic, e.sequence) for e in own] == [
        ("feedback.submitted", 1),
        ("feedback.merged", 2),
        ("feedback.unmerged", 3),
        ("feedback.withdrawn", 4),
    ]
    assert (await world.see(root))["duplicates"] == [str(late)]


async def test_a_closed_community_takes_no_new_suggestions(h: Harness) -> None:
    world = World(h)
    await h.deliver(world.opened(status=CommunityStatus.CLOSED), world.admitted("ann"))
    body = {"community_id": world.community_id, "text": "x"}

    answer = await world.do("POST", "/feedback", body, as_=world.who("ann"))

    assert rule(answer) == "community-closed"


async def test_a_member_known_before_the_community_is_told_to_try_again(h: Harness) -> None:
    world = World(h)
    await h.deliver(world.admitted("ann"))
    body = {"community_id": world.community_id, "text": "x"}

    answer = await world.do("POST", "/feedback", body, as_=world.who("ann"))

    assert (answer.status_code, rule(answer)) == (503, "not-caught-up")


async def test_a_second_submission_under_a_key_whose_record_is_gone_changes_nothing(
    h: Harness, world: World, forget_keys: object
) -> None:
    first = await world.submit("ann", key="k")
    before = await h.published()
    world.now += 3 * DAY + HOUR
    await h.deliver(world.left("ann"))
    await forget_keys()  # type: ignore[operator]

    again = await world.submit("ann", key="k")

    assert again == first
    assert await h.published() == before
