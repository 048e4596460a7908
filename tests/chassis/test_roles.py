"""Each role alone starts what it needs and no more, and three of them are the whole service."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from uuid import UUID, uuid4

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from coterie_chassis import health
from coterie_chassis.errors import ConfigurationFault
from coterie_chassis.roles import Role
from coterie_chassis.service import Runtime, Service
from coterie_chassis.settings import ChassisSettings
from coterie_chassis.testing import Harness, until
from coterie_membership.service import service as membership
from coterie_replay.brokers.processes import free_port

from . import sample
from .platform import Broker, Platform, true

ROOT = Path(__file__).resolve().parents[2]
ISSUER = "https://issuer.example"
NOWHERE = "127.0.0.1:1"
SERVE = (
    "from coterie_chassis.cli import run; from tests.chassis.sample import service; run(service)"
)


@pytest.fixture
async def make(
    fresh_database: Callable[[Service], Awaitable[str]],
) -> AsyncIterator[Callable[[str], Awaitable[Platform]]]:
    sample.mend()
    made: list[Platform] = []

    async def make_one(bootstrap: str) -> Platform:
        made.append(Platform(await fresh_database(sample.service), bootstrap))
        return made[-1]

    yield make_one
    for platform in made:
        await platform.database.close()


Make = Callable[[str], Awaitable[Platform]]


@asynccontextmanager
async def running(platform: Platform, only: Role) -> AsyncIterator[Runtime]:
    runtime = Runtime(sample.service, platform.settings, only)
    async with runtime.lifespan(None):  # type: ignore[arg-type] - the app is not used
        yield runtime


async def told(runtime: Runtime) -> tuple[int, dict[str, object]]:
    answer = await health.ready(runtime)
    return answer.status_code, json.loads(bytes(answer.body))


def token_and_keys(folder: Path) -> tuple[str, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    path = folder / "jwks.json"
    path.write_text(json.dumps({"keys": [jwk | {"kid": "one", "alg": "ES256"}]}))
    claims = {
        "iss": ISSUER,
        "aud": "coterie",
        "sub": "ann",
        "exp": int(time.time()) + 600,
        "roles": ["member"],
    }
    return jwt.encode(claims, key, algorithm="ES256", headers={"kid": "one"}), path


@asynccontextmanager
async def serving(platform: Platform, only: Role, jwks: Path) -> AsyncIterator[str]:
    """A process of one role; its URL."""
    port = free_port()
    settings = {
        "COTERIE_HTTP_PORT": str(port),
        "COTERIE_JWKS": str(jwks),
        "COTERIE_TOKEN_ISSUER": ISSUER,
    }
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SERVE, "serve", "--only", only.value),
        env={**os.environ, **platform.environment(), **settings},
        cwd=ROOT,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        with suppress(ProcessLookupError):
            child.terminate()
        await child.wait()


async def is_ready(client: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}{health.READY}")).status_code == 200
    except httpx2.TransportError:
        return False


async def test_three_processes_of_one_role_each_are_the_whole_service(
    make: Make, any_kafka: Broker, topics: int, tmp_path: Path
) -> None:
    platform = await make(any_kafka.bootstrap)
    token, jwks = token_and_keys(tmp_path)
    await Harness(Runtime(sample.service, platform.settings), None).know(platform.community)  # type: ignore[arg-type] - without HTTP
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx2.AsyncClient())
        urls = {
            role: await stack.enter_async_context(serving(platform, role, jwks)) for role in Role
        }
        for role, url in urls.items():
            await until(lambda url=url: is_ready(client, url))  # type: ignore[misc] # this one
            assert (await client.get(f"{url}{health.READY}")).json()["role"] == role
            assert (await client.get(f"{url}{health.LIVE}")).json() == {"stuck": []}

        note = {"community_id": str(platform.community), "text": "x", "remind_in_s": 0}
        sent = {
            role: await client.post(
                f"{url}/notes", json=note, headers={"authorization": f"Bearer {token}"}
            )
            for role, url in urls.items()
        }
        assert {role: answer.status_code for role, answer in sent.items()} == {
            Role.API: 201,
            Role.CONSUMER: 404,
            Role.RELAY: 404,
        }
        note_id = UUID(sent[Role.API].json()["note_id"])

        async def heard() -> bool:
            return await platform.heard({note_id}) == {note_id: [1, 2]}

        await until(heard)  # the command's event, and its deadline's


async def test_an_api_needs_no_broker_and_sends_nothing(make: Make) -> None:
    platform = await make(NOWHERE)
    async with running(platform, Role.API) as runtime:
        runtime.relay.last_progress = runtime.sweeper.last_progress = 0.0
        assert await told(runtime) == (200, {"role": "api", "waiting_for": [], "halted": {}})
        assert (await health.live(runtime)).status_code == 200, "no loop of its own is stuck"
        assert runtime.subscriptions is None
        assert not runtime.relay.leading


async def test_a_commit_in_one_role_rings_the_relay_in_another(
    make: Make, any_kafka: Broker, topics: int
) -> None:
    """Its own look would come after ten minutes."""
    platform = await make(any_kafka.bootstrap)
    platform.settings = platform.settings.model_copy(update={"relay_poll_ms": 600_000})
    async with running(platform, Role.RELAY) as relay, running(platform, Role.API) as api:
        await until(lambda: true(lambda: relay.relay.leading))
        assert relay.subscriptions is None
        for sequence in range(1, 4):
            async with api.database.begin() as uow:
                platform.fact(uow, uuid4(), sequence)
            await until(lambda: sent(platform, sequence))  # noqa: B023 - awaited here


async def sent(platform: Platform, count: int) -> bool:
    return await platform.archived() == count


async def test_a_consumer_applies_and_leaves_its_outbox_to_the_relay(
    make: Make, any_kafka: Broker, topics: int
) -> None:
    platform = await make(any_kafka.bootstrap)
    subject = uuid4()
    async with running(platform, Role.RELAY):
        await platform.publish(subject, 1)
        await until(lambda: sent(platform, 1))
    async with running(platform, Role.CONSUMER) as consumer:
        await platform.publish(subject, 2)

        async def heard() -> bool:
            return await platform.heard({subject}) == {subject: [1]}

        await until(heard)
        assert await told(consumer) == (200, {"role": "consumer", "waiting_for": [], "halted": {}})
        assert await platform.waiting() == 1


async def test_a_relay_that_leads_is_ready_when_it_reaches_kafka(make: Make) -> None:
    platform = await make(NOWHERE)
    async with running(platform, Role.RELAY) as relay:

        async def waits_for_kafka() -> bool:
            return await told(relay) == (
                503,
                {"role": "relay", "waiting_for": ["kafka"], "halted": {}},
            )

        await until(waits_for_kafka)
        assert (await health.live(relay)).status_code == 200


def settings_of(service: Service) -> ChassisSettings:
    return service.settings.model_validate(
        {
            "database_url": "postgresql://nobody@127.0.0.1:1/none",
            "kafka_bootstrap": NOWHERE,
            "jwks": "unused",
            "token_issuer": ISSUER,
            "identity_key": "0123456789abcdef",
        }
    )


def test_deadlines_are_where_the_log_is_applied() -> None:
    listening = {
        only: Runtime(sample.service, settings_of(sample.service), only).sweeps
        for only in (None, *Role)
    }
    silent = {
        only: Runtime(membership, settings_of(membership), only).sweeps for only in (None, *Role)
    }
    assert [only for only, sweeps in listening.items() if sweeps] == [None, Role.CONSUMER]
    assert [only for only, sweeps in silent.items() if sweeps] == [None, Role.RELAY]


def test_a_service_that_listens_to_nothing_has_no_consumer() -> None:
    with pytest.raises(ConfigurationFault, match="membership listens to no topic"):
        Runtime(membership, settings_of(membership), Role.CONSUMER).check()
