"""The busiest command over the same route without a database, from 32 connections."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from uuid import uuid4

import asyncpg

from coterie_chassis.auth import Role
from coterie_chassis.testing import create_database
from coterie_feedback.service import service as feedback
from coterie_local.tokens import AUDIENCE, ISSUER, TokenIssuer
from tests.bench.circles import Circle, keep_circle, keep_suggestions
from tests.bench.measure import Measured, Stopwatch, alternate, row
from tests.bench.rig import Rig

__all__ = ["CONNECTIONS", "FEWER", "Served", "rate_through", "requests_of", "serving"]

UNIT = "requests/s"
CONNECTIONS = 32
MEMBERS, SUGGESTIONS = 100, 300
FEWER = 10  # of `rig.events`, for a request costs more than an event
_REQUEST = (
    "PUT /contributions/{suggestion}/rating HTTP/1.1\r\nHost: service\r\n"
    "Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
    "Idempotency-Key: {key}\r\nContent-Length: {size}\r\n\r\n{body}"
)


class Served:
    """Two services that answer the same requests, and the requests."""

    def __init__(self, ours: int, reference: int, url: str, requests: Iterator[bytes]) -> None:
        self.ours = ours
        self.reference = reference
        self.url = url
        self.requests = requests

    async def empty(self) -> None:
        """Every round meets an outbox without a past, and no checkpoint of the round before."""
        connection = await asyncpg.connect(self.url)
        await connection.execute("TRUNCATE outbox, idempotency, rating")
        await connection.execute("CHECKPOINT")
        await connection.close()


@asynccontextmanager
async def serving(rig: Rig, name: str) -> AsyncIterator[Served]:
    """The role api of feedback on a circle of 100, and the route without a database.

    `name` is that of `tests.bench.serving`.
    """
    url = await create_database(rig.admin_url, feedback)
    circle = Circle(MEMBERS)
    connection = await asyncpg.connect(url)
    await keep_circle(connection, circle)
    suggestions = await keep_suggestions(connection, circle, SUGGESTIONS, days=30)
    await connection.execute("ANALYZE")
    await connection.close()
    with tempfile.TemporaryDirectory() as folder:
        issuer = TokenIssuer(Path(folder))
        tokens = [issuer.mint(name, [Role.MEMBER]) for name in circle.names]
        requests = requests_of([str(id_) for id_ in suggestions], tokens)
        settings = {
            "COTERIE_DATABASE_URL": url,
            "COTERIE_KAFKA_BOOTSTRAP": rig.bootstrap,
            "COTERIE_JWKS": str(issuer.jwks),
            "COTERIE_TOKEN_ISSUER": ISSUER,
            "COTERIE_TOKEN_AUDIENCE": AUDIENCE,
        }
        async with child(name, settings) as ours, child("bare", settings) as reference:
            yield Served(ours, reference, url, requests)


@asynccontextmanager
async def child(name: str, settings: dict[str, str]) -> AsyncIterator[int]:
    """A process that serves; its port."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.serving", name),
        env=os.environ | settings,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        yield int(await process.stdout.readline())
    finally:
        process.terminate()
        await process.wait()


def requests_of(suggestions: list[str], tokens: list[str]) -> Iterator[bytes]:
    """Ratings without end: each of another suggestion and by another member than the one before."""
    for number in count():
        author = number % len(suggestions) % len(tokens)
        rater = (author + 1 + number // len(suggestions) % (len(tokens) - 1)) % len(tokens)
        body = f'{{"value": {number % 11 / 10}}}'
        yield _REQUEST.format(
            suggestion=suggestions[number % len(suggestions)],
            token=tokens[rater],
            key=uuid4(),
            size=len(body),
            body=body,
        ).encode()


async def rate_through(port: int, requests: Iterator[bytes], total: int) -> float:
    """Requests a second that are answered with success, over connections that are kept."""
    prepared = iter([next(requests) for _ in range(total)])
    pairs = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CONNECTIONS)]
    watch = Stopwatch()
    await asyncio.gather(*(ask(*pair, prepared) for pair in pairs))
    seconds = watch.seconds
    for _, writer in pairs:
        writer.close()
    return total / seconds


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, requests: Iterator[bytes]
) -> None:
    """Send one request after the other. Raises `RuntimeError` for an answer other than 200."""
    for request in requests:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        size = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(size)
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(f"{head.decode()}{body.decode()}")


async def compare(rig: Rig, name: str) -> Measured:
    """The named service over the route without a database."""
    total = max(rig.events // FEWER, CONNECTIONS)
    async with serving(rig, name) as served:

        async def ours() -> float:
            await served.empty()
            return await rate_through(served.ours, served.requests, total)

        return await alternate(
            rig, ours, lambda: rate_through(served.reference, served.requests, total)
        )


@row(UNIT, at_least=0.15)
async def http_command_vs_no_database(rig: Rig) -> Measured:
    """Rating, all of it by SQLAlchemy, over the same without a database; 32 connections."""
    return await compare(rig, "plain")


@row(UNIT, at_least=0.35)
async def http_hot_command_vs_no_database(rig: Rig) -> Measured:
    """The same as it is served: hot statements use the driver under SQLAlchemy's pool."""
    return await compare(rig, "feedback")
