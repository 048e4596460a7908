"""What a batch costs is statements, and their number does not depend on how many events it has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest

from coterie_contracts.envelope import Event

from .circle import Circle

Make = Callable[[Circle, UUID, UUID], Event[Any]]

KINDS: dict[str, tuple[Make, int]] = {
    "contribution.rated": (lambda c, a, r: c.rated(uuid4(), a, r, 0.7), 3),
    "contribution.appreciated": (lambda c, a, _: c.appreciated(uuid4(), a), 3),
    "feedback.submitted": (lambda c, a, _: c.submitted(uuid4(), a), 6),
    "feedback.implemented": (lambda c, a, _: c.implemented(uuid4(), a), 18),
    "feedback.verified": (lambda c, a, _: c.verified(uuid4(), a), 21),
    "feedback.reopened": (lambda c, a, _: c.reopened(uuid4(), a), 7),
    "lookagain.answered": (lambda c, a, _: c.answered(uuid4(), a), 17),
}


async def cost(circle: Circle, events: Sequence[Event[Any]]) -> list[str]:
    with circle.h.statements() as counter:
        await circle.h.deliver(*events)
    assert await circle.h.dead_letters() == []
    return counter.statements


@pytest.mark.parametrize("kind", KINDS)
async def test_a_batch_of_a_hundred_costs_what_a_batch_of_one_costs(
    circle: Circle, kind: str
) -> None:
    make, at_most = KINDS[kind]
    members = await circle.admit(*(f"member {n}" for n in range(101)))
    await circle.budget(1_000_000)
    await circle.fill("Coffee card", *(f"CODE-{n}" for n in range(210)))
    pairs = list(zip(members, [*members[1:], members[0]], strict=True))
    await cost(circle, [make(circle, *pairs[0])])

    one = await cost(circle, [make(circle, *pairs[1])])
    hundred = await cost(circle, [make(circle, author, rater) for author, rater in pairs[1:]])

    assert len(hundred) == len(one)
    chassis = {"community_clock", "applied_position", "inbox", "outbox", "deadline", "dead_letter"}
    own = [s for s in one if s != "SELECT now()" and not any(name in s for name in chassis)]
    assert len(own) <= at_most, "\n".join(own)
