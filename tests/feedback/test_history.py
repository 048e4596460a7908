"""A real history on a driven clock: everything in the past, and a second import changes nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import permutations
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from coterie_chassis.testing import Harness
from coterie_contracts.envelope import Event
from coterie_contracts.model import EventBody

from .world import DAY, HOUR, World


async def import_all(h: Harness, world: World) -> list[int]:
    """A small history told from its beginning, each deed with its time and key."""
    world.now, answers = datetime(2012, 5, 1, 9, tzinfo=UTC), []
    ids: dict[str, str] = {}

    async def tell(method: str, path: str, body: Any, who: str, key: str) -> dict[str, Any]:
        world.now += HOUR
        as_ = world.manager if who == "staff" else world.who(who)
        given = path.format(**ids)
        answer = await world.do(method, given, body, as_=as_, key=key)
        answers.append(answer.status_code)
        found: dict[str, Any] = answer.json()
        return found

    post = {"community_id": world.community_id, "text": "More racks"}
    ids["item"] = (await tell("POST", "/feedback", post, "ann", "1"))["feedback_id"]
    ids["other"] = (await tell("POST", "/feedback", post, "bob", "2"))["feedback_id"]
    said = await tell("POST", "/feedback/{item}/comments", {"text": "Yes"}, "bob", "3")
    ids["said"] = said["comment_id"]
    await tell("PUT", "/contributions/{item}/rating", {"value": 1}, "bob", "4")
    await tell("PUT", "/contributions/{item}/rating", {"value": 0}, "bob", "5")
    await tell("PUT", "/contributions/{said}/rating", {"value": 1}, "cem", "6")
    await tell("PUT", "/feedback/{item}/support", {"importance": 2}, "cem", "7")
    await tell("PUT", "/feedback/{item}/support", {"importance": 3}, "cem", "8")
    await tell("POST", "/feedback/{item}/accept", {"label": "Racks"}, "staff", "9")
    await tell("POST", "/feedback/{item}/plan", {}, "staff", "10")
    built = {"what_changed": "Racks", "see_it_at": "at the door"}
    await tell("POST", "/feedback/{item}/implement", built, "staff", "11")
    await tell("POST", "/feedback/{other}/decline", {"reason": "No"}, "staff", "12")
    return answers


async def test_a_second_import_publishes_nothing_even_without_the_stored_keys(
    h: Harness, forget_keys: Callable[[], Awaitable[None]]
) -> None:
    world = World(h, now=datetime(2012, 5, 1, tzinfo=UTC))
    await world.begin("ann", "bob", "cem")
    first = await import_all(h, world)
    await world.pass_time(400 * DAY)
    before = await h.published()
    assert {e.topic for e in before} >= {"lookagain.lapsed", "feedback.unconfirmed"}
    await forget_keys()

    second = await import_all(h, world)

    assert second == first
    assert not [status for status in first if status >= 300]
    assert await h.published() == before


async def test_no_rule_uses_the_wall_clock_on_a_driven_community(h: Harness) -> None:
    world = World(h, now=datetime(2012, 5, 1, tzinfo=UTC))
    await world.begin("ann", "bob", "cem")
    await import_all(h, world)
    await world.pass_time(30 * DAY)

    events = await h.published()
    async with h.database.begin() as uow:
        moments = [
            value
            for table in ("feedback", "feedback_change", "look_again", "rating", "support")
            for row in await uow.rows(text(f"SELECT * FROM {table}"))  # noqa: S608 - our own names
            for value in row
            if isinstance(value, datetime)
        ]

    assert {e.time.year for e in events} == {2012}
    assert {moment.year for moment in moments} == {2012}


def story(world: World) -> list[Event[EventBody]]:
    """What membership says of one supporter and the community, each on a topic of its own."""
    return [
        world.suspended("bob"),
        world.admitted("bob"),
        world.left("bob"),
        world.opened(name="Renamed"),
        world.erased("bob"),
    ]


async def state_after(h: Harness, order: tuple[int, ...], only: tuple[int, ...]) -> list[str]:
    world = World(h, community_id=uuid4())
    await world.begin("ann", "bob")
    item = await world.built("ann", "bob")
    events = story(world)
    for position in order:
        if position in only:
            await h.deliver(events[position])
    seen = await world.see(item)
    async with h.database.begin() as uow:
        rows = await uow.rows(
            text(
                "SELECT l.state, m.status, c.name FROM look_again AS l "
                "JOIN community_copy AS c USING (community_id) "
                "LEFT JOIN member_copy AS m USING (member_id) "
                "WHERE l.community_id = :id ORDER BY l.asked_as"
            ),
            {"id": world.community_id},
        )
    return [str(tuple(row)) for row in rows] + [seen["status"], seen["weight"]]


PAIRS = [(one, two) for one in range(5) for two in range(one + 1, 5)]


@pytest.mark.parametrize("pair", PAIRS)
async def test_topics_in_either_order_leave_the_same_state(
    h: Harness, pair: tuple[int, int]
) -> None:
    one, two = [await state_after(h, order, pair) for order in permutations(pair)]

    assert one == two
