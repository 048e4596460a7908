"""From a commit in one transaction to an effect in another, over a real broker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import select, text

from coterie_chassis.decisions import Cause, Draft
from coterie_chassis.service import Runtime, Service
from coterie_chassis.settings import ChassisSettings
from coterie_chassis.store import Database, UnitOfWork
from coterie_chassis.testing import until
from coterie_contracts.feedback import FeedbackSubmitted

from . import sample

pytestmark = pytest.mark.usefixtures("topics")


class Broker(Protocol):
    bootstrap: str


class Platform:
    """Instances of the sample service on one database and one broker."""

    def __init__(self, url: str, broker: Broker) -> None:
        self.community = uuid4()
        self.settings = ChassisSettings(
            database_url=SecretStr(url),
            kafka_bootstrap=broker.bootstrap,
            kafka_group_prefix=f"test-{uuid4().hex[:8]}",
            jwks="unused",
            token_issuer="unused",
            kafka_fetch_max_wait_ms=20,
        )
        self.database = Database(url, service="sample")

    @asynccontextmanager
    async def instance(self) -> AsyncIterator[Runtime]:
        runtime = Runtime(sample.service, self.settings)
        async with runtime.lifespan(None):  # type: ignore[arg-type] - the app is not used
            yield runtime

    def fact(self, uow: UnitOfWork, subject: UUID, sequence: int) -> None:
        cause = Cause(
            id=uuid4(),
            actor="system",
            at=uow.now,
            recorded_at=uow.now,
            correlation_id=uuid4(),
            community_id=self.community,
        )
        body = FeedbackSubmitted(
            feedback_id=subject,
            community_id=self.community,
            author_id=subject,
            objective_id=None,
        )
        uow.publish(cause, Draft(subject, body, sequence))

    async def publish(self, subject: UUID, sequence: int) -> None:
        async with self.database.begin() as uow:
            self.fact(uow, subject, sequence)

    async def heard(self, subjects: set[UUID]) -> dict[UUID, list[int]]:
        order = defaultdict(list)
        async with self.database.begin() as uow:
            rows = await uow.rows(select(sample.heard).order_by(sample.heard.c.position))
        for row in rows:
            if row.subject in subjects:
                order[row.subject].append(row.sequence)
        return order

    async def waiting(self) -> int:
        async with self.database.begin() as uow:
            return int((await uow.execute(text("SELECT count(*) FROM outbox"))).scalar_one())

    async def archived(self) -> int:
        async with self.database.begin() as uow:
            query = text("SELECT count(*) FROM outbox_archive")
            return int((await uow.execute(query)).scalar_one())


@pytest.fixture
async def platform(
    fresh_database: Callable[[Service], Awaitable[str]], any_kafka: Broker
) -> AsyncIterator[Platform]:
    sample.POISON.clear()
    sample.REFUSED.clear()
    platform = Platform(await fresh_database(sample.service), any_kafka)
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
        await until(lambda: _is(lambda: survivor.relay.leading))
        survivor.relay.stop()
        await until(lambda: _is(lambda: not survivor.relay.leading))
        async with platform.instance() as successor:
            await until(lambda: _is(lambda: successor.relay.leading))
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
        assert (await runtime._live()).status_code == 200
        assert (await runtime._ready()).status_code == 200


async def test_a_consumer_whose_loop_has_ended_shows_no_progress(platform: Platform) -> None:
    async with platform.instance() as runtime:
        subscriptions = runtime.subscriptions
        assert subscriptions is not None
        await until(lambda: _is(lambda: subscriptions.stuck_for() < 0.5))

        for subscriber in subscriptions.broker.subscribers:
            for task in subscriber.tasks:
                task.cancel()

        await until(lambda: _is(lambda: subscriptions.stuck_for() > 1.5))
        assert await subscriptions.ping(), "the ping alone would not tell"


async def _is(check: Callable[[], bool]) -> bool:
    return check()


async def _is_zero(count: Callable[[], Awaitable[int]]) -> bool:
    return await count() == 0
