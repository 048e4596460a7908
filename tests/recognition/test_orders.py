"""Across topics nothing is ordered: every pair of topics in both orders ends in the same state.

An order and its reverse hold every pair both ways; rotations add what comes first and last.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from coterie_chassis.circle import community, members
from coterie_chassis.service import Service
from coterie_chassis.testing import Harness, harness
from coterie_contracts.envelope import Event
from coterie_contracts.member import (
    MemberAdmitted,
    MemberFacts,
    MemberLeft,
    MemberReinstated,
    MemberReleased,
    MemberRemoved,
    MemberSuspended,
)
from coterie_contracts.topics import consumed_by
from coterie_recognition.service import service
from coterie_recognition.store import tables

from .circle import Circle
from .conftest import KEYS, NOON

NAMES = ("ada", "ben", "cyd", "dan")
STANDINGS: dict[str, tuple[type[MemberFacts], ...]] = {
    "cyd": (MemberAdmitted, MemberSuspended, MemberReinstated),
    "eve": (MemberAdmitted, MemberLeft, MemberAdmitted, MemberReleased),
    "fay": (MemberAdmitted,),
    "gil": (MemberAdmitted, MemberSuspended, MemberRemoved),
}
"""Who earns something here is paid in the end, whatever comes first."""


@pytest.fixture
async def h(fresh_database: Callable[[Service], Awaitable[str]]) -> AsyncIterator[Harness]:
    settings = {"code_keys": KEYS, "refold_interval": 0}
    async with harness(service, await fresh_database(service), settings) as running:
        yield running


def by_topic(circle: Circle) -> dict[str, list[Event[Any]]]:
    """What happened in one circle, by topic, each topic in its own order."""
    ada, ben, cyd, dan = (circle.someone(name) for name in NAMES)
    built, again, silent, gone = (uuid4() for _ in range(4))
    log: list[Event[Any]] = [circle.opened(), circle.changed(name="Night riders")]
    log += [circle.membership(MemberAdmitted, member) for member in (ada, ben, dan)]
    for name, standings in STANDINGS.items():
        log += [circle.membership(body, circle.someone(name)) for body in standings]
    fay = circle.someone("fay")
    log += [circle.submitted(uuid4(), fay), circle.rated(built, ada, fay, 0.9)]
    log += [circle.erased(fay), circle.clock_advanced(circle.now + timedelta(hours=2))]
    for item, author in ((built, ada), (again, ben), (silent, cyd), (gone, dan)):
        log.append(circle.submitted(item, author))
        log += [circle.rated(item, author, r, 0.7) for r in (ada, ben, cyd, dan)]
        log.append(circle.appreciated(item, author))
    log.append(circle.withdrawn(gone, dan))
    log.append(circle.appreciated(gone, dan, yes=False))
    log.append(circle.rated(built, ada, ben, 0.2, at=circle.now + timedelta(hours=1)))
    log += [
        circle.implemented(built, ada, 1, (dan,)),
        circle.verified(built, ada, duplicates=(dan,)),
    ]
    log += [circle.implemented(again, ben), circle.reopened(again, ben)]
    log += [circle.implemented(again, ben, 2), circle.verified(again, ben, round_=2)]
    log += [circle.implemented(silent, cyd), circle.unconfirmed(silent, cyd)]
    log += [circle.answered(item, ada) for item in (built, again, silent)]
    topics: dict[str, list[Event[Any]]] = {}
    for event in log:
        topics.setdefault(event.topic, []).append(event)
    return topics


async def state(circle: Circle) -> dict[str, Any]:
    """What everybody has and is, by name, and the community itself."""
    found: dict[str, Any] = {}
    rewards = await circle.rewards()
    async with circle.h.database.begin() as uow:
        place = await community(uow, circle.community_id)
        known = await members(uow, [circle.someone(name) for name in (*NAMES, *STANDINGS)])
        seasons, badges = [
            await uow.rows(select(table).where(table.c.community_id == circle.community_id))
            for table in (tables.merit_season, tables.badge)
        ]
    names = {circle.someone(name): name for name in (*NAMES, *STANDINGS)}
    found["circle"] = (
        place and place.name,
        sum(row.held for row in badges),
        [row.members for row in seasons],
    )
    found |= {f"{names[id_]} is": member.status for id_, member in sorted(known.items())}
    for name in NAMES:
        member = circle.someone(name)
        merit = (await circle.get(f"/members/{member}/merit", as_=circle.as_(member))).json()
        badges = (await circle.get(f"/members/{member}/badges")).json()
        found[name] = (
            merit["merit"],
            merit["outcomes"],
            merit["provisional"],
            len(merit["contributions"]),
            frozenset(badge["badge"] for badge in badges),
            frozenset(
                (r["item_name"], r["status"]) for r in rewards if r["member_id"] == str(member)
            ),
        )
    return found


async def played(h: Harness, order: Sequence[str]) -> dict[str, Any]:
    circle = Circle(h, NOON)
    topics = by_topic(circle)
    for name in order or topics:
        await h.deliver(*topics[name])
    await h.run_tasks()
    return await state(circle)


async def test_every_pair_of_topics_in_both_orders_ends_alike(h: Harness) -> None:
    expected = await played(h, [])
    topics = list(by_topic(Circle(h, NOON)))
    assert {topic.name for topic in consumed_by("recognition")} == set(topics)
    assert {expected[name][1] for name in NAMES} == {1, 2}
    assert (expected["eve is"], expected["gil is"]) == ("released", "removed")
    assert "fay is" not in expected
    assert ("Early access", "issued") in expected["cyd"][-1]
    assert "helpful_tester" in expected["ada"][4]
    assert "first_feedback" not in expected["dan"][4]

    for n in range(0, len(topics), 2):
        rotated = topics[n:] + topics[:n]
        for order in (rotated, rotated[::-1]):
            assert await played(h, order) == expected, order

    assert await h.dead_letters() == []
