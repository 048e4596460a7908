"""An operator asks any instance how its service does, and is answered whatever else is away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from sqlalchemy.engine import make_url

from coterie_chassis import roles
from coterie_chassis.auth import Role
from coterie_chassis.service import Runtime, Service
from coterie_chassis.status import PATH
from coterie_chassis.testing import Harness, Trusting, person, until

from . import sample
from .facts import fact
from .platform import Broker, Platform

OLU = person("olu", Role.OPERATOR)


@pytest.fixture
async def start(
    fresh_database: Callable[[Service], Awaitable[str]], any_kafka: Broker, topics: int
) -> AsyncIterator[Callable[..., Awaitable[Platform]]]:
    """Platforms of a test, on the run's broker unless it names another."""
    sample.mend()
    started: list[Platform] = []

    async def make(bootstrap: str = any_kafka.bootstrap) -> Platform:
        started.append(Platform(await fresh_database(sample.service), bootstrap))
        return started[-1]

    yield make
    for platform in started:
        await platform.database.close()


@asynccontextmanager
async def answering(
    platform: Platform, only: roles.Role | None = None, **settings: Any
) -> AsyncIterator[Harness]:
    """An instance that serves HTTP and neither relays nor consumes."""
    runtime = Runtime(sample.service, platform.settings.model_copy(update=settings), only)
    runtime.verifier = Trusting()  # type: ignore[assignment]
    transport = httpx2.ASGITransport(app=runtime.app(), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://sample") as client:
        yield Harness(runtime, client)
    await runtime.database.close()


async def told(h: Harness) -> dict[str, Any]:
    answer = await h.get(PATH, as_=OLU)
    assert answer.status_code == 200, answer.text
    status: dict[str, Any] = answer.json()
    return status


def lane(status: dict[str, Any], name: str = "prompt") -> dict[str, Any]:
    (found,) = [one for one in status["lanes"] if one["lane"] == name]
    return dict(found)


async def test_a_healthy_service_says_so(start: Callable[..., Awaitable[Platform]]) -> None:
    platform = await start()
    async with platform.served() as h:

        async def settled() -> bool:
            status = await told(h)
            return not status["waiting_for"] and status["outbox"]["led"]

        await until(settled)
        status = await told(h)

    assert (status["service"], status["stuck"]) == ("sample", [])
    assert status["started_at"] <= status["now"]
    assert status["outbox"] == {"depth": 0, "age_s": 0.0, "led": True}
    assert status["failed_deadlines"] == 0
    prompt = lane(status)
    assert prompt["group"].endswith(".sample.prompt")
    wanted = ("events_behind", "seconds_behind", "halted", "dead_letters", "parked_keys")
    assert [prompt[name] for name in wanted] == [0, 0.0, None, 0, 0]


async def test_what_was_set_aside_and_the_keys_that_wait_behind_it_are_counted(
    start: Callable[..., Awaitable[Platform]],
) -> None:
    platform, stuck = await start(), uuid4()
    poison = fact(stuck, 1)
    sample.POISON.add(poison.id)
    async with platform.served() as h:
        await platform.send(poison, fact(stuck, 2), fact(uuid4(), 1))

        async def set_aside() -> bool:
            return lane(await told(h))["dead_letters"] == 2

        await until(set_aside)
        assert lane(await told(h))["parked_keys"] == 1


async def test_the_lag_is_the_groups_and_told_by_an_instance_that_does_not_consume(
    start: Callable[..., Awaitable[Platform]],
) -> None:
    platform, subjects = await start(), [uuid4() for _ in range(3)]
    async with platform.served() as h:
        await platform.send(*(fact(subject, 1) for subject in subjects))
        await until(lambda: _has_heard(platform, subjects))

        async def caught_up() -> bool:
            return lane(await told(h))["events_behind"] == 0

        await until(caught_up)

    await platform.send(*(fact(subject, 2) for subject in subjects), fact(subjects[0], 3))
    async with answering(platform) as h:
        prompt = lane(await told(h))
    assert prompt["events_behind"] == 4
    assert prompt["seconds_behind"] > 0


async def test_an_event_that_cannot_be_sent_shows_in_the_outbox(
    start: Callable[..., Awaitable[Platform]],
) -> None:
    platform = await start("127.0.0.1:1")
    await platform.publish(uuid4(), 1)
    async with answering(platform) as h:
        status = await told(h)
    assert status["waiting_for"] == ["kafka"]
    assert (status["outbox"]["depth"], status["outbox"]["led"]) == (1, False)
    assert status["outbox"]["age_s"] > 0
    assert (lane(status)["events_behind"], lane(status)["seconds_behind"]) == (None, None)
    assert lane(status)["dead_letters"] == 0


async def test_an_instance_for_commands_alone_asks_no_broker(
    start: Callable[..., Awaitable[Platform]],
) -> None:
    platform = await start("127.0.0.1:1")
    async with answering(platform, roles.Role.API) as h:
        status = await told(h)
    assert (status["role"], status["waiting_for"], status["stuck"]) == ("api", [], [])
    assert (lane(status)["events_behind"], lane(status)["dead_letters"]) == (None, 0)


async def test_without_a_database_the_rest_is_told(
    start: Callable[..., Awaitable[Platform]],
) -> None:
    platform = await start()
    url = make_url(platform.settings.database_url.get_secret_value())
    gone = url.set(host="127.0.0.1", port=1, query={}).render_as_string(hide_password=False)
    async with answering(platform, database_url=type(platform.settings.database_url)(gone)) as h:
        status = await told(h)
    assert "database" in status["waiting_for"]
    assert (status["outbox"], status["failed_deadlines"]) == (None, None)
    assert lane(status)["dead_letters"] is None
    assert lane(status)["events_behind"] is not None


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.OPERATOR])
async def test_it_is_for_operators_alone(h: Harness, role: Role) -> None:
    answer = await h.get(PATH, as_=person("eve", role))
    assert (answer.status_code, answer.json()["type"]) == (
        403,
        "urn:coterie:problem:missing-role",
    )
    assert (await h.client.get(PATH)).status_code == 401


async def _has_heard(platform: Platform, subjects: list[UUID]) -> bool:
    return len(await platform.heard(set(subjects))) == len(subjects)
