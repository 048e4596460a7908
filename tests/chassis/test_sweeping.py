"""Deadlines of a running service come after what the log holds, and come without Kafka too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaConsumer

from coterie_chassis import service as service_module
from coterie_chassis.service import Runtime, Service
from coterie_chassis.store import Database
from coterie_chassis.subscriptions import Subscriptions
from coterie_chassis.sweeper import Sweeper
from coterie_chassis.testing import event_of, until
from coterie_contracts.feedback import FeedbackSubmitted
from coterie_contracts.topics import Lane
from coterie_replay.brokers.processes import free_port

from . import sample
from .platform import Broker, Platform, true

Url = Callable[[Service], Awaitable[str]]


@pytest.fixture
async def platform(fresh_database: Url, any_kafka: Broker, topics: int) -> AsyncIterator[Platform]:
    one = Platform(await fresh_database(sample.service), any_kafka.bootstrap)
    yield one
    await one.database.close()


@pytest.fixture
def swept(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> list[set[UUID]]:
    """For each sweep, the subjects that the service had heard of when it began."""
    seen: list[set[UUID]] = []
    sweep = Sweeper.sweep

    async def look_and_sweep(
        self: Sweeper, database: Database, *, at: datetime | None = None
    ) -> int:
        async with platform.database.begin() as uow:
            rows = await uow.rows(sample.heard.select())
        seen.append({row.subject for row in rows})
        return await sweep(self, database, at=at)

    monkeypatch.setattr(Sweeper, "sweep", look_and_sweep)
    return seen


async def fall_due(platform: Platform) -> None:
    async with platform.database.begin() as uow:
        due_at = datetime.now(UTC) - timedelta(seconds=1)
        uow.schedule("note.remind", uuid4(), platform.community, due_at)


def submitted(feedback_id: UUID, community_id: UUID) -> FeedbackSubmitted:
    return FeedbackSubmitted(
        feedback_id=feedback_id,
        community_id=community_id,
        author_id=uuid4(),
        objective_id=None,
    )


async def test_deadlines_wait_for_what_came_while_the_service_was_away(
    platform: Platform, swept: list[set[UUID]]
) -> None:
    subject = uuid4()
    while_away = event_of(submitted(subject, platform.community), subject)
    await fall_due(platform)
    async with platform.instance():
        await until(lambda: true(lambda: bool(swept)))
    swept.clear()
    await platform.send(while_away)
    await fall_due(platform)

    async with platform.instance():
        await until(lambda: true(lambda: bool(swept)))

    assert subject in swept[0]


@pytest.mark.needs_apache_kafka
async def test_deadlines_wait_for_what_another_member_of_the_group_holds(
    kafka: Broker, platform: Platform, swept: list[set[UUID]]
) -> None:
    subjects = {uuid4() for _ in range(20)}
    group = f"{platform.settings.kafka_group_prefix}.sample.{Lane.PROMPT}"
    async with AIOKafkaConsumer(
        FeedbackSubmitted.topic,
        bootstrap_servers=platform.settings.kafka_bootstrap,
        group_id=group,
        enable_auto_commit=False,
    ) as stranger:
        await until(lambda: true(lambda: bool(stranger.assignment())))
        async with platform.instance() as runtime:
            await platform.send(
                *(event_of(submitted(one, platform.community), one) for one in subjects)
            )
            await until(lambda: true(lambda: runtime.subscriptions is not None))
            await fall_due(platform)
            await asyncio.sleep(3)
            assert swept == []
            await stranger.stop()
            await until(lambda: true(lambda: bool(swept)), within_s=60)

    assert subjects <= swept[0]


async def test_a_log_that_is_never_applied_is_not_waited_for_for_ever(
    platform: Platform, swept: list[set[UUID]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def not_yet(*_: object) -> bool:
        return False

    monkeypatch.setattr(service_module, "_LATEST_SWEEP_S", 0.5)
    monkeypatch.setattr(Subscriptions, "have_applied", not_yet)
    await fall_due(platform)

    async with platform.instance():
        await until(lambda: true(lambda: bool(swept)))


async def test_deadlines_do_not_need_kafka(
    platform: Platform, swept: list[set[UUID]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "_LATEST_WITHOUT_KAFKA_S", 0.2)
    nowhere = {"kafka_bootstrap": f"127.0.0.1:{free_port()}"}
    platform.settings = platform.settings.model_copy(update=nowhere)
    await fall_due(platform)

    async with platform.instance():
        await until(lambda: true(lambda: bool(swept)))


async def test_where_nothing_is_due_nothing_waits_for_the_log(
    platform: Platform, swept: list[set[UUID]], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[Runtime] = []

    async def wait(self: Runtime) -> None:
        waits.append(self)

    monkeypatch.setattr(Runtime, "_until_log_is_applied", wait)
    monkeypatch.setattr(service_module, "_SWEEP_EVERY_S", 0.02)
    async with platform.instance() as runtime:
        began = runtime.sweeper.last_progress
        await until(lambda: true(lambda: runtime.sweeper.last_progress > began + 0.1))
        assert (waits, swept) == ([], [])
        await fall_due(platform)
        await until(lambda: true(lambda: bool(swept)))

    assert waits
