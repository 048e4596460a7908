"""What is recorded from a broker goes back to a broker as it was, and marked."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import aclosing
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import TopicAuthorizationFailedError

from coterie_contracts.feedback import FeedbackSubmitted, FeedbackVerified
from coterie_contracts.member import MemberContact
from coterie_replay import log as log_module
from coterie_replay.cluster import TEST_CLUSTER, connected
from coterie_replay.faults import ReplayFault
from coterie_replay.ids import IdMap
from coterie_replay.log import Log
from coterie_replay.playing import Pace, Player, prepared
from coterie_replay.record import Record
from tests.replay.making import logged, season

MARK = ("coterie-replay", b"1")


@pytest.fixture
def prefix() -> str:
    return f"t{uuid4().hex[:8]}."


async def played(
    kafka: Any,
    prefix: str,
    records: list[Record],
    partitions: dict[str, int] | None = None,
    **options: Any,
) -> Player:
    player = Player(kafka.bootstrap, prefix=prefix, **options)
    await player.check({record.topic for record in records}, create=True)
    await player.play(records, partitions)
    return player


async def read(kafka: Any, prefix: str) -> list[Record]:
    async with Log(kafka.bootstrap, prefix=prefix) as log, aclosing(log.records()) as records:
        return [record async for record in records]


def by_partition(records: list[Record]) -> dict[tuple[str, int], list[Record]]:
    found = defaultdict(list)
    for record in records:
        found[record.topic, record.partition].append(record)
    return dict(found)


async def test_records_come_back_byte_for_byte_in_the_order_of_time(
    kafka: Any, prefix: str
) -> None:
    originals = season(300)
    await played(kafka, prefix, originals)

    first = await read(kafka, prefix)
    assert [marked(r) for r in originals] == [told(r) for r in first]

    again = f"{prefix}again."
    async with Log(kafka.bootstrap, prefix=prefix) as log:
        partitions = log.partitions
    await played(kafka, again, first, partitions)
    assert await read(kafka, again) == first, "partitions, offsets and timestamps included"


def told(record: Record) -> tuple[object, ...]:
    return record.topic, record.timestamp, record.key, record.headers, record.value


def marked(record: Record) -> tuple[object, ...]:
    return told(replace(record, headers=(*record.headers, MARK)))


async def test_what_is_no_event_goes_back_as_it_was(kafka: Any, prefix: str) -> None:
    odd = replace(
        logged(FeedbackVerified),
        key=b"\xff",
        headers=(("h", None), ("h", b"\xff"), ("", b"")),
        value=None,
    )
    odder = replace(odd, timestamp=odd.timestamp + 1, key=None, value=b"")
    await played(kafka, prefix, [odd, odder])
    assert [told(r) for r in await read(kafka, prefix)] == [marked(odd), marked(odder)]


async def test_events_of_a_key_keep_their_order_when_ids_are_mapped(
    kafka: Any, prefix: str
) -> None:
    keys = [uuid4() for _ in range(5)]
    originals = [logged(FeedbackVerified, n, subject=keys[n % 5], offset=n) for n in range(100)]
    ids = IdMap(b"a secret of tests")
    await played(kafka, prefix, originals, ids=ids)

    got = await read(kafka, prefix)

    wanted = [ids.record(r).event_id for r in originals]
    assert [r.event_id for r in got] == wanted
    assert len({(r.key, r.partition) for r in got}) == len(keys)


async def test_following_goes_on_until_it_is_cancelled(kafka: Any, prefix: str) -> None:
    await played(kafka, prefix, season(3))
    seen: asyncio.Queue[Record] = asyncio.Queue()

    async def follow() -> None:
        async with (
            Log(kafka.bootstrap, prefix=prefix) as log,
            aclosing(log.records(follow=True)) as records,
        ):
            async for record in records:
                seen.put_nowait(record)

    async with asyncio.timeout(30):
        following = asyncio.create_task(follow())
        early = [await seen.get() for _ in range(3)]
        later = logged(FeedbackSubmitted, 10_000)
        await played(kafka, f"{prefix}", [later])
        assert told(await seen.get()) == marked(later)
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following
    assert len(early) == 3


async def test_small_fetches_give_the_same_stream(
    kafka: Any, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "_FETCH_BYTES", 2_000)
    originals = season(200)
    await played(kafka, prefix, originals)
    assert [r.event_id for r in await read(kafka, prefix)] == [r.event_id for r in originals]


async def test_contact_data_is_neither_read_nor_played(kafka: Any, prefix: str) -> None:
    contact = logged(MemberContact)
    player = await played(kafka, prefix, [contact, logged(FeedbackVerified)])
    assert player.played.topics == {"feedback.verified": 1}
    async with Log(kafka.bootstrap, {"member.contact", "feedback.verified"}, prefix=prefix) as log:
        assert log.partitions.keys() == {"feedback.verified"}


async def test_only_a_test_cluster_takes_records_without_the_mark(kafka: Any, prefix: str) -> None:
    record = replace(logged(FeedbackVerified), headers=(*logged(FeedbackVerified).headers, MARK))
    async with connected(kafka.bootstrap) as cluster:
        if not await cluster.is_for_tests():
            with pytest.raises(ReplayFault, match=rf"not marked as one for tests.*{TEST_CLUSTER}"):
                await played(kafka, prefix, [record], live=True)
        await cluster.mark_as_test_cluster()
        assert await cluster.is_for_tests()

    await played(kafka, prefix, [record], live=True)
    assert [MARK in r.headers for r in await read(kafka, prefix)] == [False]


@pytest.mark.needs_apache_kafka
async def test_topics_that_are_missing_are_named(kafka: Any, prefix: str) -> None:
    with pytest.raises(ReplayFault, match=r"4 topics are not on .*: .*, …; create them first"):
        await Player(kafka.bootstrap, prefix=prefix).check({"a.b", "c.d", "e.f", "g.h"})


async def test_no_broker_is_one_line() -> None:
    with pytest.raises(ReplayFault, match=r"no Kafka answers at 127\.0\.0\.1:1 "):
        await Player("127.0.0.1:1").check({"a.b"})


async def test_a_cluster_that_refuses_is_one_line(
    kafka: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise TopicAuthorizationFailedError

    monkeypatch.setattr(AIOKafkaAdminClient, "describe_topics", refuse)
    with pytest.raises(ReplayFault, match=r"refuses what is asked of it \(TopicAuthorization"):
        await Player(kafka.bootstrap).check({"a.b"})
    with pytest.raises(ReplayFault, match=r"cannot be read \(TopicAuthorizationFailedError\)"):
        async with Log(kafka.bootstrap):
            pass


def test_the_mark_is_there_once_or_not_at_all() -> None:
    record = replace(logged(FeedbackVerified), headers=(MARK, ("x", b"1"), MARK))
    assert [r.headers for r in prepared([record])] == [(("x", b"1"), MARK)]
    assert [r.headers for r in prepared([record], live=True)] == [(("x", b"1"),)]


@pytest.mark.parametrize(("speed", "waits"), [(None, [0, 0]), (1.0, [0, 60]), (120.0, [0, 0.5])])
def test_the_pace_is_the_logs_own_divided_by_the_speed(
    speed: float | None, waits: list[float]
) -> None:
    pace = Pace(speed, clock=lambda: 7.0)
    assert [pace.ahead(logged(FeedbackVerified, minute)) for minute in (0, 1)] == waits


async def test_a_paced_play_waits_for_each_records_turn(kafka: Any, prefix: str) -> None:
    now, waited = 0.0, []

    async def sleep(seconds: float) -> None:
        nonlocal now
        waited.append(round(seconds, 3))
        now += seconds

    pace = Pace(60.0, clock=lambda: now, sleep=sleep)
    await played(
        kafka, prefix, [logged(FeedbackVerified, minute) for minute in (0, 1, 1, 3)], pace=pace
    )
    assert waited == [1.0, 2.0]
