"""The cost of a batch is statements, and neither its size nor its order changes what is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from coterie_chassis.service import Service
from coterie_chassis.testing import Harness, harness
from coterie_contracts import feedback, member, reward
from coterie_contracts.community import ClockMode
from coterie_contracts.envelope import Event
from coterie_contracts.model import EventBody
from coterie_contracts.notification import NotificationSent
from coterie_notifications.service import service
from coterie_notifications.store import tables

from .world import DAY, HOUR, START, World, ledgered

Events = Sequence[Event[EventBody]]
LIMIT = 45
OF_MEMBERS = (
    tables.standing,
    tables.member_fact,
    tables.application,
    tables.look_again,
)
FOLDED = (*OF_MEMBERS, tables.suggestion, tables.reward_case, tables.seat_count)


def history(world: World, rounds: int) -> list[Event[EventBody]]:
    """A mixed history of one member: `rounds` events of each kind."""
    events: list[Event[EventBody]] = []
    for n in range(rounds):
        at, id_ = START + n * HOUR, uuid4()
        events += [
            world.suggestion(feedback.FeedbackSubmitted, "ana", at, id_),
            world.suggestion(feedback.FeedbackAccepted, "ana", at, id_, label=f"Bell {n}"),
            world.asked("ana", at),
            world.reward(
                reward.RewardApproved, "ana", at, uuid4(), approved_by="policy", **ledgered()
            ),
        ]
    return events


@pytest.mark.parametrize(
    "make",
    [
        lambda w, n: [w.accepted("ana", START + i * HOUR) for i in range(n)],
        lambda w, n: [w.asked("ana", START + i * HOUR) for i in range(n)],
        lambda w, n: [w.campaign(START + i * HOUR) for i in range(n)],
        lambda w, n: [w.admitted(f"m{i}") for i in range(n)],
        lambda w, n: [
            w.suggestion(feedback.FeedbackSubmitted, "ana", START + i * HOUR) for i in range(n)
        ],
        lambda w, n: [w.erased(f"m{i}", START + DAY) for i in range(n)],
        lambda w, n: [
            w.reward(reward.RewardApproved, "ana", START, uuid4(), approved_by="x", **ledgered())
            for _ in range(n)
        ],
    ],
    ids=["accepted", "look again", "campaign", "admitted", "submitted", "erased", "reward"],
)
async def test_a_batch_of_a_hundred_costs_the_statements_of_a_batch_of_one(
    world: World, make: Callable[[World, int], Events]
) -> None:
    await world.populate("ana", "bo")
    await world.h.deliver(*make(world, 1))
    counts = []
    for size in (1, 100):
        events = make(world, size)
        with world.h.statements() as counter:
            await world.h.deliver(*events)
        counts.append(counter.count)
        assert await world.h.dead_letters() == []
    assert counts[0] == counts[1]
    assert counts[1] <= LIMIT, counts


async def test_one_log_cut_into_batches_of_any_size_tells_the_same(
    fresh_database: Callable[[Service], Awaitable[str]], world: World
) -> None:
    events = [world.opened(), world.admitted("ana"), *history(world, 12)]
    events.insert(30, world.suspended("ana", START + 7 * HOUR))
    events.append(world.left("ana", START + DAY))
    found = []
    for size in (1, 7, 1_000):
        async with _another(fresh_database) as h:
            for cut in _cuts(events, size):
                await h.deliver(*cut)
            assert await h.dead_letters() == []
            found.append(await _told(h))
    assert len(found[0]) > 35
    assert found[0] == found[1] == found[2]


async def test_topics_in_every_order_give_the_same_facts_and_the_same_notices(
    fresh_database: Callable[[Service], Awaitable[str]], world: World
) -> None:
    id_, application = uuid4(), uuid4()
    groups: list[Events] = [
        [world.opened()],
        [world.admitted("ana", application_id=application)],
        [
            world.application(
                member.ApplicationWaitlisted,
                "ana",
                START - DAY,
                application,
                priority=0,
                enqueued_at=START,
            )
        ],
        [world.asked("ana", START + HOUR, id_)],
        [world.look_again(feedback.LookAgainAnswered, "ana", START + DAY, id_, satisfied=True)],
        [world.campaign(START + DAY)],
    ]
    first: Any = None
    for number, order in enumerate(permutations(groups)):
        if number % 29:
            continue
        async with _another(fresh_database) as h:
            for group in order:
                await h.deliver(*group)
            assert await h.dead_letters() == []
            state = (await _told(h), await _facts(h))
        first = first or state
        assert state == first
    assert len(first[0]) == 4


async def test_erasure_wins_in_any_order(
    fresh_database: Callable[[Service], Awaitable[str]], world: World
) -> None:
    groups: list[Events] = [
        [world.opened()],
        [world.admitted("ana")],
        [world.asked("ana", START + HOUR), world.accepted("ana", START + HOUR)],
        [world.erased("ana", START + DAY)],
    ]
    for order in permutations(groups):
        async with _another(fresh_database) as h:
            for group in order:
                await h.deliver(*group)
            assert await h.dead_letters() == []
            async with h.database.begin() as uow:
                for table in (tables.notification, tables.pending, tables.ledger, *OF_MEMBERS):
                    assert await uow.rows(select(table)) == [], (table.name, order)


async def test_interleaved_batches_and_commands_never_deadlock(h: Harness) -> None:
    world = World(h, clock=ClockMode.WALL)
    names = [f"m{n}" for n in range(12)]
    await world.populate(*names)

    async def batches(number: int) -> None:
        order = names if number % 2 else names[::-1]
        for n in range(6):
            await h.deliver(*(world.accepted(name, START + n * HOUR) for name in order))

    async def news(number: int) -> None:
        for n in range(6):
            answer = await h.post(
                f"/communities/{world.community_id}/news",
                {"title": f"News {number}/{n}", "text": "There is news."},
                as_=world.manager,
            )
            assert answer.status_code == 201, answer.text

    async def prefers(name: str) -> None:
        for n in range(6):
            path = f"/members/{world.member_id(name)}/preferences"
            wish = {"unsubscribed": ["offer/inbox"] if n % 2 else []}
            answer = await h.put(path, wish, as_=world.who(name))
            assert answer.status_code == 200, answer.text

    await asyncio.gather(*map(batches, range(3)), *map(news, range(3)), *map(prefers, names[:4]))
    assert await h.dead_letters() == []
    for name in names:
        told = await world.templates(name)
        assert told.count("feedback_accepted") == 18
    sent = await h.published(NotificationSent)
    for name in names:
        numbers = sorted(
            e.data.recipient_sequence
            for e in sent
            if e.data.recipient_id == world.member_id(name) and e.data.recipient_sequence
        )
        assert numbers == list(range(1, len(numbers) + 1))


@asynccontextmanager
async def _another(fresh_database: Callable[[Service], Awaitable[str]]) -> Any:
    async with harness(service, await fresh_database(service)) as h:
        yield h


def _cuts(events: Events, size: int) -> Iterator[Events]:
    for start in range(0, len(events), size):
        yield events[start : start + size]


async def _told(h: Harness) -> set[tuple[UUID, str, str]]:
    """Every published event by its id, with what it tells of whom."""
    return {
        (event.id, event.topic, str(event.data.template))  # type: ignore[attr-defined]
        for event in await h.published()
    }


async def _facts(h: Harness) -> dict[str, list[Any]]:
    async with h.database.begin() as uow:
        return {table.name: sorted(map(str, await uow.rows(select(table)))) for table in FOLDED}
