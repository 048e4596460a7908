"""At a limit of dead letters a lane halts, shows it, and goes on when the reason is gone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from coterie_chassis.consumer import LaneConsumer
from coterie_chassis.deadletter import Limits, Tally
from coterie_chassis.errors import HaltedConsumer
from coterie_chassis.service import Service
from coterie_chassis.testing import Harness, event_of, harness, record_of
from coterie_contracts.feedback import CommentPosted

from . import sample
from .facts import fact, heard


@pytest.fixture
async def limited(
    fresh_database: Callable[[Service], Awaitable[str]],
) -> AsyncIterator[Callable[..., Awaitable[Harness]]]:
    """The sample service with limits of its own."""
    sample.mend()
    url = await fresh_database(sample.service)
    running: list[Any] = []

    async def start(**limits: Any) -> Harness:
        context = harness(sample.service, url, limits)
        running.append(context)
        return await context.__aenter__()

    yield start
    for context in running:
        await context.__aexit__(None, None, None)


def test_a_run_ends_with_an_event_that_takes_effect() -> None:
    tally = Tally(Limits(in_a_row=3))

    assert tally.with_([True] * 3).excess is None
    assert tally.with_([True] * 4).excess is not None
    assert tally.with_([True] * 3 + [False] + [True] * 3).excess is None


def test_a_ratio_is_judged_on_a_full_window_of_the_latest_events() -> None:
    tally = Tally(Limits(ratio=0.25, window=8, in_a_row=100))

    assert tally.with_([True] * 7).excess is None
    assert tally.with_([True, True] + [False] * 6).excess is None
    assert "3 of 8" in (tally.with_([True] * 3 + [False] * 5).excess or "")
    assert tally.with_([True] * 8 + [False] * 8).excess is None


async def test_a_lane_halts_when_too_many_fail_in_a_row(
    limited: Callable[..., Awaitable[Harness]],
) -> None:
    h = await limited(dead_letters_in_a_row=3)
    bad = [fact(uuid4()) for _ in range(5)]
    sample.POISON.update(event.id for event in bad)

    await h.deliver(*bad[:2])
    await h.deliver(bad[2])
    with pytest.raises(HaltedConsumer, match="5 events failed in a row, the limit is 3"):
        await h.deliver(*bad[3:])

    assert len(await h.dead_letters()) == 3, "a halt keeps nothing of its batch"
    sample.mend()
    await h.deliver(*bad[3:])
    assert len(await heard(h)) == 2


async def test_a_batch_that_fails_from_end_to_end_is_not_searched_to_its_end(
    limited: Callable[..., Awaitable[Harness]],
) -> None:
    h = await limited(dead_letters_in_a_row=3)
    bad = [fact(uuid4()) for _ in range(256)]
    sample.POISON.update(event.id for event in bad)

    with h.statements() as counter, pytest.raises(HaltedConsumer, match="a defect in the handler"):
        await h.deliver(*bad)

    assert counter.count < 60, counter.count


async def test_parked_followers_and_duplicates_are_no_failures(
    limited: Callable[..., Awaitable[Harness]],
) -> None:
    h = await limited(dead_letters_in_a_row=1)
    key = uuid4()
    first = fact(key, 1)
    sample.POISON.add(first.id)

    await h.deliver(first, *(fact(key, n) for n in range(2, 6)))
    await h.deliver(first, fact(key, 6))

    assert len(await h.dead_letters()) == 6


async def test_a_lane_halts_at_the_followers_of_one_key(
    limited: Callable[..., Awaitable[Harness]],
) -> None:
    h = await limited(dead_letters_per_key=3)
    key = uuid4()
    first = fact(key, 1)
    sample.POISON.add(first.id)
    await h.deliver(first, fact(key, 2), fact(key, 3))

    with pytest.raises(HaltedConsumer, match="4 open dead letters of one key, the limit is 3"):
        await h.deliver(fact(key, 4), fact(uuid4(), 1))

    assert await heard(h) == []


async def test_one_lane_at_its_limit_leaves_the_other_running(
    limited: Callable[..., Awaitable[Harness]],
) -> None:
    h = await limited(dead_letters_in_total=1)
    bad = [fact(uuid4()) for _ in range(2)]
    sample.POISON.update(event.id for event in bad)
    with pytest.raises(HaltedConsumer, match="lane prompt of sample"):
        await h.deliver(*bad)

    lanes: dict[str, LaneConsumer] = {lane.lane.value: lane for lane in h.runtime.lanes}
    body = CommentPosted(
        comment_id=uuid4(), feedback_id=uuid4(), community_id=uuid4(), author_id=uuid4()
    )
    comment = event_of(body, body.comment_id)
    await lanes["bulk"].apply([record_of(comment)])

    async with h.database.begin() as uow:
        query = text("SELECT count(*) FROM heard WHERE event_id = :id")
        assert (await uow.execute(query, {"id": comment.id})).scalar_one() == 1
