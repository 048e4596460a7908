"""Recognition taking ratings from Kafka, and what reading a circle's merit again costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

import asyncpg
from pydantic import SecretStr

from coterie_chassis.service import Runtime
from coterie_chassis.testing import create_database, event_of
from coterie_contracts.envelope import encode
from coterie_contracts.feedback import ContributionKind, ContributionRated
from coterie_contracts.topics import Lane
from coterie_recognition.handlers.refold import refold_merit
from coterie_recognition.service import service as recognition
from coterie_recognition.settings import RecognitionSettings
from tests.bench import circles
from tests.bench.circles import Circle
from tests.bench.measure import Measured, Stopwatch, alternate, row
from tests.bench.rig import Rig

__all__ = ["Recognising", "recognising"]

UNIT: Final = "events/s"
COMMUNITIES, MEMBERS = 1_000, 150
FEW_RATINGS: Final = 10_000
ONE_CIRCLE: Final = 1_000
SOME_CIRCLES: Final = 20
SIZES: Final = (1_000, 10_000, 100_000)
KEY: Final = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


class Recognising:
    """Recognition on a database of its own, with so many circles and ratings."""

    def __init__(self, rig: Rig, url: str, connection: asyncpg.Connection) -> None:
        self._rig = rig
        self._url = url
        self._connection = connection
        self._circles: list[Circle] = []
        self._sent = 0

    async def fill(self, count: int, members: int, ratings: int) -> None:
        """Circles of so many members, and ratings spread over them evenly."""
        contributions = ratings // (members - 1)
        for number in range(count):
            circle = Circle(members)
            await circles.keep_circle(self._connection, circle)
            each = contributions // count + (number < contributions % count)
            await circles.keep_facts(self._connection, circle, each, days_ago=0)
            self._circles.append(circle)
        await self._connection.execute("VACUUM ANALYZE")

    async def take(self, count: int) -> float:
        """Events a second from the first committed batch until all are committed."""
        await self._connection.execute("TRUNCATE inbox, merit_dirty, outbox")
        runtime = self._runtime()
        group = f"{runtime.settings.kafka_group_prefix}.{recognition.name}.{Lane.BULK}"
        await self._rig.begin_at(group, await self._rig.ends())
        await self._send(count)
        async with runtime.lifespan(runtime.app()):
            while not (early := await self._taken()):  # noqa: ASYNC110 - it lives in a database
                await asyncio.sleep(0.005)
            watch = Stopwatch()
            while await self._taken() < count:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.02)
            seconds = watch.seconds
        return (count - early) / seconds if early < count else float("nan")

    async def refold_seconds(self) -> float:
        """How long reading the merit of up to twenty circles again takes."""
        runtime = self._runtime()
        ids = [circle.community_id for circle in self._circles[:SOME_CIRCLES]]
        await self._connection.execute("TRUNCATE merit_dirty")
        await self._connection.execute(_DIRTY, ids)
        try:
            watch = Stopwatch()
            while await self._connection.fetchval(_ANY_DIRTY):
                async with runtime.database.begin() as uow:
                    await refold_merit(uow)
            return watch.seconds
        finally:
            await runtime.database.close()

    async def _taken(self) -> int:
        taken: int = await self._connection.fetchval("SELECT count(*) FROM inbox")
        return taken

    async def _send(self, count: int) -> None:
        async with self._rig.producer() as producer:
            sent = []
            for number in range(self._sent, self._sent + count):
                message = encode(event_of(self._rating(number), uuid4()))
                headers = list(message.headers)
                sent.append(
                    await producer.send(message.topic, message.value, message.key, headers=headers)
                )
            await asyncio.gather(*sent)
        self._sent += count

    def _rating(self, number: int) -> ContributionRated:
        circle = self._circles[number % len(self._circles)]
        now = datetime.now(UTC)
        return ContributionRated(
            rating_id=uuid4(),
            contribution_id=uuid4(),
            contribution_kind=ContributionKind.FEEDBACK,
            community_id=circle.community_id,
            author_id=circle.members[number % circle.size],
            rater_id=circle.members[(number + 1) % circle.size],
            value=number % 11 / 10,
            rated_at=now,
            contributed_at=now,
        )

    def _runtime(self) -> Runtime:
        settings = RecognitionSettings(
            database_url=SecretStr(self._url),
            kafka_bootstrap=self._rig.bootstrap,
            kafka_group_prefix=f"bench-{uuid4().hex[:8]}",
            jwks="unused",
            token_issuer="unused",
            code_keys={"bench": SecretStr(KEY)},
        )
        return Runtime(recognition, settings)


@asynccontextmanager
async def recognising(
    rig: Rig, count: int, members: int, ratings: int
) -> AsyncIterator[Recognising]:
    """Recognition with `count` circles of `members` and `ratings` in all of them."""
    url = await create_database(rig.admin_url, recognition)
    connection = await asyncpg.connect(url)
    try:
        made = Recognising(rig, url, connection)
        await made.fill(count, members, ratings)
        yield made
    finally:
        await connection.close()


@row(UNIT, at_least=0.67)
async def rated_end_to_end(rig: Rig) -> Measured:
    """Recognition taking ratings of 1,000 circles of 150, 1,000,000 behind them over 10,000."""
    count = min(COMMUNITIES, max(rig.ratings // COMMUNITIES, 1))
    few_ratings = min(FEW_RATINGS, rig.ratings)
    told = {}
    for size in [size for size in SIZES if size <= rig.ratings]:
        rig.say(f"one circle of {ONE_CIRCLE:,} with {size:,} ratings")
        async with recognising(rig, 1, ONE_CIRCLE, size) as one:
            told[f"refold_{size}_s"] = round(await one.refold_seconds(), 2)
    rig.say(f"{count:,} circles with {rig.ratings:,} ratings, and with {few_ratings:,}")
    async with (
        recognising(rig, count, MEMBERS, rig.ratings) as many,
        recognising(rig, count, MEMBERS, few_ratings) as few,
    ):
        measured = await alternate(rig, lambda: many.take(rig.events), lambda: few.take(rig.events))
        told["refold_20_circles_s"] = round(await many.refold_seconds(), 3)
        told["refold_20_circles_few_s"] = round(await few.refold_seconds(), 3)
    return Measured(measured.pairs, told)


_ANY_DIRTY: Final = "SELECT EXISTS (SELECT FROM merit_dirty)"
_DIRTY: Final = "INSERT INTO merit_dirty (community_id, at) SELECT unnest($1::uuid[]), now()"
