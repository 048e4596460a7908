"""What tests of a service stand on: its real HTTP side, handlers and PostgreSQL, without Kafka.

Events go in as encoded records and come out of the outbox table, so codec, inbox, dead letters
and transactions are the real ones.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from itertools import count
from typing import Any, TypeVar
from uuid import UUID, uuid4

import asyncpg
import httpx2
from pydantic import SecretStr
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import select, text
from sqlalchemy.engine import Row, make_url
from uuid_utils.compat import uuid7

from coterie_chassis import migrate
from coterie_chassis.auth import Principal, Role
from coterie_chassis.deadletter import Record
from coterie_chassis.decisions import Refusal
from coterie_chassis.outbox import message_of
from coterie_chassis.service import Runtime, Service
from coterie_chassis.store import Database
from coterie_chassis.tables import outbox
from coterie_contracts.community import ClockMode
from coterie_contracts.envelope import Event, decode, encode
from coterie_contracts.model import EventBody
from coterie_contracts.topics import topic_of

__all__ = [
    "Harness",
    "Trusting",
    "create_database",
    "event_of",
    "harness",
    "person",
    "statements_of",
    "until",
]

B = TypeVar("B", bound=EventBody)
ISSUER = "https://issuer.test"
_offsets = count()


def person(
    name: str,
    *roles: Role,
    brand: UUID | None = None,
    communities: Sequence[UUID] | None = None,
) -> Principal:
    """A caller named `name` with `roles`; staff also need `brand`."""
    reach = None if communities is None else frozenset(communities)
    return Principal(ISSUER, name, frozenset(roles), brand, reach)


def event_of(
    body: B,
    subject: UUID,
    *,
    sequence: int | None = 1,
    at: datetime | None = None,
    community_id: UUID | None = None,
    brand_id: UUID | None = None,
    clock: ClockMode = ClockMode.WALL,
    id: UUID | None = None,  # noqa: A002 - the event's attribute is called so
) -> Event[B]:
    """An event as its owner would send it; the community is taken from the body if it has one."""
    now = datetime.now(UTC)
    return Event(
        id=id or uuid7(),
        source=f"coterie/{topic_of(type(body)).owner}",
        subject=subject,
        time=at or now,
        recorded_time=now,
        data=body,
        brand_id=brand_id,
        community_id=community_id or getattr(body, "community_id", None),
        actor="system",
        causation_id=uuid4(),
        correlation_id=uuid4(),
        sequence=sequence,
        clock=clock,
    )


async def until(condition: Callable[[], Awaitable[bool]], *, within_s: float = 30) -> None:
    """Wait for a condition; `TimeoutError` when it does not come true within `within_s` seconds."""
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - the condition lives in a database
            await asyncio.sleep(0.02)


def record_of(event: Event[EventBody], *, partition: int = 0) -> Record:
    """The Kafka record of an event, at the next offset of a counter."""
    message = encode(event)
    return Record(
        message.topic, partition, next(_offsets), message.key, message.headers, message.value
    )


@dataclass
class StatementCounter:
    """The SQL statements that ran, transaction control aside."""

    statements: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.statements)


class Trusting:
    """Takes a principal's JSON for a token: the harness tests rights, not signatures."""

    async def verify(self, token: str) -> Principal:
        try:
            claims = json.loads(bytes.fromhex(token))
        except ValueError:
            raise Refusal("invalid-token", "The access token was refused.", status=401) from None
        return Principal(
            issuer=claims["iss"],
            subject=claims["sub"],
            roles=frozenset(Role(role) for role in claims["roles"]),
            brand_id=UUID(claims["brand"]) if claims["brand"] else None,
            communities=(
                None
                if claims["communities"] is None
                else frozenset(UUID(c) for c in claims["communities"])
            ),
        )


class Harness:
    """A service on a database of its own."""

    def __init__(self, runtime: Runtime, client: httpx2.AsyncClient) -> None:
        self.runtime = runtime
        self.client = client

    @property
    def database(self) -> Database:
        return self.runtime.database

    async def deliver(self, *events: Event[EventBody]) -> None:
        """Apply events as one batch a lane, in this order, through inbox and handlers."""
        await self.deliver_records(*(record_of(event) for event in events))

    async def deliver_records(self, *records: Record) -> None:
        """Apply raw records as one batch a lane."""
        for lane in self.runtime.lanes:
            if mine := [record for record in records if record.topic in lane.topics]:
                await lane.apply(mine)

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        as_: Principal | None,
        key: str | None = None,
        at: datetime | None = None,
        if_match: int | None = None,
        after: str | None = None,
        params: dict[str, Any] | None = None,
    ) -> httpx2.Response:
        """One HTTP request as a principal, with the headers that commands know."""
        headers = {
            "Idempotency-Key": key,
            "Coterie-Occurred-At": None if at is None else at.isoformat(),
            "If-Match": None if if_match is None else f'"{if_match}"',
            "Coterie-After": after,
            "Authorization": None if as_ is None else f"Bearer {_token(as_)}",
        }
        return await self.client.request(
            method,
            path,
            content=None if body is None else json.dumps(body, default=str),
            params=params,
            headers={
                "Content-Type": "application/json",
                **{name: value for name, value in headers.items() if value is not None},
            },
        )

    async def get(self, path: str, **options: Any) -> httpx2.Response:
        return await self.request("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> httpx2.Response:
        return await self.request("POST", path, body, **options)

    async def put(self, path: str, body: Any = None, **options: Any) -> httpx2.Response:
        return await self.request("PUT", path, body, **options)

    async def delete(self, path: str, **options: Any) -> httpx2.Response:
        return await self.request("DELETE", path, **options)

    async def published(self, *bodies: type[B]) -> list[Event[B]]:
        """What stands in the outbox, in order; only events of `bodies` if any are named."""
        async with self.database.begin() as uow:
            rows = await uow.rows(select(outbox).order_by(outbox.c.id))
        messages = [message_of(r.topic, r.key, r.headers, r.value) for r in rows]
        events = [decode(m.topic, m.headers, m.value) for m in messages if m.value is not None]
        return [e for e in events if not bodies or isinstance(e.data, bodies)]  # type: ignore[misc]

    async def sweep(self, at: datetime | None = None) -> int:
        """Act on due deadlines; `at` stands in for the wall clock."""
        return await self.runtime.sweeper.sweep(self.database, at=at)

    async def run_tasks(self) -> None:
        """Run each periodic task of the service once."""
        for task in self.runtime.service.tasks:
            async with self.database.begin() as uow:
                await task.run(uow)

    async def dead_letters(self) -> Sequence[Row[Any]]:
        """Open dead letters, oldest first."""
        async with self.database.begin() as uow:
            return await uow.rows(
                text("SELECT * FROM dead_letter WHERE state = 'open' ORDER BY id")
            )

    async def know(self, community_id: UUID, **columns: Any) -> None:
        """Make a community's clock known, as its first event would."""
        values = {
            "id": community_id,
            "brand": columns.get("brand_id"),
            "mode": columns.get("mode", "wall"),
            "now": columns.get("now", datetime.now(UTC)),
        }
        async with self.database.begin() as uow:
            await uow.execute(_KNOW, values)

    def statements(self) -> AbstractContextManager[StatementCounter]:
        """Count the SQL statements that run inside the block."""
        return statements_of(self.database)


@contextmanager
def statements_of(database: Database) -> Iterator[StatementCounter]:
    """Count the SQL statements that run on a database's pool inside the block."""
    counter = StatementCounter()

    def note(_c: Any, _cur: Any, statement: str, *_: Any) -> None:
        counter.statements.append(statement)

    engine = database.engine.sync_engine
    sqlalchemy_event.listen(engine, "before_cursor_execute", note)
    try:
        yield counter
    finally:
        sqlalchemy_event.remove(engine, "before_cursor_execute", note)


@asynccontextmanager
async def harness(
    service: Service, database_url: str, settings: dict[str, Any] | None = None
) -> AsyncIterator[Harness]:
    """Run a service's HTTP side on a migrated database, with nothing in the background."""
    values = {
        "database_url": SecretStr(database_url),
        "kafka_bootstrap": "unused:1",
        "jwks": "unused",
        "token_issuer": ISSUER,
        **(settings or {}),
    }
    runtime = Runtime(service, service.settings(**values))
    runtime.verifier = Trusting()  # type: ignore[assignment]
    transport = httpx2.ASGITransport(app=runtime.app(), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://service") as client:
        try:
            yield Harness(runtime, client)
        finally:
            await runtime.database.close()


async def create_database(admin_url: str, service: Service) -> str:
    """A new migrated database for `service` on the server at `admin_url`; returns its URL.

    The first call for a schema builds a template; later ones clone it.
    """
    template = f"template_{service.name}_{_schema_digest(service)}"
    name = f"test_{service.name}_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(_plain_url(admin_url))
    try:
        await admin.execute("SELECT pg_advisory_lock(7203559)")
        if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", template):
            await admin.execute(f'CREATE DATABASE "{template}_new"')
            database = Database(_url_of(admin_url, f"{template}_new"), service=service.name)
            await migrate.upgrade(database, service)
            await database.close()
            await admin.execute(f'ALTER DATABASE "{template}_new" RENAME TO "{template}"')
        await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
    finally:
        await admin.close()
    return _url_of(admin_url, name)


def _schema_digest(service: Service) -> str:
    files = sorted(path for path in migrate.revision_files(service))
    return sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:8]


def _url_of(admin_url: str, database: str) -> str:
    return make_url(admin_url).set(database=database).render_as_string(hide_password=False)


def _plain_url(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _token(principal: Principal) -> str:
    claims = {
        "iss": principal.issuer,
        "sub": principal.subject,
        "roles": sorted(principal.roles),
        "brand": None if principal.brand_id is None else str(principal.brand_id),
        "communities": (
            None if principal.communities is None else sorted(map(str, principal.communities))
        ),
    }
    return json.dumps(claims).encode().hex()


_KNOW = text(
    "INSERT INTO community_clock (community_id, brand_id, mode, now) "
    "VALUES (:id, :brand, :mode, :now) ON CONFLICT DO NOTHING"
)
