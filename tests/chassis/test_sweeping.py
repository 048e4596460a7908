"""Deadlines of a running service come after what the log holds, and come without Kafka too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from uuid import UUID, uuid4

import pytest

from coterie_chassis import service as service_module
from coterie_chassis.service import Service
from coterie_chassis.store import Database
from coterie_chassis.sweeper import Sweeper
from coterie_chassis.testing import event_of, until
from coterie_contracts.feedback import FeedbackSubmitted
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
    async with platform.instance():
        await until(lambda: true(lambda: bool(swept)))
    swept.clear()
    await platform.send(while_away)

    async with platform.instance():
        await until(lambda: true(lambda: bool(swept)))

    assert subject in swept[0]


async def test_deadlines_do_not_need_kafka(
    platform: Platform, swept: list[set[UUID]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "_LATEST_SWEEP_S", 0.2)
    nowhere = {"kafka_bootstrap": f"127.0.0.1:{free_port()}"}
    platform.settings = platform.settings.model_copy(update=nowhere)

    async with platform.instance():
        await until(lambda: true(lambda: len(swept) > 1))
