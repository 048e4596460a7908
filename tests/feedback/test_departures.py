"""People who go are not waited for, in whatever order the news comes; the erased leave no words."""

from __future__ import annotations

import asyncio
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text

from coterie_chassis.testing import Harness, until
from coterie_contracts.feedback import FeedbackUnconfirmed, LookAgainLapsed
from coterie_feedback.store import tables
from coterie_feedback.store.people import presence_in

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


@pytest.mark.parametrize("departure_first", [True, False])
async def test_a_deadline_and_a_departure_after_it_leave_the_same_in_either_order(
    h: Harness, world: World, departure_first: bool
) -> None:
    await world.built("ann")
    due = world.now + 14 * DAY
    world.now += 20 * DAY
    left = world.left("ann")
    if departure_first:
        await h.deliver(left)
        await h.sweep()
    else:
        await world.pass_time(0 * DAY)
        await h.deliver(left)

    (lapsed,) = await h.published(LookAgainLapsed)
    (settled,) = await h.published(FeedbackUnconfirmed)
    assert (lapsed.time, lapsed.data.not_askable) == (due, False)
    assert (settled.time, settled.data.not_askable) == (due, False)


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


@pytest.mark.parametrize("order", list(permutations(range(2))))
@pytest.mark.parametrize("size", [1, 2])
async def test_who_left_after_being_asked_is_not_waited_for_even_if_they_are_back_by_then(
    h: Harness, world: World, order: tuple[int, ...], size: int
) -> None:
    item = await world.built("ann")
    events = (world.left("ann"), world.admitted("ann"))

    for start in range(0, 2, size):
        await h.deliver(*(events[position] for position in order[start : start + size]))

    assert (await world.see(item))["status"] == "unconfirmed"
    (lapsed,) = await h.published(LookAgainLapsed)
    assert lapsed.data.not_askable
    assert lapsed.causation_id == events[0].id


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


async def held_of(h: Harness, member_id: UUID) -> list[str]:
    """The tables that hold something which a member wrote, wanted or rated."""
    found = []
    async with h.database.begin() as uow:
        for table, column in (
            ("feedback_text", "author_id"),
            ("comment", "author_id"),
            ("support", "member_id"),
            ("rating", "rater_id"),
        ):
            query = text(f"SELECT 1 FROM {table} WHERE {column} = :id")  # noqa: S608 - names above
            found += [table for _ in await uow.rows(query, {"id": member_id})]
    return found


async def blocked(h: Harness) -> bool:
    async with h.database.begin() as uow:
        return bool(await uow.rows(_BLOCKED))


@pytest.mark.parametrize("deed", ["submit", "comment", "support", "rate"])
async def test_nothing_is_kept_of_who_is_erased_while_they_act(
    h: Harness, world: World, deed: str
) -> None:
    item, ann = await world.submit("bob"), world.who("ann")
    deeds: dict[str, tuple[str, str, dict[str, Any]]] = {
        "submit": ("POST", "/feedback", {"community_id": world.community_id, "text": "late"}),
        "comment": ("POST", f"/feedback/{item}/comments", {"text": "late"}),
        "support": ("PUT", f"/feedback/{item}/support", {"importance": 2}),
        "rate": ("PUT", f"/contributions/{item}/rating", {"value": 1}),
    }
    method, path, body = deeds[deed]

    async with h.database.begin() as erasure:
        await erasure.execute(
            text("DELETE FROM member_copy WHERE member_id = :id"), {"id": world.member_id("ann")}
        )
        acting = asyncio.create_task(world.do(method, path, body, as_=ann))

        async def waits_or_is_done() -> bool:
            return acting.done() or await blocked(h)

        await until(waits_or_is_done)
        assert not acting.done(), "who acts waits for the erasure"
    answer = await acting

    assert answer.status_code == 404, answer.text
    assert await held_of(h, world.member_id("ann")) == []
    assert [e.topic for e in await h.published()] == ["feedback.submitted"], "bob's own"


async def test_an_erasure_waits_for_who_acts_and_finds_what_they_did(
    h: Harness, world: World
) -> None:
    ann = world.member_id("ann")
    words = {"id": UUID(int=7), "community": world.community_id, "author": ann}

    async with h.database.begin() as acting:
        presence = await presence_in(
            acting, world.community_id, world.who("ann").person_id, acting=True
        )
        assert presence is not None
        assert presence.member_id == ann
        await acting.execute(_SAY, words)
        erasing = asyncio.create_task(h.deliver(world.erased("ann")))
        await until(lambda: blocked(h))
    await erasing

    assert await held_of(h, ann) == []


_BLOCKED = text(
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
_SAY = text(
    "INSERT INTO feedback_text (feedback_id, community_id, author_id, text) "
    "VALUES (:id, :community, :author, 'late')"
)
