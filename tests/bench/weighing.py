"""What a process of each service holds in memory, idle and while it works."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import mean
from typing import Final
from uuid import UUID, uuid4

import asyncpg
import httpx2

from coterie_chassis.auth import Role
from coterie_chassis.service import Service
from coterie_chassis.testing import create_database, until
from coterie_contracts.topics import Lane
from coterie_feedback.service import service as feedback
from coterie_local.tokens import AUDIENCE, ISSUER, TokenIssuer
from coterie_membership.service import service as membership
from coterie_notifications.service import service as notifications
from coterie_recognition.service import service as recognition
from coterie_replay.brokers.processes import free_port
from tests.bench.circles import Circle, keep_circle, keep_suggestions
from tests.bench.commanding import CONNECTIONS, FEWER, rate_through, requests_of
from tests.bench.measure import Measured, row
from tests.bench.rig import Rig

__all__ = ["megabytes"]

SERVICES: Final[Sequence[Service]] = (membership, feedback, recognition, notifications)
MEMBERS, SUGGESTIONS = 100, 300
KEY: Final = b64encode(bytes(32)).decode()
_LOOKS_EVERY_S = 0.25


def megabytes(process_id: int) -> float:
    """The proportional set size of a process, on Linux."""
    lines = Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("Pss:"))
    return int(kilobytes) / 1024


class Weighed:
    """A service in a process of its own, as its command line serves it."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, port: int) -> None:
        self.name = name
        self.process_id = process.pid
        self.port = port
        self.most = 0.0

    async def ready(self) -> bool:
        async with httpx2.AsyncClient() as client:
            try:
                answer = await client.get(f"http://127.0.0.1:{self.port}/health/ready")
            except httpx2.HTTPError:
                return False
        return answer.status_code == 200

    def look(self) -> None:
        self.most = max(self.most, megabytes(self.process_id))


@asynccontextmanager
async def served(service: Service, settings: dict[str, str]) -> AsyncIterator[Weighed]:
    """A whole service with all its roles, once it is ready."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"coterie_{service.name}", "serve"),
        env=os.environ | settings | {"COTERIE_HTTP_PORT": str(port)},
    )
    try:
        weighed = Weighed(service.name, process, port)
        await until(weighed.ready, within_s=120)
        yield weighed
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def look_often(all_: Sequence[Weighed]) -> None:
    """Note the most that each holds, until it is cancelled."""
    while True:
        for one in all_:
            one.look()
        await asyncio.sleep(_LOOKS_EVERY_S)


@row("MB")
async def memory_per_service_mb(rig: Rig) -> Measured:
    """PSS of a service's process, the most under load over idle; the mean of the four."""
    total = max(rig.events // FEWER, CONNECTIONS)
    async with all_served(rig) as (all_, requests, recognitions_url):
        feedback_port = next(one.port for one in all_ if one.name == feedback.name)
        idle = {one.name: megabytes(one.process_id) for one in all_}
        pairs = []
        for number in range(1, rig.rounds + 1):
            rig.say(f"round {number} of {rig.rounds}")
            looking = asyncio.create_task(look_often(all_))
            await rate_through(feedback_port, requests, total)
            await applied(recognitions_url, total * number)
            looking.cancel()
            pairs.append((mean(one.most for one in all_), mean(idle.values())))
    told = {f"{name}_idle_mb": round(size, 1) for name, size in idle.items()}
    told |= {f"{one.name}_loaded_mb": round(one.most, 1) for one in all_}
    return Measured(pairs, told)


@asynccontextmanager
async def all_served(rig: Rig) -> AsyncIterator[tuple[list[Weighed], Iterator[bytes], str]]:
    """The four services around one circle, ratings to send, and the URL of recognition's data."""
    circle = Circle(MEMBERS)
    urls = {service.name: await create_database(rig.admin_url, service) for service in SERVICES}
    suggestions = await fill(urls, circle)
    prefix = f"bench-{uuid4().hex[:8]}"
    await rig.begin_at(f"{prefix}.{recognition.name}.{Lane.BULK}", await rig.ends())
    async with AsyncExitStack() as stack:
        issuer = TokenIssuer(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        settings = {
            "COTERIE_KAFKA_BOOTSTRAP": rig.bootstrap,
            "COTERIE_KAFKA_GROUP_PREFIX": prefix,
            "COTERIE_JWKS": str(issuer.jwks),
            "COTERIE_TOKEN_ISSUER": ISSUER,
            "COTERIE_TOKEN_AUDIENCE": AUDIENCE,
            "COTERIE_IDENTITY_KEY": KEY,
            "COTERIE_CODE_KEYS": json.dumps({"bench": KEY}),
        }
        all_ = [
            await stack.enter_async_context(
                served(service, settings | {"COTERIE_DATABASE_URL": urls[service.name]})
            )
            for service in SERVICES
        ]
        tokens = [issuer.mint(name, [Role.MEMBER]) for name in circle.names]
        yield all_, requests_of([str(id_) for id_ in suggestions], tokens), urls[recognition.name]


async def fill(urls: dict[str, str], circle: Circle) -> list[UUID]:
    """Have the services that copy it know the circle; suggestions of its members."""
    for name in (feedback.name, recognition.name, notifications.name):
        connection = await asyncpg.connect(urls[name])
        await keep_circle(connection, circle)
        await connection.close()
    connection = await asyncpg.connect(urls[feedback.name])
    suggestions = await keep_suggestions(connection, circle, SUGGESTIONS, days=30)
    await connection.close()
    return suggestions


async def applied(url: str, count: int) -> None:
    """Return once recognition holds `count` ratings."""
    connection = await asyncpg.connect(url)

    async def holds() -> bool:
        return bool(await connection.fetchval("SELECT count(*) >= $1 FROM rating", count))

    await until(holds, within_s=300)
    await connection.close()
