"""Badges are awarded once, revoked when their evidence is gone, and the same in any order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from itertools import permutations
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from coterie_chassis.decisions import Cause
from coterie_chassis.service import Service
from coterie_chassis.testing import harness
from coterie_contracts.reward import Badge, BadgeAwarded, BadgeRevoked
from coterie_recognition.domain.badges import NEEDED, Cabinet, Evidence, badge_id
from coterie_recognition.service import service

from .circle import Circle
from .conftest import KEYS, NOON

ADA, HERE = UUID(int=1), UUID(int=2)


def cause(number: int) -> Cause:
    id_ = UUID(int=number)
    return Cause(id=id_, actor="system", at=NOON, recorded_at=NOON, correlation_id=id_)


@given(st.permutations([(source, seq) for source in range(4) for seq in (1, 2)]), st.booleans())
def test_the_same_facts_in_any_order_end_in_the_same_badge(
    order: list[tuple[int, int]], taken_back: bool
) -> None:
    cabinet = Cabinet()
    for n, (source, sequence) in enumerate(order):
        stands = sequence == 1 or not (taken_back and source < 2)
        fact = Evidence(ADA, Badge.HELPFUL_TESTER, UUID(int=source), HERE, sequence, stands)
        cabinet.weigh([fact], cause(n))

    held = cabinet.badges.get(badge_id(ADA, Badge.HELPFUL_TESTER))
    standing = 2 if taken_back else 4
    assert (held is not None and held.held) == (standing >= NEEDED[Badge.HELPFUL_TESTER])
    sequences = [draft.sequence for _, draft in cabinet.drafts]
    assert sequences == list(range(1, len(sequences) + 1))


async def shown(circle: Circle, member: UUID) -> set[str]:
    answer = await circle.get(f"/members/{member}/badges")
    assert answer.status_code == 200, answer.text
    return {badge["badge"] for badge in answer.json()}


async def test_a_badge_is_dated_by_what_earned_it_and_not_by_its_batch(circle: Circle) -> None:
    ada, ben = await circle.admit("ada", "ben")
    first = circle.submitted(uuid4(), ada)
    circle.now += timedelta(days=1)
    await circle.h.deliver(first, circle.submitted(uuid4(), ben))

    dates = {}
    for member in (ada, ben):
        (badge,) = (await circle.get(f"/members/{member}/badges")).json()
        dates[member] = datetime.fromisoformat(badge["changed_at"])

    assert dates == {ada: NOON, ben: NOON + timedelta(days=1)}
    assert dates == {e.data.member_id: e.time for e in await circle.published(BadgeAwarded)}


async def test_first_feedback_is_awarded_once_and_revoked_with_the_last(circle: Circle) -> None:
    (ada,) = await circle.admit("ada")
    one, two = uuid4(), uuid4()

    await circle.h.deliver(circle.submitted(one, ada), circle.submitted(two, ada))
    await circle.h.deliver(circle.withdrawn(one, ada))
    assert await shown(circle, ada) == {"first_feedback"}
    await circle.h.deliver(circle.withdrawn(two, ada))

    assert await shown(circle, ada) == set()
    assert len(await circle.published(BadgeAwarded)) == 1
    assert [e.sequence for e in await circle.published(BadgeRevoked)] == [2]


async def test_first_implemented_goes_when_reopened_and_comes_back(circle: Circle) -> None:
    ada, ben = await circle.admit("ada", "ben")
    item = uuid4()

    await circle.h.deliver(circle.implemented(item, ada, 1, (ben,)))
    assert await shown(circle, ben) == {"first_implemented"}
    await circle.h.deliver(circle.reopened(item, ada, duplicates=(ben,)))
    assert await shown(circle, ada) == await shown(circle, ben) == set()
    await circle.h.deliver(circle.implemented(item, ada, 2, (ben,)))

    assert await shown(circle, ada) == await shown(circle, ben) == {"first_implemented"}


async def test_looking_again_three_times_makes_a_helpful_tester(circle: Circle) -> None:
    (ada,) = await circle.admit("ada")
    answers = [circle.answered(uuid4(), ada, satisfied=n != 1) for n in range(3)]

    await circle.h.deliver(*answers[:2])
    assert await shown(circle, ada) == set()
    await circle.h.deliver(answers[2])

    assert await shown(circle, ada) == {"helpful_tester"}


async def test_rating_ten_contributions_of_others_makes_a_helpful_rater(circle: Circle) -> None:
    ada, ben = await circle.admit("ada", "ben")
    others = [circle.rated(uuid4(), ben, ada, 0.2) for _ in range(10)]
    own = [circle.rated(uuid4(), ben, ben, 1.0) for _ in range(10)]

    await circle.h.deliver(*others, *own)
    await circle.h.run_tasks()
    await circle.h.deliver(circle.rated(uuid4(), ben, ada, 0.2))
    await circle.h.run_tasks()

    assert await shown(circle, ada) == {"helpful_rater"}
    assert await shown(circle, ben) == set()
    assert len(await circle.published(BadgeAwarded)) == 1


async def test_a_helpful_rater_may_take_more_than_one_season(circle: Circle) -> None:
    ada, ben = await circle.admit("ada", "ben")
    earlier = circle.now - timedelta(days=100)
    await circle.h.deliver(
        *(circle.rated(uuid4(), ben, ada, 0.2, at=earlier, contributed_at=earlier) for _ in "12345")
    )
    await circle.h.run_tasks()
    again = uuid4()
    await circle.h.deliver(
        *(circle.rated(uuid4(), ben, ada, 0.2) for _ in "1234"),
        *(
            circle.rated(again, ben, ada, 0.2, at=circle.now + timedelta(hours=hours))
            for hours in range(5)
        ),
    )
    await circle.h.run_tasks()
    assert await shown(circle, ada) == {"helpful_rater"}


async def test_nine_contributions_rated_often_make_no_helpful_rater(circle: Circle) -> None:
    ada, ben = await circle.admit("ada", "ben")
    things = [uuid4() for _ in range(9)]
    await circle.h.deliver(
        *(
            circle.rated(thing, ben, ada, 0.2, at=circle.now + timedelta(hours=hours))
            for thing in things
            for hours in range(2)
        )
    )
    await circle.h.run_tasks()

    assert await shown(circle, ada) == set()


async def test_one_log_in_any_cut_and_order_ends_in_the_same_badges_and_outcomes(
    fresh_database: Callable[[Service], Awaitable[str]],
) -> None:
    ends = []
    for cut, order in enumerate(permutations(range(4))):
        if cut % 6:
            continue
        settings = {"code_keys": KEYS, "refold_interval": 0}
        async with harness(service, await fresh_database(service), settings) as running:
            circle = Circle(running, NOON)
            await circle.open()
            (ada,) = await circle.admit("ada")
            item = uuid4()
            log = [
                circle.submitted(item, ada),
                circle.implemented(item, ada),
                circle.reopened(item, ada),
                circle.implemented(item, ada, 2),
            ]
            for position in order:
                await running.deliver(log[position])
                await running.run_tasks()
            merit = await circle.get(f"/members/{ada}/merit", as_=circle.as_(ada))
            ends.append((frozenset(await shown(circle, ada)), merit.json()["outcomes"]))
            assert await running.dead_letters() == []

    assert len(ends) == 4
    assert set(ends) == {(frozenset({"first_feedback", "first_implemented"}), 1)}
