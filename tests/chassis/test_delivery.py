"""From a commit in one transaction to an effect in another, over a real broker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

import pytest
from sqlalchemy import text

from coterie_chassis import health
from coterie_chassis.service import Service
from coterie_chassis.testing import until

from . import sample
from .platform import Broker, Platform, true

pytestmark = pytest.mark.usefixtures("topics")


@pytest.fixture
async def platform(
    fresh_database: Callable[[Service], Awaitable[str]], any_kafka: Broker
) -> AsyncIterator[Platform]:
    sample.mend()
    platform = Platform(await fresh_database(sample.service), any_kafka.bootstrap)
    yield platform
    await platform.database.close()


async def test_every_event_takes_effect_once_and_in_order_of_its_key(platform: Platform) -> None:
    subjects = {uuid4() for _ in range(40)}
    async with platform.instance():
        for sequence in range(1, 11):
            async with platform.database.begin() as uow:
                for subject in subjects:
                    platform.fact(uow, subject, sequence)

        async def all_heard() -> bool:
            return sum(len(s) for s in (await platform.heard(subjects)).values()) >= 400

        await until(all_heard)
        await until(lambda: _is_zero(platform.waiting))

    assert await platform.heard(subjects) == {s: list(range(1, 11)) for s in subjects}
    assert await platform.archived() == 400


async def test_a_late_commit_is_sent_although_its_row_has_a_lower_id(platform: Platform) -> None:
    late, early = uuid4(), uuid4()
    async with platform.instance():
        async with platform.database.begin() as slow:
            platform.fact(slow, late, 1)
            await slow.flush()
            await platform.publish(early, 1)

            async def early_heard() -> bool:
                return early in await platform.heard({early})

            await until(early_heard)
            assert late not in await platform.heard({late})

        async def late_heard() -> bool:
            return late in await platform.heard({late})

        await until(late_heard)


async def test_one_instance_leads_and_another_takes_over(platform: Platform) -> None:
    first, second = uuid4(), uuid4()
    async with platform.instance() as survivor:
        await until(lambda: true(lambda: survivor.relay.leading))
        survivor.relay.stop()
        await until(lambda: true(lambda: not survivor.relay.leading))
        async with platform.instance() as successor:
            await until(lambda: true(lambda: successor.relay.leading))
            await platform.publish(first, 1)
            await platform.publish(second, 1)

            async def both() -> bool:
                return len(await platform.heard({first, second})) == 2

            await until(both)


async def test_two_instances_share_the_work_and_nothing_takes_effect_twice(
    platform: Platform,
) -> None:
    subjects = {uuid4() for _ in range(60)}
    async with platform.instance():
        for subject in list(subjects)[:30]:
            await platform.publish(subject, 1)
        async with platform.instance():
            for subject in list(subjects)[30:]:
                await platform.publish(subject, 1)

            async def all_heard() -> bool:
                return len(await platform.heard(subjects)) == 60

            await until(all_heard)

    assert await platform.heard(subjects) == {subject: [1] for subject in subjects}


async def test_a_refilled_topic_changes_nothing(platform: Platform) -> None:
    subjects = {uuid4() for _ in range(20)}
    for subject in subjects:
        await platform.publish(subject, 1)
    async with platform.instance():

        async def all_heard() -> bool:
            return len(await platform.heard(subjects)) == 20

        await until(all_heard)
        await until(lambda: _is_zero(platform.waiting))
        async with platform.database.begin() as uow:
            asked = (
                await uow.execute(text("INSERT INTO republish_request DEFAULT VALUES RETURNING id"))
            ).scalar_one()

        async def served() -> bool:
            async with platform.database.begin() as uow:
                query = text("SELECT sent FROM republish_request WHERE id = :id")
                return (await uow.execute(query, {"id": asked})).scalar_one() == 20

        await until(served)
        marker = uuid4()
        await platform.publish(marker, 1)

        async def marker_heard() -> bool:
            return marker in await platform.heard({marker})

        await until(marker_heard)

    assert await platform.heard(subjects) == {subject: [1] for subject in subjects}
    assert await platform.archived() == 21


async def test_a_working_service_is_live_and_ready(
    platform: Platform,
) -> None:
    subjects = {uuid4() for _ in range(10)}
    async with platform.instance() as runtime:
        for subject in subjects:
            await platform.publish(subject, 1)

        async def all_heard() -> bool:
            return len(await platform.heard(subjects)) == 10

        await until(all_heard)
        assert (await health.live(runtime)).status_code == 200
        assert (await health.ready(runtime)).status_code == 200


async def test_a_consumer_whose_loop_has_ended_shows_no_progress(platform: Platform) -> None:
    async with platform.instance() as runtime:
        await until(lambda: true(lambda: runtime.subscriptions is not None))
        subscriptions = runtime.subscriptions
        assert subscriptions is not None
        await until(lambda: true(lambda: subscriptions.stuck_for() < 0.5))

        for subscriber in subscriptions.broker.subscribers:
            for task in subscriber.tasks:
                task.cancel()

        await until(lambda: true(lambda: subscriptions.stuck_for() > 1.5))
        assert await subscriptions.ping(), "the ping alone would not tell"


async def _is_zero(count: Callable[[], Awaitable[int]]) -> bool:
    return await count() == 0
