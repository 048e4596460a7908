"""One log cut into batches of any size gives the same events, summaries of merit apart."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid5

from coterie_chassis.service import Service
from coterie_chassis.testing import harness
from coterie_contracts.reward import MeritChanged
from coterie_recognition.service import service

from .circle import Circle
from .conftest import KEYS, NOON

LOG = UUID(int=77)
Fresh = Callable[[Service], Awaitable[str]]


def season(circle: Circle) -> list[Any]:
    """A log with reopened rounds and more authors than there is money for.

    Members stand still in it: who is in comes from other topics, to which nothing is in order.
    """
    names = [f"member {n}" for n in range(8)]
    members = [circle.someone(name) for name in names]
    events: list[Any] = []
    for n, member in enumerate(members):
        item = uuid5(LOG, str(n))
        events += [
            circle.submitted(item, member),
            circle.implemented(item, member),
            circle.rated(item, member, members[n - 1], 0.7),
            circle.verified(item, member),
            circle.answered(item, member),
        ]
        if n % 3 == 0:
            events.append(circle.reopened(item, member))
            events.append(circle.implemented(item, member, 2))
    return events


async def test_batches_of_1_7_and_1000_publish_the_same_ids(fresh_database: Fresh) -> None:
    log: list[Any] = []
    ends = []
    for size in (1, 7, 1_000):
        settings = {"code_keys": KEYS, "refold_interval": 0}
        async with harness(service, await fresh_database(service), settings) as running:
            circle = Circle(running, NOON, ids=(UUID(int=5), UUID(int=6)))
            await circle.open()
            await circle.admit(*(f"member {n}" for n in range(8)))
            await stock(circle)
            before = len(await circle.published())
            log = log or season(circle)
            for start in range(0, len(log), size):
                await running.deliver(*log[start : start + size])
            assert await running.dead_letters() == []
            made = (await circle.published())[before:]
            assert not [e for e in made if isinstance(e.data, MeritChanged)]
            ends.append({(e.id, e.topic, e.sequence, e.data.model_dump_json()) for e in made})

    assert len(ends[0]) > 40
    assert ends[0] == ends[1] == ends[2]


async def stock(circle: Circle) -> None:
    """Money for three coffees, under ids that are the same on every run."""
    body = {"community_id": circle.community_id, "name": "Rewards", "currency": "USD"}
    opened = await circle.post("/budgets", body, key="budget")
    path = f"/budgets/{opened.json()['budget_id']}/fund"
    assert (await circle.post(path, {"amount_minor": 1_500}, key="fund")).status_code == 200
    await circle.fill("Coffee card", *(f"CODE-{n}" for n in range(9)))
