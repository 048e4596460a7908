"""What a user of the plugin writes works, and what fails tells them why."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from coterie_contracts.envelope import encode
from coterie_contracts.feedback import FeedbackVerified
from coterie_contracts.reward import RewardIssued
from coterie_replay.awaiting import Published
from coterie_replay.brokers.finding import Broker
from coterie_replay.plugin import CreateTopics, OpenTape, Play
from coterie_replay.tape import TapeReader, write_tape
from tests.replay.making import event, logged

pytest_plugins = ["pytester"]


@pytest.fixture
def tape(tmp_path: Path) -> OpenTape:
    """Makes a tape of two verified suggestions, whatever it is called."""
    path = tmp_path / "verified.jsonl"
    write_tape(path, [logged(FeedbackVerified, minute, offset=minute) for minute in range(2)])
    return lambda _: TapeReader(path)


class Thanks:
    """A service under test: for each verified suggestion it publishes a reward."""

    def __init__(self, broker: Broker, prefix: str) -> None:
        self._broker = broker
        self._prefix = prefix

    async def __aenter__(self) -> Thanks:
        self._running = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    async def _run(self) -> None:
        consumer = AIOKafkaConsumer(
            f"{self._prefix}feedback.verified",
            bootstrap_servers=self._broker.bootstrap,
            auto_offset_reset="earliest",
            group_id=None,
            metadata_max_age_ms=200,
            fetch_max_wait_ms=20,
        )
        producer = AIOKafkaProducer(bootstrap_servers=self._broker.bootstrap)
        async with consumer, producer:
            async for record in consumer:
                assert dict(record.headers)["coterie-replay"] == b"1"
                message = encode(event(RewardIssued))
                await producer.send_and_wait(
                    f"{self._prefix}{message.topic}",
                    message.value,
                    message.key,
                    headers=list(message.headers),
                )


async def test_a_service_is_tested_from_a_tape(
    *,
    coterie_broker: Broker,
    topic_prefix: str,
    create_topics: CreateTopics,
    tape: OpenTape,
    play: Play,
    published: Published,
) -> None:
    await create_topics("feedback.verified", "reward.issued")
    await play(tape("verified.jsonl"))
    async with Thanks(coterie_broker, topic_prefix):
        seen = await published("reward.issued", where=lambda s: s.data["amount_minor"] == 500)
        both = await published.all("reward.issued", 2)
    assert seen.event.data.topic == seen.topic == "reward.issued"
    assert len({s.event.id for s in both}) == 2
    assert len(await published.so_far()) == 2, "what was played is not what was published"


async def test_what_came_instead_is_shown(
    create_topics: CreateTopics, coterie_broker: Broker, topic_prefix: str, published: Published
) -> None:
    await create_topics("reward.issued", "points.granted")
    async with AIOKafkaProducer(bootstrap_servers=coterie_broker.bootstrap) as producer:
        await producer.send_and_wait(f"{topic_prefix}reward.issued", b'{"amount_minor":700}', b"k")
        await producer.send_and_wait(f"{topic_prefix}points.granted", b"\xff" * 200)

    with pytest.raises(AssertionError) as failed:
        await published("reward.issued", lambda s: s.data["amount_minor"] == 500, within=2)

    assert str(failed.value).splitlines() == [
        "no reward.issued that fits came within 2 s",
        "reward.issued that does not fit: 1",
        '  reward.issued  key k  {"amount_minor":700}',
        "of other topics: 1",
        f"  points.granted  no key  {'�' * 160}…",
    ]


async def test_a_service_that_is_silent_is_said_to_be(published: Published) -> None:
    with pytest.raises(AssertionError, match="nothing came at all: is the service up"):
        await published("reward.issued", within=0.5)


async def test_tests_on_one_broker_do_not_see_each_other(
    coterie_broker: Broker, tape: OpenTape, play: Play, published: Published
) -> None:
    neighbour = Published(coterie_broker.bootstrap, f"test-{uuid4().hex[:10]}.", set())
    await play(tape("verified.jsonl"), fresh_ids=True)
    assert await neighbour.so_far() == []
    assert await published.so_far() == [], "what a test plays does not count"
    with pytest.raises(AssertionError, match="nothing came at all"):
        await published("feedback.verified", within=0.5)


USER_TESTS = """
from datetime import timedelta

import pytest

from coterie_replay.likeness import records_of
from coterie_replay.memory import drive


@pytest.mark.asyncio
async def test_that_waits_in_vain(tape, play, published):
    await play(tape("verified.jsonl"))
    await published("reward.issued", within=0.5)


@pytest.mark.asyncio
async def test_that_has_its_topics_to_itself(published):
    assert await published.so_far() == []


@pytest.mark.asyncio
async def test_that_is_like_the_tape(tape, assert_tape_equal, driven_clock):
    events = []
    await drive(tape("verified.jsonl"), events.append, clock=driven_clock, live=True)
    driven_clock.advance(timedelta(hours=1))
    assert driven_clock().isoformat() == "2026-02-03T11:01:00+00:00"
    assert_tape_equal(events, "verified.jsonl")


@pytest.mark.asyncio
async def test_that_differs(tape, assert_tape_equal):
    assert_tape_equal(list(tape("verified.jsonl"))[:1], "verified.jsonl")


def test_that_has_no_tape_to_compare_with(tape, assert_tape_equal):
    assert_tape_equal(tape("verified.jsonl"), "new.jsonl")


def test_that_names_no_tape(tape):
    tape("nothing.jsonl")
"""


def test_what_a_failing_user_test_prints(
    pytester: pytest.Pytester, kafka: Any, tape: OpenTape, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap)
    verified = tape("verified.jsonl")
    subject = next(iter(verified)).subject
    pytester.makepyfile(USER_TESTS)
    pytester.mkdir("tapes").joinpath("verified.jsonl").write_bytes(verified.path.read_bytes())

    ran = pytester.runpytest_subprocess("-p", "no:cacheprovider")

    ran.assert_outcomes(passed=2, failed=4)
    ran.stdout.fnmatch_lines(
        [
            "*test_that_waits_in_vain*",
            "E*AssertionError: no reward.issued that fits came within 0.5 s",
            "E*nothing came at all: is the service up, and does it use the test's topic_prefix?",
            "*test_that_differs*",
            "E*AssertionError: not as on *tapes/verified.jsonl:",
            f"E*feedback.verified {subject}: 2 expected, 1 came",
            "E*--tape-update keeps what came",
            "*test_that_has_no_tape_to_compare_with*",
            "E*AssertionError: there is no tape *tapes/new.jsonl",
            "*test_that_names_no_tape*",
            "*there is no tape nothing.jsonl beside the test or in *tapes",
        ]
    )
    updated = pytester.runpytest_subprocess(
        "-p", "no:cacheprovider", "--tape-update", "-k", "that_differs or no_tape_to or is_like"
    )
    updated.assert_outcomes(passed=3, deselected=3)
    tapes = pytester.path / "tapes"
    written = [list(TapeReader(tapes / name)) for name in ("verified.jsonl", "new.jsonl")]
    assert written == [list(verified)[:1]] * 2
