"""Support, ratings and appreciation over the real routes."""

from __future__ import annotations

from uuid import UUID, uuid5

import pytest
from sqlalchemy import select

from coterie_chassis.auth import Role
from coterie_chassis.testing import Harness, person
from coterie_contracts.feedback import (
    ContributionAppreciated,
    ContributionKind,
    ContributionRated,
    FeedbackSupported,
    FeedbackUnsupported,
)
from coterie_feedback.store import tables

from .world import DAY, HOUR, World, rule


async def test_nobody_supports_or_rates_their_own_contribution(h: Harness, world: World) -> None:
    item = await world.submit("ann")
    who = world.who("ann")

    support = await world.do("PUT", f"/feedback/{item}/support", {}, as_=who)
    rating = await world.rate(item, "ann", 1)

    assert {rule(support), rule(rating)} == {"own-contribution"}
    assert await h.published(ContributionRated, FeedbackSupported) == []


@pytest.mark.parametrize(
    ("value", "number"),
    [("outstanding", 1.0), ("helpful", 0.7), ("not_for_me", 0.2), (0.35, 0.35), (0, 0.0), (1, 1.0)],
)
async def test_a_rating_is_a_number_or_a_button(
    h: Harness, world: World, value: object, number: float
) -> None:
    item = await world.submit("ann")

    answer = await world.rate(item, "bob", value)

    assert answer.status_code == 200, answer.text
    assert answer.json()["value"] == number
    (event,) = await h.published(ContributionRated)
    assert event.data.value == number
    assert event.data.rating_id == uuid5(item, f"rating:{world.member_id('bob')}") == event.subject
    assert event.data.contribution_kind is ContributionKind.FEEDBACK
    assert event.data.contributed_at == event.data.rated_at == world.now


@pytest.mark.parametrize("value", [-0.1, 1.1, "great", "0.5", True, None])
async def test_other_ratings_are_refused(world: World, value: object) -> None:
    item = await world.submit("ann")

    assert (await world.rate(item, "bob", value)).status_code == 422


async def test_the_latest_rating_stands_and_each_change_is_published(
    h: Harness, world: World
) -> None:
    item = await world.submit("ann")
    for value in (1, 0.2, 0.7):
        world.now += HOUR
        assert (await world.rate(item, "bob", value)).status_code == 200

    events = await h.published(ContributionRated)

    assert [(e.sequence, e.data.value) for e in events] == [(1, 1.0), (2, 0.2), (3, 0.7)]
    assert (await world.see(item, world.who("bob")))["my_rating"] == 0.7


async def test_an_older_rating_that_comes_later_changes_nothing(h: Harness, world: World) -> None:
    item = await world.submit("ann")
    world.now += 2 * HOUR
    await world.rate(item, "bob", 1)
    world.now -= HOUR

    answer = await world.rate(item, "bob", 0)

    assert answer.status_code == 200
    assert answer.json()["value"] == 1.0
    assert len(await h.published(ContributionRated)) == 1


async def test_the_same_rating_at_the_same_time_publishes_nothing(h: Harness, world: World) -> None:
    item = await world.submit("ann")
    first = await world.rate(item, "bob", 1)

    second = await world.rate(item, "bob", 1)

    assert (second.status_code, second.json()) == (200, first.json())
    assert len(await h.published(ContributionRated)) == 1


async def test_raters_are_hidden_from_authors(h: Harness, world: World) -> None:
    item = await world.submit("ann")
    rated = (await world.rate(item, "bob", 0.2)).json()
    rater = str(world.member_id("bob"))

    seen = await world.see(item, world.who("ann"))
    board = await h.get(f"/communities/{world.community_id}/board", as_=world.who("ann"))

    assert rater not in str(seen) + board.text
    assert rated["rating_id"] not in str(seen) + board.text
    assert seen["my_rating"] is None
    assert "0.2" not in str(seen)


async def test_comments_are_rated_and_the_teams_are_not(h: Harness, world: World) -> None:
    item = await world.submit("ann")
    path = f"/feedback/{item}/comments"
    ours = await world.do("POST", path, {"text": "x"}, as_=world.manager, expect=201)
    theirs = await world.do("POST", path, {"text": "x"}, as_=world.who("bob"), expect=201)

    refused = await world.rate(UUID(ours.json()["comment_id"]), "cem", 1)
    rated = await world.rate(UUID(theirs.json()["comment_id"]), "cem", 1)

    assert rule(refused) == "written-by-team"
    assert rated.status_code == 200
    (event,) = await h.published(ContributionRated)
    assert event.data.contribution_kind is ContributionKind.COMMENT
    assert event.data.author_id == world.member_id("bob")


async def test_a_members_support_and_rating_of_one_item_are_two_aggregates(
    h: Harness, world: World
) -> None:
    item = await world.submit("ann")
    await world.support(item, "bob")
    await world.rate(item, "bob", 1)

    support, rating = await h.published(FeedbackSupported, ContributionRated)

    assert support.subject != rating.subject
    assert support.sequence == rating.sequence == 1


async def test_staff_do_not_rate_or_support(world: World) -> None:
    item = await world.submit("ann")
    rating = await world.do("PUT", f"/contributions/{item}/rating", {"value": 1}, as_=world.manager)
    support = await world.do("PUT", f"/feedback/{item}/support", {}, as_=world.manager)

    assert {rule(rating), rule(support)} == {"members-only"}


async def test_support_has_an_importance_and_can_be_taken_back(h: Harness, world: World) -> None:
    item = await world.submit("ann")
    path, bob = f"/feedback/{item}/support", world.who("bob")
    first = await world.do("PUT", path, as_=bob, expect=200)
    again = await world.do("PUT", path, {}, as_=bob, expect=200)
    more = await world.do("PUT", path, {"importance": 3}, as_=bob, expect=200)
    gone = await world.do("DELETE", path, as_=bob, expect=200)
    await world.do("DELETE", path, as_=bob, expect=200)

    events = await h.published(FeedbackSupported, FeedbackUnsupported)

    assert [a.json()["my_importance"] for a in (first, again, more, gone)] == [1, 1, 3, None]
    assert [a.json()["weight"] for a in (first, again, more, gone)] == [1, 1, 3, 0]
    assert [(type(e.data), e.sequence) for e in events] == [
        (FeedbackSupported, 1),
        (FeedbackSupported, 2),
        (FeedbackUnsupported, 3),
    ]
    assert {e.subject for e in events} == {uuid5(item, str(world.member_id("bob")))}


@pytest.mark.parametrize("importance", [0, 4, 1.5, "2"])
async def test_other_importances_are_refused(world: World, importance: object) -> None:
    item = await world.submit("ann")
    body = {"importance": importance}

    answer = await world.do("PUT", f"/feedback/{item}/support", body, as_=world.who("bob"))

    assert answer.status_code == 422


async def test_a_member_is_never_asked_for_support_and_rating_in_one_view(
    world: World,
) -> None:
    item = await world.submit("ann")
    bob = world.who("bob")
    assert (await world.see(item, world.who("ann")))["asks"] is None
    assert (await world.see(item, bob))["asks"] == "support"

    await world.support(item, "bob")
    assert (await world.see(item, bob))["asks"] == "rating"

    await world.rate(item, "bob", 1)
    assert (await world.see(item, bob))["asks"] is None


async def test_supports_of_duplicates_are_united_by_view_and_never_copied(
    h: Harness, world: World
) -> None:
    root, twin = await world.submit("ann"), await world.submit("bob")
    await world.support(root, "cem", 1)
    await world.support(twin, "cem", 3)
    await world.support(twin, "dee", 2)
    await world.support(twin, "ann", 3)

    async def stored() -> list[tuple[object, ...]]:
        async with h.database.begin() as uow:
            statement = select(tables.support).order_by(tables.support.c.support_id)
            return [tuple(row) for row in await uow.rows(statement)]

    before = await stored()
    weights = (await world.see(root))["weight"], (await world.see(twin))["weight"]
    await world.staff(twin, "merge", {"root_id": root})
    united = await world.see(root)

    assert weights == (1, 8)
    assert (united["weight"], united["supporters"]) == (5, 2), "the author's own does not count"
    assert united["duplicates"] == [str(twin)]

    await world.staff(twin, "unmerge")
    assert await stored() == before
    assert ((await world.see(root))["weight"], (await world.see(twin))["weight"]) == weights


async def test_appreciated_is_marked_by_staff_once_and_can_be_taken_back(
    h: Harness, world: World
) -> None:
    item = await world.submit("ann")
    path = f"/contributions/{item}/appreciate"
    by_member = await world.do("POST", path, {}, as_=world.who("bob"))
    for body in (None, {}, {"appreciated": False}, {"appreciated": False}):
        await world.do("POST", path, body, as_=world.host, expect=200)

    events = await h.published(ContributionAppreciated)

    assert rule(by_member) == "staff-only"
    assert [(e.sequence, e.data.appreciated) for e in events] == [(1, True), (2, False)]
    assert {e.data.author_id for e in events} == {world.member_id("ann")}
    assert item not in {e.subject for e in events}, "a popular item is not one hot key"


async def test_a_rating_told_again_with_its_time_changes_nothing_though_the_rater_left(
    h: Harness, world: World, forget_keys: object
) -> None:
    item = await world.submit("ann")
    then = world.now
    await world.rate(item, "bob", 1)
    world.now += HOUR
    await world.rate(item, "bob", 0)
    await h.deliver(world.left("bob"))
    world.now += 30 * DAY
    await world.submit("cem")
    before = await h.published()
    await forget_keys()  # type: ignore[operator]

    told = []
    for at, value in ((then, 1), (then + HOUR, 0)):
        world.now = at
        told.append(await world.rate(item, "bob", value))

    assert [answer.status_code for answer in told] == [200, 200]
    assert await h.published() == before


async def test_who_became_staff_speaks_as_the_team_and_no_more_as_a_member(
    h: Harness, world: World
) -> None:
    item = await world.submit("ann")
    bob = person("bob", Role.MEMBER, Role.HOST, Role.IMPORTER, brand=world.brand_id)

    rating = await world.do("PUT", f"/contributions/{item}/rating", {"value": 1}, as_=bob)
    support = await world.do("PUT", f"/feedback/{item}/support", {}, as_=bob)
    body = {"community_id": world.community_id, "text": "x"}
    submitted = await world.do("POST", "/feedback", body, as_=bob)
    said = await world.do("POST", f"/feedback/{item}/comments", {"text": "x"}, as_=bob)

    assert {rule(answer) for answer in (rating, support, submitted)} == {"members-only"}
    assert said.json()["author"] == "team"
    assert (await world.see(item, bob))["asks"] is None


async def test_an_appreciation_told_again_changes_nothing(
    h: Harness, world: World, forget_keys: object
) -> None:
    item = await world.submit("ann")
    path, then = f"/contributions/{item}/appreciate", world.now
    told = [(then, True), (then + HOUR, False)]
    for world.now, value in told:
        await world.do("POST", path, {"appreciated": value}, as_=world.host, expect=200)
    world.now += DAY
    await world.submit("ann")
    before = await h.published()
    await forget_keys()  # type: ignore[operator]

    for world.now, value in told:
        await world.do("POST", path, {"appreciated": value}, as_=world.host, expect=200)

    assert await h.published() == before
