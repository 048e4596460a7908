"""What was delivered once may come again, and beside it what nobody can read: nothing changes.

The season's own platform is started again on its data, so this also proves that a restart goes on
where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from coterie_chassis.deadletter import COMPACTED
from coterie_contracts.topics import TOPICS, Topic
from coterie_local.audit import audit
from coterie_local.platform import SERVICES, Platform
from coterie_replay.brokers.blocking import block_on
from tests.faults.canonical import Canonical, canonical, differences
from tests.flows.seasons import Played, read_log, settled

pytestmark = [pytest.mark.usefixtures("java_and_maven"), pytest.mark.timeout(600)]

Header = tuple[str, bytes]
_FOREIGN: tuple[Header, ...] = (
    ("content-type", b"application/json"),
    ("ce_specversion", b"1.0"),
    ("ce_source", b"someone/else"),
    ("ce_type", b"somebody.else.happened.v1"),
)
_NOT_TEXT: tuple[Header, ...] = (("ce_id", b"\xff\xfe\x00"), ("ce_source", b"coterie/\xff"))
_POISON: tuple[tuple[bytes | None, tuple[Header, ...]], ...] = (
    (b'{"hello": "there"}', _FOREIGN),
    (None, ()),
    (b"{}", _NOT_TEXT),
)


@pytest.fixture(scope="module")
def again(season: Played) -> Iterator[Platform]:
    """The season's platform, started again."""
    with Platform(season.options) as platform:
        yield platform


def test_a_restart_changes_nothing(again: Platform, season: Played) -> None:
    assert differences(season.tables, _tables(again)) == []


def test_a_whole_log_told_twice_changes_nothing(again: Platform, season: Played) -> None:
    before = block_on(read_log(again.kafka))
    for service in SERVICES:
        done = again.run(service, "republish")
        assert done.returncode == 0, done.stderr[-2000:]
    tables = _tables(again)
    records = block_on(read_log(again.kafka))
    repeatable = sum(record.topic not in COMPACTED for record in before)
    current = {record.key for record in before if record.topic in COMPACTED}
    assert len(records) == len(before) + repeatable + len(current)
    report = audit(records)
    assert report.repeats == repeatable
    assert report.verdict == "clean", report.violations
    # Current state is told under ids of its own, which the inbox keeps beside the first ones.
    told = {"notifications.inbox"} if current else set()
    assert differences(_without(season.tables, told), _without(tables, told)) == []


def test_poison_in_every_topic_is_set_aside_and_changes_nothing(
    again: Platform,
) -> None:
    known, before = block_on(_letters(again)), _tables(again)
    block_on(_poison(again.kafka))
    tables = _tables(again)
    added = {
        service: after - known[service] for service, after in block_on(_letters(again)).items()
    }
    assert added == {service: _expected(service) for service in SERVICES}
    letters = {f"{service}.dead_letter" for service in SERVICES}
    assert differences(_without(before, letters), _without(tables, letters)) == []


def _expected(service: str) -> int:
    return sum(_kept(topic) for topic in TOPICS if service in topic.consumers)


def _kept(topic: Topic) -> int:
    """A null value is a tombstone where a topic is compacted, and no poison."""
    return len(_POISON) - (1 if topic.name in COMPACTED else 0)


def _tables(platform: Platform) -> Canonical:
    block_on(settled(platform))
    return block_on(canonical(platform, block_on(read_log(platform.kafka))))


def _without(tables: Canonical, names: set[str]) -> Canonical:
    return {name: rows for name, rows in tables.items() if name not in names}


async def _poison(bootstrap: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        for topic in TOPICS:
            for value, headers in _POISON:
                key = str(uuid4()).encode()
                await producer.send_and_wait(topic.name, value, key=key, headers=list(headers))
    finally:
        await producer.stop()


async def _letters(platform: Platform) -> dict[str, int]:
    """All dead letters of each service, whatever became of them."""
    found = {}
    for service in SERVICES:
        url = platform.environment(service)["COTERIE_DATABASE_URL"]
        connection = await asyncpg.connect(url)
        found[service] = await connection.fetchval("SELECT count(*) FROM dead_letter")
        await connection.close()
    return found
