"""Faults of what is delivered: again, unreadable, all of it again, or to a stranger."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from typing import Final
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer

from coterie_contracts.topics import TOPICS, Lane
from coterie_replay.brokers.blocking import block_on
from tests.faults.storm import records
from tests.faults.storm.arena import Arena
from tests.faults.storm.deed import Deed
from tests.faults.storm.ground import PARTITIONS
from tests.flows.seasons import read_log

__all__ = ["Churn", "Duplicate", "Park", "Poison", "Republish", "Rewind"]

_GRACE_S: Final = 20.0
_STAY_S: Final = 2.0
_FOLLOWERS: Final = 2


class Duplicate(Deed):
    def begin(self) -> None:
        async def tell_again() -> None:
            log = await read_log(self.arena.kafka)
            await records.copy_some(self.arena.kafka, log, self.choice, self.injected)

        block_on(tell_again())

    def unproven(self) -> str | None:
        again = (n.facts["again"] for n in self.arena.journals.notes("met", since=self.began_at))
        return None if sum(again) else "no instance met a second copy"


class Poison(Deed):
    def begin(self) -> None:
        block_on(records.put_poison(self.arena.kafka, self.injected))


class Park(Deed):
    """A record of a version to come belongs to a suggestion: what follows it must wait."""

    service = "notifications"

    def begin(self) -> None:
        story = self.load.stories[0]
        labels = list(story.suggestions)
        self.subject = story.suggestions[labels[self.choice.randrange(min(5, len(labels)))]]
        self.place = block_on(
            records.put_unknown_version(
                self.arena.kafka, "feedback.accepted", self.subject, self.injected
            )
        )
        self.followers, self.told = 0, ""

    def over(self, *, played: bool) -> bool:
        """Dropped as soon as something waits behind it, which fails while a part is away."""
        self.followers = max(self.followers, self._count("kind = 'parked'"))
        if self.followers < _FOLLOWERS and not played:
            return False
        if self._count("kind <> 'parked' AND state = 'open'"):
            letter = block_on(_value(self.arena, self.service, _OPEN_LETTER, self.subject))
            command = ("redrive", "drop", str(letter), "--reason", "of a version to come")
            self.told = self.arena.run(self.service, *command, "--author", "storm").stdout
        return "dropped" in self.told

    def unproven(self) -> str | None:
        return None if self.followers else "nothing waited behind it"

    def _count(self, which: str) -> int:
        query = f"SELECT count(*) FROM dead_letter WHERE subject = $1 AND {which}"  # noqa: S608 - ours
        with contextlib.suppress(OSError, asyncpg.PostgresError):
            return int(block_on(_value(self.arena, self.service, query, self.subject)))
        return 0


class Rewind(Deed):
    """Everything that a service ever consumed is delivered again."""

    def begin(self) -> None:
        service = self.fault.target
        for one in self.arena.of(service):
            one.running.send(signal.SIGTERM)
        for one in self.arena.of(service):
            one.running.wait(_GRACE_S)
            one.running.kill()
        block_on(records.forget_offsets(self.arena.kafka, service, PARTITIONS))
        for one in self.arena.of(service):
            one.start()

    def unproven(self) -> str | None:
        notes = self.arena.journals.notes("met", of=self.fault.target, since=self.began_at)
        return None if sum(note.facts["again"] for note in notes) else "nothing came again"


class Republish(Deed):
    def begin(self) -> None:
        self.injected.told_again = True
        self.done = self.arena.run(self.fault.target, "republish")

    def unproven(self) -> str | None:
        return None if self.done.returncode == 0 else f"republish failed: {self.done.stdout}"


class Churn(Deed):
    """A stranger joins the group, takes partitions, consumes nothing and leaves again."""

    def begin(self) -> None:
        self.joined = 0
        self._enough = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._come_and_go()))
        self._thread.start()

    def end(self) -> None:
        self._enough.set()
        self._thread.join()

    def unproven(self) -> str | None:
        wanted = max(1, int(self.fault.lasts_s / _STAY_S / 4))
        return None if self.joined >= wanted else f"it joined {self.joined} times only"

    async def _come_and_go(self) -> None:
        service = self.fault.target
        names = [t.name for t in TOPICS if service in t.consumers and t.lane is Lane.PROMPT]
        while not self._enough.is_set():
            consumer = AIOKafkaConsumer(
                *names,
                bootstrap_servers=self.arena.kafka,
                group_id=f"coterie.{service}.{Lane.PROMPT}",
                enable_auto_commit=False,
                session_timeout_ms=6_000,
            )
            with contextlib.suppress(Exception):
                await asyncio.wait_for(consumer.start(), 2 * _STAY_S)
                await asyncio.sleep(_STAY_S)
                self.joined += bool(consumer.assignment())
            with contextlib.suppress(Exception):
                await asyncio.wait_for(consumer.stop(), 2 * _STAY_S)
            await asyncio.sleep(_STAY_S)


async def _value(arena: Arena, service: str, query: str, *values: UUID) -> int:
    connection = await asyncpg.connect(arena.environment(service)["COTERIE_DATABASE_URL"])
    try:
        return int(await connection.fetchval(query, *values))
    finally:
        await connection.close()


_OPEN_LETTER: Final = (
    "SELECT id FROM dead_letter WHERE subject = $1 AND state = 'open' AND kind <> 'parked'"
)
