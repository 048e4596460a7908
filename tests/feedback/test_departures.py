"""People who go are not waited for, in whatever order the news comes; the erased leave no words."""

from __future__ import annotations

from itertools import permutations
from uuid import UUID

import pytest
from sqlalchemy import select, text

from coterie_chassis.testing import Harness
from coterie_contracts.feedback import FeedbackUnconfirmed, LookAgainLapsed
from coterie_feedback.store import tables

from .world import DAY, World


@pytest.mark.parametrize("deed", ["left", "removed", "erased"])
async def test_a_departure_ends_open_look_agains_and_settles_the_round(
    h: Harness, world: World, deed: str
) -> None:
    item = await world.built("ann", "bob")
    await h.deliver(getattr(world, deed)("bob"))
    assert (await world.see(item))["status"] == "looking_again"

    event = getattr(world, deed)("ann")
    await h.deliver(event)
    await h.deliver(event)

    (settled,) = await h.published(FeedbackUnconfirmed)
    assert settled.data.not_askable
    assert settled.causation_id == event.id
    await world.pass_time(20 * DAY)
    assert len(await h.published(LookAgainLapsed)) == 2, "a stale deadline does nothing"
    assert len(await h.published(FeedbackUnconfirmed)) == 1


async def test_people_who_leave_in_one_batch_settle_a_round_once(h: Harness, world: World) -> None:
    await world.built("ann", "bob", "cem", "dee")
    events = [world.left(name) for name in ("dee", "ann", "cem", "bob")]

    await h.deliver(*events)

    (settled,) = await h.published(FeedbackUnconfirmed)
    assert settled.causation_id == events[-1].id


@pytest.mark.parametrize("size", [1, 2, 4])
async def test_one_log_cut_into_batches_gives_the_same_causes(
    h: Harness, world: World, size: int
) -> None:
    await world.built("ann", "bob", "cem", "dee")
    names = ["dee", "ann", "cem", "bob"]
    events = [world.left(name) for name in names]

    for start in range(0, 4, size):
        await h.deliver(*events[start : start + size])

    lapsed = [(e.data.member_id, e.causation_id) for e in await h.published(LookAgainLapsed)]
    assert lapsed == [(world.member_id(n), e.id) for n, e in zip(names, events, strict=True)]
    (settled,) = await h.published(FeedbackUnconfirmed)
    assert settled.causation_id == events[-1].id


@pytest.mark.parametrize("order", list(permutations(range(2))))
async def test_a_departure_overtaken_by_the_return_changes_nothing(
    h: Harness, world: World, order: tuple[int, ...]
) -> None:
    left, back = world.left("ann"), world.admitted("ann")
    for position in order:
        await h.deliver((left, back)[position])
    item = await world.built("ann")
    late_copy = world.left("bob")

    await h.deliver(late_copy)

    assert (await world.see(item))["status"] == "looking_again"
    assert await h.published(LookAgainLapsed) == []


async def test_news_of_a_departure_before_the_return_is_ignored_when_it_comes_late(
    h: Harness, world: World
) -> None:
    left, back = world.left("ann"), world.admitted("ann")
    await h.deliver(back)
    item = await world.built("ann")

    await h.deliver(left)

    assert (await world.see(item))["status"] == "looking_again"


async def test_the_contributions_of_a_member_who_left_stay(h: Harness, world: World) -> None:
    item = await world.submit("ann", "keep this")
    await world.support(item, "bob")
    await h.deliver(world.left("ann"), world.left("bob"))

    seen = await world.see(item)

    assert (seen["text"], seen["weight"]) == ("keep this", 1)
    mine = await h.get(f"/communities/{world.community_id}/mine", as_=world.who("ann"))
    assert [one["feedback_id"] for one in mine.json()["items"]] == [str(item)]


async def test_what_an_erased_member_wrote_and_wanted_is_gone_from_every_table(
    h: Harness, world: World
) -> None:
    item, other = await world.submit("ann", "private words"), await world.submit("bob")
    path = f"/feedback/{other}/comments"
    said = await world.do("POST", path, {"text": "private words"}, as_=world.who("ann"), expect=201)
    await world.support(other, "ann", 3)
    await world.rate(other, "ann", 1)

    await h.deliver(world.erased("ann"))
    await h.deliver(world.admitted("ann"))

    async with h.database.begin() as uow:
        dump = [
            str(row)
            for name in tables.metadata.tables
            for row in await uow.rows(text(f'SELECT * FROM "{name}"'))  # noqa: S608 - our own names
        ]
        voices = [
            len(await uow.rows(select(table).where(column == world.member_id("ann"))))
            for table, column in (
                (tables.support, tables.support.c.member_id),
                (tables.rating, tables.rating.c.rater_id),
                (tables.submission_day, tables.submission_day.c.member_id),
            )
        ]
    assert dump
    assert not [row for row in dump if "private words" in row]
    assert voices == [0, 0, 0]
    seen = await world.see(other)
    assert (await world.see(item))["text"] is None
    assert seen["weight"] == 0
    assert [one["text"] for one in seen["talk"]] == [None]
    refused = await world.rate(UUID(said.json()["comment_id"]), "bob", 1)
    assert refused.status_code == 409
