"""coterie-replay over raw aiokafka that reads or sends the same records."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from aiokafka import AIOKafkaConsumer

from coterie_contracts.envelope import Event, decode
from coterie_replay.cluster import connected
from coterie_replay.log import Log
from coterie_replay.memory import drive
from coterie_replay.playing import Player
from coterie_replay.tape import TapeReader, TapeWriter
from tests.bench import service as bench
from tests.bench.measure import Measured, Stopwatch, alternate, row
from tests.bench.rig import Rig

__all__ = ["Taped", "taped"]

UNIT: Final = "records/s"


class Taped:
    """A topic of its own that holds `count` records, and a tape that holds the same."""

    def __init__(self, rig: Rig, tape: Path, count: int) -> None:
        self._rig = rig
        self._tape = tape
        self._count = count
        run = uuid4().hex[:8]
        self._source, self._target = f"taped-{run}.", f"played-{run}."

    async def fill(self) -> None:
        """Make both topics, send the records to one, and record the tape."""
        async with self._rig.stage() as stage:
            messages = await stage.keep_outbox(self._count)
        async with connected(self._rig.bootstrap) as cluster:
            await cluster.create_missing({p + bench.TOPIC for p in (self._source, self._target)})
        async with self._rig.producer() as producer:
            sent = [
                await producer.send(self._source + m.topic, m.value, m.key, headers=list(m.headers))
                for m in messages
            ]
            for each in sent:
                await each
        await self.record()

    async def record(self) -> float:
        """Records a second from the log onto a tape, oldest first."""
        watch = Stopwatch()
        async with Log(self._rig.bootstrap, {bench.TOPIC}, prefix=self._source) as log:
            with TapeWriter(self._tape, log.partitions, overwrite=True) as tape:
                async with aclosing(log.records()) as records:
                    async for each in records:
                        tape.write(each)
        assert tape.records == self._count
        return self._count / watch.seconds

    async def read(self) -> float:
        """Records a second of `getmany`, with nothing done to them."""
        return await self._read(lambda _record: None)

    async def read_events(self) -> float:
        """Records a second of `getmany`, each decoded as an event."""
        return await self._read(lambda r: decode(bench.TOPIC, r.headers, r.value))

    async def _read(self, each: Callable[[Any], object]) -> float:
        watch, seen, topic = Stopwatch(), 0, self._source + bench.TOPIC
        async with AIOKafkaConsumer(
            topic, bootstrap_servers=self._rig.bootstrap, auto_offset_reset="earliest"
        ) as consumer:
            while seen < self._count:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    seen += len(records)
                    for record in records:
                        each(record)
        return seen / watch.seconds

    async def play(self) -> float:
        """Records a second from the tape to another topic, each acknowledged."""
        tape = TapeReader(self._tape)
        player = Player(self._rig.bootstrap, prefix=self._target)
        await player.check([bench.TOPIC])
        watch = Stopwatch()
        await player.play(tape, tape.header.partitions)
        return self._count / watch.seconds

    async def send(self) -> float:
        """Records a second of `send` to the same topic, of records that are in memory."""
        records = list(TapeReader(self._tape))
        async with self._rig.producer(linger_ms=5) as producer:
            watch = Stopwatch()
            futures = [
                await producer.send(
                    self._target + r.topic,
                    r.value,
                    r.key,
                    partition=r.partition,
                    headers=list(r.headers),
                )
                for r in records
            ]
            for future in futures:
                await future
            return len(records) / watch.seconds

    async def drive(self) -> float:
        """Events a second from the tape to a handler, without a broker."""
        events: list[Event[Any]] = []
        watch = Stopwatch()
        await drive(TapeReader(self._tape), events.append)
        assert len(events) == self._count
        return self._count / watch.seconds


@asynccontextmanager
async def taped(rig: Rig) -> AsyncIterator[Taped]:
    """A topic of `rig.events` records and its tape."""
    with tempfile.TemporaryDirectory() as folder:
        made = Taped(rig, Path(folder) / "bench.jsonl", rig.events)
        await made.fill()
        yield made


@row(UNIT)
async def replay_record_vs_raw_read(rig: Rig) -> Measured:
    """Recording a tape over raw `getmany` of the same topic, which keeps nothing."""
    async with taped(rig) as made:
        return await alternate(rig, made.record, made.read)


@row(UNIT)
async def replay_play_vs_raw_send(rig: Rig) -> Measured:
    """Playing a tape over aiokafka's `send()` of the same records from memory."""
    async with taped(rig) as made:
        return await alternate(rig, made.play, made.send)


@row(UNIT)
async def replay_drive_vs_raw_decode(rig: Rig) -> Measured:
    """Driving a handler from a tape in memory over `getmany` with each record decoded."""
    async with taped(rig) as made:
        return await alternate(rig, made.drive, made.read_events)
