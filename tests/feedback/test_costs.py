"""What commands and batches cost, counted in statements; a change here is a decision."""

from __future__ import annotations

import pytest

from coterie_chassis.testing import Harness
from coterie_contracts.community import ClockMode
from coterie_contracts.feedback import LookAgainLapsed

from .world import DAY, World

# Key and now; item with clock, caller and rating; rating; view; outcome and outbox.
RATE = 5
# Key and now, clock, known, caller, community, day, item, text, history, view, outcome and outbox.
SUBMIT = 11
# Inbox and now, parked keys, clocks; copies, rounds 5, saved 4; positions, outbox.
DEPARTURES = 14
# Now, taken, rounds 4, saved 4, outbox; then a look for more on both kinds of clock.
DEADLINES = 15


async def test_rating_costs_a_constant_number_of_statements(h: Harness, world: World) -> None:
    item = await world.submit("ann")
    path = f"/contributions/{item}/rating"
    for name in ("bob", "cem", "dee"):
        with h.statements() as counter:
            answer = await h.put(path, {"value": 1}, as_=world.who(name), key=name)
        assert answer.status_code == 200
        assert counter.count == RATE, counter.statements


async def test_submitting_costs_a_constant_number_of_statements(h: Harness, world: World) -> None:
    body = {"community_id": world.community_id, "text": "x"}
    for number in range(3):
        with h.statements() as counter:
            answer = await h.post("/feedback", body, as_=world.who("ann"), key=f"k{number}")
        assert answer.status_code == 201
        assert counter.count == SUBMIT, counter.statements


@pytest.mark.parametrize("people", [2, 12])
async def test_a_batch_of_departures_costs_a_constant_number_of_statements(
    h: Harness, people: int
) -> None:
    world = World(h)
    names = [f"m{number}" for number in range(people)]
    await world.begin(*names)
    for name in names:
        await world.built(name, *names[:3])
    events = [world.left(name) for name in names]

    with h.statements() as counter:
        await h.deliver(*events)

    assert len(await h.published(LookAgainLapsed)) >= people
    assert counter.count == DEPARTURES, counter.statements


@pytest.mark.parametrize("people", [2, 12])
async def test_deadlines_on_the_wall_clock_cost_a_constant_number_of_statements(
    h: Harness, people: int
) -> None:
    world = World(h, clock=ClockMode.WALL)
    names = [f"m{number}" for number in range(people)]
    await world.begin(*names)
    for name in names:
        await world.built(name)
    async with h.database.begin() as uow:
        at = uow.now + 20 * DAY

    with h.statements() as counter:
        assert await h.sweep(at) == people

    assert len(await h.published(LookAgainLapsed)) == people
    assert counter.count == DEADLINES, counter.statements
