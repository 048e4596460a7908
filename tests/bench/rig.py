"""The bench's own service: one event, one effect, through the real runtime."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pydantic import SecretStr
from sqlalchemy import text

from coterie_chassis.consumer import LaneConsumer
from coterie_chassis.decisions import Cause, Draft
from coterie_chassis.outbox import message_of, row_of
from coterie_chassis.relay import Relay
from coterie_chassis.service import Runtime
from coterie_chassis.settings import ChassisSettings
from coterie_chassis.store import UnitOfWork
from coterie_chassis.testing import record_of
from coterie_contracts.envelope import Message, decode
from coterie_contracts.feedback import FeedbackSubmitted
from coterie_contracts.topics import Lane
from tests.bench.measure import Stopwatch
from tests.chassis import sample

__all__ = ["Rig"]

KEYS = 10_000


class Rig:
    """The sample service of the chassis's tests on a database and a broker."""

    def __init__(self, database_url: str, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.settings = ChassisSettings(
            database_url=SecretStr(database_url),
            kafka_bootstrap=bootstrap,
            kafka_group_prefix=f"bench-{uuid4().hex[:8]}",
            jwks="unused",
            token_issuer="unused",
            kafka_fetch_max_wait_ms=20,
            batch_wait_ms=10,
        )
        self.runtime = Runtime(sample.service, self.settings)
        self.database = self.runtime.database
        self.keys = [uuid4() for _ in range(KEYS)]
        self.community = uuid4()

    def drafts(self, count: int) -> list[Draft]:
        return [
            Draft(key := self.keys[number % KEYS], self._body(key), number, str(number))
            for number in range(count)
        ]

    def cause(self, uow: UnitOfWork) -> Cause:
        return Cause(
            id=uuid4(),
            actor="system",
            at=uow.now,
            recorded_at=uow.now,
            correlation_id=uuid4(),
            community_id=self.community,
            brand_id=uuid4(),
            traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )

    async def messages(self, count: int) -> list[Message]:
        """As many records as the outbox would hold, encoded."""
        async with self.database.begin() as uow:
            cause = self.cause(uow)
            rows = [row_of(d, cause, service="sample", now=uow.now) for d in self.drafts(count)]
        return [message_of(r["topic"], r["key"], r["headers"], r["value"]) for r in rows]

    async def fill_outbox(self, count: int) -> None:
        async with self.database.begin() as uow:
            uow.publish(self.cause(uow), *self.drafts(count))

    async def producer(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=self.bootstrap, acks="all", enable_idempotence=True, linger_ms=0
        )
        await producer.start()
        return producer

    async def drain(self, count: int) -> float:
        """Events a second of the relay over `count` rows."""
        await self.fill_outbox(count)
        relay = Relay(self.database, self.settings)
        producer = await self.producer()
        try:
            watch = Stopwatch()
            sent = await relay._drain(producer)
            seconds = watch.seconds
        finally:
            await producer.stop()
        assert sent == count
        return count / seconds

    async def raw_send(self, messages: Sequence[Message]) -> float:
        """Events a second of aiokafka's own `send` of the same records."""
        producer = await self.producer()
        try:
            watch = Stopwatch()
            futures = [
                await producer.send(m.topic, key=m.key, value=m.value, headers=list(m.headers))
                for m in messages
            ]
            for future in futures:
                await future
            return len(messages) / watch.seconds
        finally:
            await producer.stop()

    async def consume(self, count: int, size: int) -> float:
        """Events a second through decode, inbox, handler and commit, in batches of `size`."""
        lane: LaneConsumer = next(x for x in self.runtime.lanes if x.lane is Lane.PROMPT)
        decoded = [decode(m.topic, m.headers, m.value) for m in await self.messages(count)]
        records = [record_of(event) for event in decoded]
        watch = Stopwatch()
        for start in range(0, count, size):
            await lane.apply(records[start : start + size])
        return count / watch.seconds

    async def copy(self, count: int, size: int) -> float:
        """Events a second of decoding and COPY into one table, without any promise."""
        messages = await self.messages(count)
        async with self.database.engine.connect() as connection:
            raw = (await connection.get_raw_connection()).driver_connection
            await raw.execute("CREATE TABLE IF NOT EXISTS copied (event_id uuid, subject uuid)")
            watch = Stopwatch()
            for start in range(0, count, size):
                piece = messages[start : start + size]
                events = [decode(m.topic, m.headers, m.value) for m in piece]
                await raw.copy_records_to_table(
                    "copied", records=[(event.id, event.subject) for event in events]
                )
            return count / watch.seconds

    async def idle_latency(self, tries: int) -> float:
        """Milliseconds from the commit of a command to the committed effect, nothing else going."""
        worst = []
        for _ in range(tries):
            key = uuid4()
            async with self.database.begin() as uow:
                uow.publish(self.cause(uow), Draft(key, self._body(key), 1))
            watch = Stopwatch()
            while not await self._heard(key):
                pass
            worst.append(watch.seconds * 1_000)
        return sorted(worst)[len(worst) // 2]

    async def bare_latency(self, tries: int) -> float:
        """Milliseconds of a bare produce and fetch of one record."""
        topic = FeedbackSubmitted.topic
        (message,) = await self.messages(1)
        consumer = AIOKafkaConsumer(topic, bootstrap_servers=self.bootstrap, fetch_max_wait_ms=20)
        producer = await self.producer()
        await consumer.start()
        try:
            times = []
            await consumer.seek_to_end()
            for _ in range(tries):
                watch = Stopwatch()
                await producer.send_and_wait(topic, key=message.key, value=message.value)
                await consumer.getone()
                times.append(watch.seconds * 1_000)
            return sorted(times)[len(times) // 2]
        finally:
            await consumer.stop()
            await producer.stop()

    async def empty(self) -> None:
        async with self.database.engine.begin() as connection:
            await connection.execute(text("TRUNCATE outbox, outbox_archive, inbox, heard"))

    async def _heard(self, key: UUID) -> bool:
        async with self.database.begin() as uow:
            found = text("SELECT 1 FROM heard WHERE subject = :key")
            return await uow.one_or_none(found, {"key": key}) is not None

    def _body(self, key: UUID) -> FeedbackSubmitted:
        return FeedbackSubmitted(
            feedback_id=key, community_id=self.community, author_id=key, objective_id=None
        )
