"""Plays the demo's season in a test's hands: chapter by chapter, settled, with its tables read.

A platform blocks and starts processes that die with their thread, so it is handled from the test's
own thread; the play, which is asyncio, runs beside it in another.
"""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
import httpx2
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from coterie_contracts.topics import TOPICS, Lane
from coterie_local.demo.season import LEAST_PEOPLE, Season
from coterie_local.demo.stage import Stage
from coterie_local.importers.transport import Answer, Send, Transport
from coterie_local.log import LogReader, Record
from coterie_local.platform import SERVICES, Options, Platform
from coterie_local.tokens import ISSUER
from coterie_local.welcome import LOCAL_BRAND
from coterie_replay.brokers.apache import missing_parts
from coterie_replay.brokers.blocking import block_on
from coterie_replay.brokers.topics import LOOK_UP_MS
from tests.faults.canonical import Canonical, canonical

__all__ = ["CUT", "Played", "options", "perform", "played_once", "read_log", "settled"]

SEED: Final = 1
CUT: Final = 8
"""Chapters of the shorter play: to the end of rewards, so every service decides and applies."""
_PATIENCE_S: Final = 120.0
_KEY: Final = b64encode(bytes(range(32))).decode()


@dataclass(frozen=True)
class Played:
    """A season that was played undisturbed; its platform is stopped and its data still there."""

    options: Options
    records: list[Record]
    tables: Canonical
    tables_at_cut: Canonical
    commands_at_cut: int
    suggestions: dict[str, UUID]
    brief: dict[str, Any]
    redriven: int


def options(data: Path, kafka: str) -> Options:
    """A platform whose keys are the same in every run, and that notices a dead consumer soon."""
    settings = {
        "COTERIE_IDENTITY_KEY": _KEY,
        "COTERIE_CODE_KEYS": f'{{"test": "{_KEY}"}}',
        "COTERIE_KAFKA_SESSION_TIMEOUT_MS": "6000",
        "COTERIE_KAFKA_FETCH_MAX_WAIT_MS": "20",
    }
    return Options(data=data, kafka=kafka, partitions=3, settings=settings)


@dataclass
class Watched(Transport):
    """Tells the number of each command before it is sent."""

    on_command: Callable[[int], None] = lambda _: None

    async def command(self, service: str, method: str, path: str, body: Any, send: Send) -> Answer:
        self.on_command(self.commands + 1)
        return await Transport.command(self, service, method, path, body, send)


async def perform(
    platform: Platform,
    *,
    chapters: int | None = None,
    on_command: Callable[[int], None] = lambda _: None,
    after: Callable[[int], Awaitable[None]] | None = None,
) -> Season:
    """Play the first `chapters` chapters, or all; `after` is awaited with each one's number."""
    async with httpx2.AsyncClient(timeout=30.0) as http:
        transport = Watched(
            http=http,
            bases=platform.urls,
            mint=platform.tokens.mint,
            brand_id=LOCAL_BRAND,
            issuer=ISSUER,
            on_command=on_command,
        )
        stage = Stage(transport, seed=SEED)
        season = Season(stage, platform, LEAST_PEOPLE)
        for number, (_, chapter) in enumerate(season.chapters[:chapters], start=1):
            await chapter()
            if after is not None:
                await after(number)
        return season


async def whole_season(platform: Platform) -> Played:
    """Play everything undisturbed and read what came of it."""
    sent: list[int] = []
    at_cut: list[tuple[Canonical, int]] = []

    async def read_at_cut(number: int) -> None:
        if number == CUT:
            await settled(platform)
            tables = await canonical(platform, await read_log(platform.kafka))
            at_cut.append((tables, sent[-1]))

    season = await perform(platform, on_command=sent.append, after=read_at_cut)
    await settled(platform)
    records = await read_log(platform.kafka)
    tables = await canonical(platform, records)
    return Played(
        options=platform.options,
        records=records,
        tables=tables,
        tables_at_cut=at_cut[0][0],
        commands_at_cut=at_cut[0][1],
        suggestions=season.suggestions,
        brief=season.brief,
        redriven=season.redriven,
    )


def played_once(folders: pytest.TempPathFactory) -> Played:
    """The undisturbed season of this test run, played when first asked for."""
    if not _ONCE:
        kafka = "embedded" if missing_parts() else "apache"
        with Platform(options(folders.mktemp("season"), kafka)) as platform:
            _ONCE.append(block_on(whole_season(platform)))
    return _ONCE[0]


async def read_log(bootstrap: str) -> list[Record]:
    """The whole log up to now."""
    async with LogReader(bootstrap) as reader:
        return [record async for record in reader.records()]


async def settled(platform: Platform, *, within_s: float = _PATIENCE_S) -> None:
    """Wait until nothing is under way: outboxes empty, lag 0, nothing due, merit read again.

    Twice in a row and with the same end offsets, because an effect may begin in between.
    """
    deadline = time.monotonic() + within_s
    async with _watching(platform) as look:
        before: object = None
        while True:
            pending, ends = await look()
            if not pending and ends == before:
                return
            before = None if pending else ends
            assert time.monotonic() < deadline, f"not settled in {within_s:.0f} s: {pending}"
            await asyncio.sleep(0.1)


_Look = Callable[[], Awaitable[tuple[list[str], object]]]


@asynccontextmanager
async def _watching(platform: Platform) -> AsyncIterator[_Look]:
    admin = AIOKafkaAdminClient(bootstrap_servers=platform.kafka)
    consumer = AIOKafkaConsumer(bootstrap_servers=platform.kafka, retry_backoff_ms=LOOK_UP_MS)
    databases = {}
    try:
        await admin.start()
        await consumer.start()
        for service in SERVICES:
            url = platform.environment(service)["COTERIE_DATABASE_URL"]
            databases[service] = await asyncpg.connect(url)

        async def look() -> tuple[list[str], object]:
            pending = [
                f"{service}: {what} {count}"
                for service, database in databases.items()
                for what, query in _UNDER_WAY.items()
                if service == "recognition" or what != "merit to read"
                if (count := await database.fetchval(query))
            ]
            ends = await _ends(admin, consumer)
            return pending + await _lags(admin, ends), ends

        yield look
    finally:
        for database in databases.values():
            await database.close()
        await consumer.stop()
        await admin.close()


async def _ends(admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer) -> dict[Any, int]:
    names = {topic.name for topic in TOPICS}
    partitions = [
        TopicPartition(topic["topic"], partition["partition"])
        for topic in await admin.describe_topics()
        if topic["topic"] in names
        for partition in topic["partitions"]
    ]
    ends: dict[Any, int] = await consumer.end_offsets(partitions)
    return ends


async def _lags(admin: AIOKafkaAdminClient, ends: dict[Any, int]) -> list[str]:
    behind = []
    for service in SERVICES:
        for lane in Lane:
            names = {t.name for t in TOPICS if service in t.consumers and t.lane is lane}
            mine = {place: end for place, end in ends.items() if place.topic in names and end}
            if not mine:
                continue
            group = f"coterie.{service}.{lane}"
            done = await admin.list_consumer_group_offsets(group, partitions=list(mine))
            lag = sum(end - max(done[place].offset, 0) for place, end in mine.items())
            if lag:
                behind.append(f"{group}: lag {lag}")
    return behind


_ONCE: Final[list[Played]] = []
_UNDER_WAY: Final = {
    "outbox": "SELECT count(*) FROM outbox",
    "due": "SELECT count(*) FROM deadline JOIN community_clock USING (community_id) "
    "WHERE due_at <= now AND mode = 'driven'",
    "merit to read": "SELECT count(*) FROM merit_dirty",
}
