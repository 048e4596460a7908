"""Across topics nothing is ordered: every pair of topics in both orders ends in the same state.

An order and its reverse hold every pair both ways; rotations add what comes first and last.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select

from coterie_chassis import circle
from coterie_chassis.service import Service
from coterie_chassis.tables import community_clock
from coterie_chassis.testing import Harness, harness
from coterie_contracts.envelope import Event
from coterie_contracts.topics import consumed_by
from coterie_feedback.service import service
from coterie_feedback.store import tables

from .world import DAY, HOUR, World

HERE, ELSEWHERE = UUID(int=1), UUID(int=2)
NAMES = ("ann", "bob", "cem", "dee", "eli", "fay", "gus", "hal")
OF_EVENTS = {
    "feedback_change": {"at", "cause_id"},
    "implementation": {"settled_at"},
    "feedback": {"changed_at"},
    "rating": {"event_id"},
}
"""Which event it was that ended a round; of two that say the same it is the first to come."""


async def circle_with_open_rounds(h: Harness) -> World:
    """Two suggestions of which everybody is asked, and words of the one who will be erased."""
    world = World(h, community_id=HERE, brand_id=HERE)
    world.objective = world.objective.model_copy(update={"objective_id": HERE})
    await world.begin(*NAMES)
    for author, supporters in (("ann", ("bob", "cem", "dee")), ("eli", ("fay", "gus", "hal"))):
        await world.built(author, *supporters)
    item = await world.submit("gus", "private words")
    await world.rate(item, "ann", 1)
    return world


def by_topic(world: World) -> dict[str, list[Event[Any]]]:
    """What membership says next, by topic, each topic in its own order."""
    other = World(world.h, community_id=ELSEWHERE, brand_id=HERE, objective=world.objective)
    log: list[Event[Any]] = [other.opened(), other.admitted("zoe"), other.changed(name="Renamed")]
    log += [other.left("zoe"), other.admitted("zoe"), other.suspended("zoe")]
    for step in (
        lambda: world.suspended("cem"),
        lambda: world.reinstated("cem"),
        lambda: world.left("bob"),
        lambda: world.admitted("bob"),
        lambda: world.suspended("dee"),
        lambda: world.released("eli"),
        lambda: world.removed("fay"),
        lambda: world.erased("gus"),
        lambda: world.left("hal"),
        lambda: world.admitted("hal"),
        lambda: world.erased("hal"),
        lambda: world.changed(name="Day riders"),
        lambda: world.advanced(HOUR),
    ):
        world.now += HOUR
        log.append(step())
    topics: dict[str, list[Event[Any]]] = {}
    for event in log:
        topics.setdefault(event.topic, []).append(event)
    return topics


async def state(h: Harness) -> dict[str, list[str]]:
    """All that the service holds, the marks of single events left out."""
    found = {}
    async with h.database.begin() as uow:
        for table in (
            *tables.metadata.sorted_tables,
            *circle.metadata.sorted_tables,
            community_clock,
        ):
            left_out = OF_EVENTS.get(table.name, set())
            columns = [column for column in table.columns if column.name not in left_out]
            rows = await uow.rows(select(*columns))
            found[table.name] = sorted(str(tuple(row)) for row in rows)
    return found


async def test_every_pair_of_topics_in_both_orders_ends_alike(
    fresh_database: Callable[[Service], Awaitable[str]],
) -> None:
    async def played(order: Sequence[str]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        async with harness(service, await fresh_database(service)) as h:
            world = await circle_with_open_rounds(h)
            topics = by_topic(world)
            assert {topic.name for topic in consumed_by("feedback")} == set(topics)
            for name in order or topics:
                await h.deliver(*topics[name])
            before = await state(h)
            await world.pass_time(20 * DAY)
            assert await h.dead_letters() == []
            return before, await state(h)

    expected = await played([])
    asked = {name: sum(name in row for row in expected[0]["look_again"]) for name in STATES}
    assert asked == STATES

    names = [topic.name for topic in consumed_by("feedback")]
    for n in range(0, len(names), 2):
        rotated = names[n:] + names[:n]
        for order in (rotated, rotated[::-1]):
            assert await played(order) == expected, order


STATES = {"requested": 3, "not_askable": 5}
