"""Many at once on PostgreSQL: each round settles once, nothing deadlocks, nothing is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext

from coterie_chassis.testing import Harness
from coterie_contracts.community import ClockMode
from coterie_contracts.feedback import (
    ContributionRated,
    FeedbackFacts,
    FeedbackImplemented,
    FeedbackMerged,
    FeedbackSubmitted,
    FeedbackSupported,
    FeedbackVerified,
    FeedbackWithdrawn,
    LookAgainAnswered,
    RoundFacts,
)
from coterie_contracts.model import EventBody

from .world import DAY, World, rule

CLOCKS = pytest.mark.parametrize("clock", list(ClockMode))


@contextmanager
def no_deadlock(h: Harness) -> Iterator[None]:
    """Fails if PostgreSQL broke a deadlock inside, also where the victim tried again."""
    victims: list[str] = []

    def note(context: ExceptionContext) -> None:
        if getattr(context.original_exception, "sqlstate", None) == "40P01":
            victims.append(str(context.statement))

    engine = h.database.engine.sync_engine
    event.listen(engine, "handle_error", note)
    try:
        yield
    finally:
        event.remove(engine, "handle_error", note)
    assert victims == []


async def gapless(h: Harness) -> None:
    """Every aggregate's sequences go 1, 2, 3 … in the order of the outbox."""
    sequences: dict[UUID, list[int]] = {}
    for one in await h.published(EventBody):
        sequences.setdefault(one.subject, []).append(one.sequence or 0)
    assert sequences
    for subject, found in sequences.items():
        assert found == list(range(1, len(found) + 1)), subject


@CLOCKS
async def test_all_who_are_asked_answering_at_once_settle_the_round_exactly_once(
    h: Harness, clock: ClockMode
) -> None:
    world = World(h, clock=clock)
    await world.begin("ann", "bob", "cem", "dee")
    for _ in range(4):
        await world.built("ann", "bob", "cem", "dee")
    asks = [
        (name, f"/look-agains/{asked['look_again_id']}/answer")
        for name in ("ann", "bob", "cem", "dee")
        for asked in await world.asked(name)
    ]
    assert len(asks) == 16

    answers = await asyncio.gather(
        *(world.do("POST", path, {"satisfied": True}, as_=world.who(name)) for name, path in asks)
    )

    assert {answer.status_code for answer in answers} == {200}
    rounds = await h.published(RoundFacts)
    assert Counter(e.subject for e in rounds).most_common(1)[0][1] == 1
    assert len(await h.published(FeedbackVerified)) == len(rounds) == 4
    assert len(await h.published(LookAgainAnswered)) == 16
    await gapless(h)


async def test_one_answer_sent_ten_times_at_once_counts_once(h: Harness, world: World) -> None:
    await world.built("ann")
    (asked,) = await world.asked("ann")
    path = f"/look-agains/{asked['look_again_id']}/answer"

    answers = await asyncio.gather(
        *(
            world.do("POST", path, {"satisfied": number % 2 == 0}, as_=world.who("ann"))
            for number in range(10)
        )
    )

    assert Counter(a.status_code for a in answers) == {200: 5, 409: 5}
    assert len(await h.published(LookAgainAnswered)) == 1


async def test_withdrawing_and_accepting_at_once_leaves_one_winner(
    h: Harness, world: World
) -> None:
    for _ in range(5):
        item = await world.submit("ann")
        answers = await asyncio.gather(
            world.do("POST", f"/feedback/{item}/withdraw", as_=world.who("ann")),
            world.do("POST", f"/feedback/{item}/accept", {"label": "x"}, as_=world.manager),
        )
        assert sorted(a.status_code for a in answers) == [200, 409]
    await gapless(h)


async def test_implementing_and_withdrawing_at_once_implements(h: Harness, world: World) -> None:
    item = await world.planned("ann")
    body = {"what_changed": "x", "see_it_at": "y"}

    built, gone = await asyncio.gather(
        world.do("POST", f"/feedback/{item}/implement", body, as_=world.manager),
        world.do("POST", f"/feedback/{item}/withdraw", as_=world.who("ann")),
    )

    assert (built.status_code, rule(gone)) == (200, "wrong-state")
    assert await h.published(FeedbackWithdrawn) == []


async def test_implementing_twice_at_once_begins_one_round(h: Harness, world: World) -> None:
    item = await world.planned("ann")
    body = {"what_changed": "x", "see_it_at": "y"}
    path = f"/feedback/{item}/implement"

    answers = await asyncio.gather(
        *(world.do("POST", path, body, as_=world.manager) for _ in range(5))
    )

    assert Counter(a.status_code for a in answers) == {200: 1, 409: 4}
    assert len(await h.published(FeedbackImplemented)) == 1


async def test_merging_two_into_each_other_at_once_makes_no_loop(h: Harness, world: World) -> None:
    for _ in range(5):
        one, two = await world.submit("ann"), await world.submit("bob")
        answers = await asyncio.gather(
            world.do("POST", f"/feedback/{one}/merge", {"root_id": two}, as_=world.manager),
            world.do("POST", f"/feedback/{two}/merge", {"root_id": one}, as_=world.manager),
        )
        assert sorted(a.status_code for a in answers) == [200, 409]
    assert len(await h.published(FeedbackMerged)) == 5


async def test_twenty_suggestions_at_once_make_ten(h: Harness, world: World) -> None:
    body = {"community_id": world.community_id, "text": "x"}

    answers = await asyncio.gather(
        *(world.do("POST", "/feedback", body, as_=world.who("ann")) for _ in range(20))
    )

    assert Counter(a.status_code for a in answers) == {201: 10, 409: 10}
    assert len(await h.published(FeedbackSubmitted)) == 10


async def test_one_rater_at_once_leaves_gapless_sequences(h: Harness, world: World) -> None:
    item = await world.submit("ann")

    answers = await asyncio.gather(*(world.rate(item, "bob", number / 20) for number in range(20)))

    assert {a.status_code for a in answers} == {200}
    events = await h.published(ContributionRated)
    stands = max(events, key=lambda e: (e.data.rated_at, e.id))
    assert (await world.see(item, world.who("bob")))["my_rating"] == stands.data.value
    await gapless(h)


@pytest.mark.parametrize("attempt", range(3))
@CLOCKS
async def test_batches_commands_and_deadlines_interleaved_never_deadlock(
    h: Harness, clock: ClockMode, attempt: int
) -> None:
    world = World(h, clock=clock)
    names = [f"{attempt}m{number}" for number in range(12)]
    await world.begin(*names)
    built = [await world.built(name, *names[:4]) for name in names[:8]]
    loose = [await world.submit(name) for name in names[8:]]
    asks = [(n, a["look_again_id"]) for n in names[:4] for a in await world.asked(n)]
    async with h.database.begin() as uow:
        later = uow.now + 20 * DAY
    world.now += 15 * DAY

    async def deadlines() -> int:
        return await h.sweep(later)

    with no_deadlock(h):
        answers = await asyncio.gather(
            h.deliver(*(world.left(name) for name in names[0:8:2])),
            *(
                world.do("POST", f"/look-agains/{a}/answer", {"satisfied": True}, as_=world.who(n))
                for n, a in asks
            ),
            h.deliver(*(world.removed(name) for name in names[7:0:-2])),
            deadlines(),
            *(
                world.do("POST", f"/feedback/{one}/merge", {"root_id": root}, as_=world.manager)
                for one, root in zip(loose, reversed(built), strict=False)
            ),
            deadlines(),
            *(world.do("PUT", f"/feedback/{i}/support", as_=world.who(names[-1])) for i in built),
            h.deliver(*(world.erased(name) for name in names[4:8])),
            return_exceptions=True,
        )

    broken = [a for a in answers if isinstance(a, BaseException)]
    assert broken == []
    statuses = {a.status_code for a in answers if hasattr(a, "status_code")}
    assert 200 in statuses
    assert not statuses & {500, 503}
    assert await h.dead_letters() == []
    assert max(Counter(e.subject for e in await h.published(RoundFacts)).values()) <= 2
    await h.sweep(later)
    for item in built:
        assert (await world.see(item))["status"] != "looking_again"
    assert len(await h.published(FeedbackSupported)) >= 28
    assert await h.published(FeedbackFacts)
    await gapless(h)
