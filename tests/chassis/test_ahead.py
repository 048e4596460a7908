"""What comes next is decoded while the database works, once, and never mistaken for another."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from coterie_chassis import consumer
from coterie_chassis.consumer import LaneConsumer
from coterie_chassis.deadletter import Record
from coterie_chassis.testing import Harness, record_of
from coterie_contracts.feedback import FeedbackSubmitted

from . import sample
from .facts import fact

MANY = 120


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Offsets in the order in which they are decoded."""
    original, offsets = consumer._decoded, []

    def noted(record: Record) -> Any:
        offsets.append(record.offset)
        return original(record)

    monkeypatch.setattr(consumer, "_decoded", noted)
    return offsets


def lane_of(h: Harness) -> LaneConsumer:
    return next(lane for lane in h.runtime.lanes if FeedbackSubmitted.topic in lane.topics)


def some(count: int) -> list[Record]:
    return [record_of(fact(uuid4())) for _ in range(count)]


async def heard(h: Harness) -> list[UUID]:
    async with h.database.begin() as uow:
        rows = await uow.rows(select(sample.heard).order_by(sample.heard.c.position))
    return [row.event_id for row in rows]


def ids(*batches: list[Record]) -> list[UUID]:
    return [UUID((dict(r.headers)["ce_id"] or b"").decode()) for b in batches for r in b]


async def test_a_batch_that_was_announced_is_decoded_once(h: Harness, decoded: list[int]) -> None:
    lane, first, second = lane_of(h), some(3), some(MANY)

    await lane.apply(first, second)
    assert decoded == [record.offset for record in [*first, *second]], "and all of it already"
    await lane.apply(second)

    assert len(decoded) == 3 + MANY
    assert await heard(h) == ids(first, second)


async def test_another_batch_than_the_one_announced_is_decoded_itself(h: Harness) -> None:
    lane, first, announced, other = lane_of(h), some(2), some(3), some(2)

    await lane.apply(first, announced)
    await lane.apply(other)
    await lane.apply(announced[:1])

    assert await heard(h) == ids(first, other, announced[:1])


async def test_a_batch_that_fails_leaves_nothing_of_what_was_announced_behind(h: Harness) -> None:
    lane, first, second = lane_of(h), some(2), some(MANY)
    sample.PASSING.update(ids(first)[:1])

    with pytest.raises(ConnectionResetError):
        await lane.apply(first, second)
    assert await heard(h) == []
    sample.mend()
    await lane.apply(first, second)
    await lane.apply(second)

    assert await heard(h) == ids(first, second)
