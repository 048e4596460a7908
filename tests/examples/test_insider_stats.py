"""Another team's subscriber counts right whatever the order, however often, whenever it stops."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaProducer

from coterie_contracts.envelope import Message, decode, encode
from coterie_contracts.feedback import FeedbackImplemented, FeedbackVerified
from coterie_contracts.samples import sample
from coterie_contracts.topics import topic_of
from coterie_local.platform import Platform
from insider_stats import reader as reader_module
from insider_stats.reader import MissingTopics, Reader
from insider_stats.store import Fact, SetAside, Store
from tests.conftest import Broker
from tests.flows.seasons import Played

IMPLEMENTED: Final = FeedbackImplemented.topic
VERIFIED: Final = FeedbackVerified.topic
_PATIENCE_S: Final = 60.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "stats.sqlite")
    yield opened
    opened.close()


def facts(community: UUID) -> list[Fact]:
    """Two suggestions implemented, one of them in two rounds and then verified."""
    first, second = uuid4(), uuid4()
    return [
        Fact(uuid4(), IMPLEMENTED, community, first),
        Fact(uuid4(), IMPLEMENTED, community, first),
        Fact(uuid4(), VERIFIED, community, first),
        Fact(uuid4(), IMPLEMENTED, community, second),
    ]


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_every_order_ends_in_the_same_counts(tmp_path: Path, order: tuple[int, ...]) -> None:
    community = UUID(int=1)
    told = facts(community)
    store = Store(tmp_path / "stats.sqlite")
    for place in order:
        store.take([told[place]], [])

    assert store.counts() == [(str(community), 2, 1)]
    store.close()


def test_a_fact_that_comes_again_counts_once(store: Store) -> None:
    told = facts(uuid4())

    assert store.take(told + told[:2], []) == 4
    assert store.take(told, []) == 0
    assert [count[1:] for count in store.counts()] == [(2, 1)]


def test_communities_are_counted_apart(store: Store) -> None:
    store.take(facts(UUID(int=2)) + facts(UUID(int=1)), [])

    assert [count.community_id for count in store.counts()] == [
        str(UUID(int=1)),
        str(UUID(int=2)),
    ]


def test_a_store_keeps_its_facts_and_its_name_and_a_new_one_has_another(tmp_path: Path) -> None:
    first = Store(tmp_path / "one.sqlite")
    name = first.group_id()
    first.take(facts(uuid4()), [])
    first.close()
    again = Store(tmp_path / "one.sqlite")

    assert again.group_id() == name
    assert again.counts() != []
    assert Store(tmp_path / "other.sqlite").group_id() != name


def test_a_batch_is_kept_whole_or_not_at_all(store: Store) -> None:
    broken: Any = [*facts(uuid4()), "no fact at all"]

    with pytest.raises(Exception, match="bind"):
        store.take(broken, [])
    assert store.counts() == []
    store.take([], [SetAside(VERIFIED, 0, 7, "null value")])
    assert store.set_aside() == [(VERIFIED, 0, 7, "null value")]


def said(body: type[Any], community: UUID, feedback: UUID) -> Message:
    """A record of a fact about a suggestion, as the platform would send it."""
    event = sample(topic_of(body))
    data = event.data.model_copy(update={"community_id": community, "feedback_id": feedback})
    return encode(replace(event, id=uuid4(), subject=feedback, data=data))


async def send(kafka: Broker, *records: Message) -> None:
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all") as producer:
        for record in records:
            await producer.send_and_wait(
                record.topic, record.value, key=record.key, headers=list(record.headers)
            )


class Reading:
    """The example as a process of its own on a store of its own."""

    def __init__(self, command: Path, bootstrap: str, folder: Path) -> None:
        self._store = folder / "stats.sqlite"
        self._command = [str(command), "--store", str(self._store)]
        self._bootstrap = bootstrap
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        run = [*self._command, "run", "--kafka", self._bootstrap]
        self.process = subprocess.Popen(run, text=True, stderr=subprocess.DEVNULL)

    def end(self, how: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(30)

    def once(self) -> subprocess.CompletedProcess[str]:
        return self._run("run", "--kafka", self._bootstrap, "--once")

    def show(self) -> str:
        return self._run("show").stdout

    def counts(self) -> dict[UUID, tuple[int, int]]:
        rows = re.findall(r"^([0-9a-f-]{36}) +(\d+) +(\d+)$", self.show(), re.MULTILINE)
        return {UUID(name): (int(one), int(other)) for name, one, other in rows}

    def until(self, community: UUID, counts: tuple[int, int]) -> None:
        """Wait for what the store holds, without a process for each look."""
        store = Store(self._store)
        deadline = time.monotonic() + _PATIENCE_S
        try:
            while (str(community), *counts) not in store.counts():
                assert time.monotonic() < deadline, f"not {counts}: {store.counts()}"
                time.sleep(0.05)
        finally:
            store.close()

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._command, *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
            env={"PATH": os.defpath},
        )


@pytest.fixture
def reading(insider_stats: Path, kafka: Broker, topics: int, tmp_path: Path) -> Iterator[Reading]:
    one = Reading(insider_stats, kafka.bootstrap, tmp_path)
    yield one
    if one.process is not None and one.process.poll() is None:
        one.end(signal.SIGKILL)


@pytest.mark.needs_apache_kafka
async def test_it_starts_at_the_beginning_goes_on_after_a_kill_and_counts_nothing_twice(
    reading: Reading, kafka: Broker
) -> None:
    community, first, second = uuid4(), uuid4(), uuid4()
    implemented = said(FeedbackImplemented, community, first)
    await send(kafka, said(FeedbackVerified, community, first), implemented, implemented)
    reading.start()
    reading.until(community, (1, 1))

    assert reading.end(signal.SIGKILL) == -signal.SIGKILL
    await send(kafka, implemented, said(FeedbackImplemented, community, second))
    assert reading.counts()[community] == (1, 1)
    reading.start()
    reading.until(community, (2, 1))
    assert reading.end(signal.SIGTERM) == 0


@pytest.mark.needs_apache_kafka
async def test_what_cannot_be_read_costs_its_neighbours_nothing_and_is_told(
    reading: Reading, kafka: Broker
) -> None:
    community = uuid4()
    good = said(FeedbackImplemented, community, uuid4())
    later = tuple(
        (name, b"coterie.feedback.implemented.v2" if name == "ce_type" else value)
        for name, value in good.headers
    )
    no_text = tuple((n, b"\xff" if n == "ce_actor" else value) for n, value in good.headers)
    bad = [
        Message(good.topic, good.key, later, good.value),
        Message(good.topic, good.key, no_text, good.value),
        Message(good.topic, good.key, good.headers, None),
        Message(good.topic, good.key, good.headers, b"{"),
    ]
    await send(kafka, *bad, good)

    reading.once()

    assert reading.counts()[community] == (1, 0)
    shown = reading.show()
    assert "type 'coterie.feedback.implemented.v2' is not known" in shown
    assert "header 'ce_actor' is not UTF-8" in shown
    assert "null value" in shown


@pytest.mark.needs_apache_kafka
async def test_a_broker_without_the_topics_is_named_before_reading_begins(
    kafka: Broker, topics: int, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader(kafka.bootstrap, store)
    await reader.check()
    monkeypatch.setattr(reader_module, "TOPICS", (IMPLEMENTED, "feedback.invented"))

    with pytest.raises(MissingTopics, match=r"^feedback\.invented$"):
        await reader.check()


def test_without_kafka_it_says_so_in_one_line(insider_stats: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(insider_stats), "--store", str(tmp_path / "s"), "run", "--kafka", "127.0.0.1:1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 1
    assert done.stderr.startswith("no Kafka at 127.0.0.1:1: ")
    assert len(done.stderr.splitlines()) == 1


def test_it_counts_what_the_running_platform_published(
    insider_stats: Path, running: Platform, season: Played, tmp_path: Path
) -> None:
    expected = {
        community: (len(seen[IMPLEMENTED]), len(seen[VERIFIED]))
        for community, seen in published(season).items()
    }
    reading = Reading(insider_stats, running.kafka, tmp_path)

    reading.once()

    assert reading.counts() == expected
    (counts,) = expected.values()
    assert counts[0] > counts[1] > 0
    assert "not read" not in reading.show()


def published(season: Played) -> dict[UUID, dict[str, set[UUID]]]:
    """Suggestions by community and topic, from the log as the audit reads it."""
    found: dict[UUID, dict[str, set[UUID]]] = {}
    for record in season.records:
        if record.topic in {IMPLEMENTED, VERIFIED}:
            event: Any = decode(record.topic, record.headers, record.value)
            seen = found.setdefault(event.data.community_id, {IMPLEMENTED: set(), VERIFIED: set()})
            seen[record.topic].add(event.data.feedback_id)
    return found
