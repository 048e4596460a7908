"""The relay over the package faststream-outbox, as its README wires it and in its order-safe form.

The package takes fewer rows: rates are compared.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from faststream.kafka import KafkaBroker, KafkaResponse
from faststream_outbox import OutboxBroker, make_outbox_table
from faststream_outbox.annotations import OutboxMessage
from sqlalchemy import MetaData, make_url, select
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine

from coterie_contracts.envelope import Message
from tests.bench import service as bench
from tests.bench.measure import Measured, Stopwatch, alternate, row
from tests.bench.relaying import UNIT, drain
from tests.bench.rig import Rig, Stage

__all__: list[str] = []

FEWER = 3_000
QUEUE = "ratings"


class Peer:
    """An outbox table of the package's, with both of its brokers."""

    def __init__(self, stage: Stage, **kafka: Any) -> None:
        self.metadata = MetaData()
        self.table = make_outbox_table(self.metadata, table_name="peer_outbox")
        url = make_url(stage.url).set(drivername="postgresql+asyncpg")
        self.engine: AsyncEngine = create_async_engine(url)
        self.outbox = OutboxBroker(self.engine, outbox_table=self.table, logger=None)
        self.kafka = KafkaBroker(stage.rig.bootstrap, logger=None, **kafka)
        self.publisher = self.kafka.publisher(bench.TOPIC)

    async def drain(self, messages: Sequence[Message]) -> float:
        """Events a second from the commit of the rows until none is left."""
        bodies = [json.loads(message.value or b"{}") for message in messages]
        headers = {name: value.decode() for name, value in messages[0].headers}
        async with self.engine.begin() as connection:
            await connection.run_sync(self.metadata.create_all)
        sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        await self.kafka.start()
        await self.outbox.start()
        try:
            async with sessions() as session, session.begin():
                await self.outbox.publish_batch(
                    *bodies, queue=QUEUE, session=session, headers=headers
                )
            watch = Stopwatch()
            while await self._any_waits():  # noqa: ASYNC110 - the condition lives in a database
                await asyncio.sleep(0.02)
            return len(bodies) / watch.seconds
        finally:
            await self.outbox.stop()
            await self.kafka.stop()
            await self.engine.dispose()

    async def _any_waits(self) -> bool:
        async with self.engine.connect() as connection:
            found = await connection.execute(select(self.table.c.id).limit(1))
            return found.first() is not None


async def as_in_its_readme(stage: Stage, messages: Sequence[Message]) -> float:
    peer = Peer(stage)

    @peer.publisher
    @peer.outbox.subscriber(QUEUE)
    async def relay(body: dict[str, Any]) -> dict[str, Any]:
        return body

    return await peer.drain(messages)


async def in_order(stage: Stage, messages: Sequence[Message]) -> float:
    """Keyed, acknowledged by all, one worker; everything else as large as it may be."""
    peer = Peer(stage, acks="all", enable_idempotence=True)

    @peer.publisher
    @peer.outbox.subscriber(
        QUEUE,
        max_workers=1,
        fetch_batch_size=500,
        min_fetch_interval=0.01,
        max_fetch_interval=0.1,
        terminal_flush_batch_size=100,
    )
    async def relay(body: dict[str, Any], msg: OutboxMessage) -> KafkaResponse:
        return KafkaResponse(body, key=body["contribution_id"].encode(), headers=msg.headers)

    return await peer.drain(messages)


@row(UNIT, at_least=50)
async def relay_vs_faststream_outbox_readme(rig: Rig) -> Measured:
    """The relay over faststream-outbox as its README wires it."""
    async with rig.stage() as stage:
        messages = await stage.keep_outbox(rig.events)
        return await alternate(
            rig,
            lambda: drain(stage, rig.events),
            lambda: as_in_its_readme(stage, messages[:FEWER]),
        )


@row(UNIT, at_least=20)
async def relay_vs_faststream_outbox_ordered(rig: Rig) -> Measured:
    """The relay over faststream-outbox tuned and keyed, with the one worker that keeps order."""
    async with rig.stage() as stage:
        messages = await stage.keep_outbox(rig.events)
        return await alternate(
            rig, lambda: drain(stage, rig.events), lambda: in_order(stage, messages[:FEWER])
        )
