"""What every row stands on: Apache Kafka, PostgreSQL, and a database of the row's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import uuid4

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from pydantic import SecretStr
from sqlalchemy import text

from coterie_chassis.outbox import message_of
from coterie_chassis.sending import MAX_BATCH_BYTES
from coterie_chassis.service import Runtime
from coterie_chassis.settings import ChassisSettings
from coterie_chassis.store import Database
from coterie_chassis.testing import create_database
from coterie_contracts.envelope import Message
from tests.bench import service as bench

__all__ = ["Rig", "Stage"]

_AT_ONCE = 100
S = TypeVar("S", bound="Stage")


@dataclass
class Rig:
    """Where to measure and how often. `events` is what a round of a fast thing takes.

    `history` rows stand behind relay and consumer, `ratings` behind a circle, where a row asks.
    """

    bootstrap: str
    admin_url: str
    events: int
    rounds: int
    say: Callable[[str], None]
    history: int = 3_000_000
    ratings: int = 1_000_000

    @asynccontextmanager
    async def stage(self) -> AsyncIterator[Stage]:
        """A database of the row's own, migrated and empty."""
        async with self.stage_of(Stage) as stage:
            yield stage

    @asynccontextmanager
    async def stage_of(self, kind: type[S]) -> AsyncIterator[S]:
        """The same as a stage of another kind."""
        url = await create_database(self.admin_url, bench.service)
        stage = kind(self, url)
        async with stage.database.engine.begin() as connection:
            await connection.run_sync(bench.metadata.create_all)
        await stage.watch()
        try:
            yield stage
        finally:
            await stage.close()

    @asynccontextmanager
    async def producer(self, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
        """A producer with the relay's settings, for references; options change some of them."""
        given = {
            "acks": "all",
            "enable_idempotence": True,
            "linger_ms": 0,
            "max_batch_size": MAX_BATCH_BYTES,
        }
        async with AIOKafkaProducer(
            bootstrap_servers=self.bootstrap, **(given | options)
        ) as producer:
            yield producer

    async def ends(self) -> dict[TopicPartition, int]:
        """Where each partition of the ratings' topic ends now."""
        async with AIOKafkaConsumer(bootstrap_servers=self.bootstrap) as consumer:
            await consumer._client._wait_on_metadata(bench.TOPIC)
            numbers = consumer.partitions_for_topic(bench.TOPIC) or set()
            ends: dict[TopicPartition, int] = await consumer.end_offsets(
                [TopicPartition(bench.TOPIC, number) for number in sorted(numbers)]
            )
            return ends

    async def begin_at(self, group: str, offsets: dict[TopicPartition, int]) -> None:
        """Have a consumer group begin at `offsets`, so that it reads nothing from before."""
        async with AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, group_id=group, enable_auto_commit=False
        ) as consumer:
            consumer.assign(list(offsets))
            await consumer.commit(offsets)


@dataclass
class Stage:
    """The bench's service on a database, as a process of it would hold it."""

    rig: Rig
    url: str
    keys: list[Any] = field(default_factory=lambda: [uuid4() for _ in range(bench.KEYS)])
    settings: ChassisSettings = field(init=False)
    runtime: Runtime = field(init=False)

    def __post_init__(self) -> None:
        self.renew()

    async def watch(self) -> None:
        """Connect, for `drained`."""
        self._watching = await asyncpg.connect(self.url)

    @property
    def database(self) -> Database:
        return self.runtime.database

    def renew(self) -> None:
        """A consumer group that has read nothing yet; everything else as a service has it."""
        self.settings = ChassisSettings(
            database_url=SecretStr(self.url),
            kafka_bootstrap=self.rig.bootstrap,
            kafka_group_prefix=f"bench-{uuid4().hex[:8]}",
            jwks="unused",
            token_issuer="unused",
        )
        self.runtime = Runtime(bench.service, self.settings)

    async def close(self) -> None:
        await self._watching.close()
        await self.database.close()

    async def publish(self, first: int, count: int) -> None:
        """Commit `count` events, as many commands in one transaction as make sense."""
        async with self.database.begin() as uow:
            for start in range(first, first + count, _AT_ONCE):
                size = min(_AT_ONCE, first + count - start)
                drafts = bench.ratings(self.keys, start, size)
                uow.publish(bench.cause(uow, start), *drafts)

    async def keep_outbox(self, count: int) -> list[Message]:
        """Keep `count` rows as the outbox has them, for `fill_outbox`; their records."""
        for start in range(0, count, 5_000):
            await self.publish(start, min(5_000, count - start))
        async with self.database.engine.begin() as connection:
            await connection.execute(text("DROP TABLE IF EXISTS kept"))
            await connection.execute(text(_KEEP))
            rows = (await connection.execute(text("SELECT * FROM kept"))).all()
        await self.empty()
        return [message_of(row.topic, row.key, row.headers, row.value) for row in rows]

    async def fill_outbox(self) -> None:
        """Commit the kept rows again."""
        await self.empty()
        async with self.database.engine.begin() as connection:
            await connection.execute(text(_FILL))

    async def empty(self) -> None:
        """Every round meets tables without a past, and no checkpoint of the round before."""
        async with self.database.engine.begin() as connection:
            await connection.execute(text("TRUNCATE outbox, outbox_archive, inbox, opinion"))
        async with self.database.engine.connect() as connection:
            alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await alone.execute(text("CHECKPOINT"))

    async def drained(self) -> None:
        """Return as soon as the outbox holds no row.

        Looks for the last one, so that what is measured pays little for it.
        """
        last = await self._watching.fetchval(_LAST)
        while await self._watching.fetchval(_STANDS, last):  # noqa: ASYNC110 - it lives in a database
            await asyncio.sleep(0.01)
        while await self._watching.fetchval(_ANY):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)


_KEEP = "CREATE TABLE kept AS SELECT event_id, topic, key, headers, value FROM outbox ORDER BY id"
_FILL = "INSERT INTO outbox (event_id, topic, key, headers, value) SELECT * FROM kept"
_ANY = "SELECT EXISTS (SELECT FROM outbox)"
_LAST = "SELECT max(id) FROM outbox"
_STANDS = "SELECT EXISTS (SELECT FROM outbox WHERE id = $1)"
