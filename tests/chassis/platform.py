"""Instances of the sample service on one database and one broker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol
from uuid import UUID, uuid4

import httpx2
from aiokafka import AIOKafkaProducer
from pydantic import SecretStr
from sqlalchemy import select, text

from coterie_chassis.decisions import Cause, Draft
from coterie_chassis.service import Runtime
from coterie_chassis.settings import ChassisSettings
from coterie_chassis.store import Database, UnitOfWork
from coterie_chassis.testing import Harness, Trusting
from coterie_contracts.envelope import Event, encode
from coterie_contracts.feedback import FeedbackSubmitted
from coterie_contracts.model import EventBody

from . import sample


class Broker(Protocol):
    bootstrap: str


class Platform:
    """A database, a broker's address and settings; `instance` runs the service on them."""

    def __init__(self, url: str, bootstrap: str, **settings: Any) -> None:
        self.community = uuid4()
        self.settings = ChassisSettings(
            database_url=SecretStr(url),
            kafka_bootstrap=bootstrap,
            kafka_group_prefix=f"test-{uuid4().hex[:8]}",
            jwks="unused",
            token_issuer="unused",
            kafka_fetch_max_wait_ms=20,
            **settings,
        )
        self.database = Database(url, service="sample")

    def environment(self) -> dict[str, str]:
        """The settings as a process of its own reads them."""
        given = self.settings.model_dump(exclude_unset=True)
        given["database_url"] = self.settings.database_url.get_secret_value()
        return {f"COTERIE_{name.upper()}": str(value) for name, value in given.items()}

    @asynccontextmanager
    async def instance(self) -> AsyncIterator[Runtime]:
        runtime = Runtime(sample.service, self.settings)
        async with runtime.lifespan(None):  # type: ignore[arg-type] - the app is not used
            yield runtime

    @asynccontextmanager
    async def served(self) -> AsyncIterator[Harness]:
        """An instance with its HTTP side."""
        async with self.instance() as runtime:
            runtime.verifier = Trusting()  # type: ignore[assignment]
            transport = httpx2.ASGITransport(app=runtime.app(), raise_app_exceptions=False)
            async with httpx2.AsyncClient(transport=transport, base_url="http://sample") as client:
                yield Harness(runtime, client)

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

    async def send(self, *events: Event[EventBody]) -> None:
        """Put events on their topics past every outbox."""
        async with AIOKafkaProducer(bootstrap_servers=self.settings.kafka_bootstrap) as producer:
            for message in map(encode, events):
                await producer.send_and_wait(
                    message.topic,
                    message.value,
                    key=message.key,
                    headers=list(message.headers),
                )

    async def heard(self, subjects: set[UUID]) -> dict[UUID, list[int]]:
        """Sequences by subject, in the order in which they took effect."""
        order = defaultdict(list)
        async with self.database.begin() as uow:
            rows = await uow.rows(select(sample.heard).order_by(sample.heard.c.position))
        for row in rows:
            if row.subject in subjects:
                order[row.subject].append(row.sequence)
        return order

    async def waiting(self) -> int:
        return await self.count("outbox")

    async def archived(self) -> int:
        return await self.count("outbox_archive")

    async def count(self, table: str) -> int:
        async with self.database.begin() as uow:
            query = text(f"SELECT count(*) FROM {table}")  # noqa: S608 - named by the tests
            return int((await uow.execute(query)).scalar_one())


async def true(check: Callable[[], bool]) -> bool:
    """A condition of this process, for `until`."""
    return check()
