"""The pytest plugin: tapes, a broker, and topics that each test has to itself.

Tests that run at the same time on one broker do not see each other, because every topic of a test
has the test's own prefix before its name. What costs time is imported by the fixtures that need it,
because pytest loads this in every run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from coterie_contracts.envelope import Event
    from coterie_replay.awaiting import Published, Seen
    from coterie_replay.brokers.finding import Broker
    from coterie_replay.clock import DrivenClock
    from coterie_replay.playing import Played
    from coterie_replay.record import Record
    from coterie_replay.tape import TapeReader

__all__ = ["AssertTapeEqual", "CreateTopics", "OpenTape", "Play"]

OpenTape = Callable[[str], "TapeReader"]
CreateTopics = Callable[..., Awaitable[None]]


class Play(Protocol):
    """Plays a tape, or any records, to the test's topics, which are made where they are missing."""

    async def __call__(
        self, records: Iterable[Record], *, live: bool = False, fresh_ids: bool = False
    ) -> Played: ...


class AssertTapeEqual(Protocol):
    """Asserts that what came tells the same as a tape; `ignore` are paths like `data.issued_at`."""

    def __call__(
        self,
        came: Iterable[Record | Event[Any] | Seen],
        name: str,
        *,
        ignore: Collection[str] = (),
    ) -> None: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("coterie-replay").addoption(
        "--tape-update",
        action="store_true",
        help="let assert_tape_equal write what came over tapes that differ",
    )


@pytest.fixture(scope="session")
def coterie_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A Kafka: at KAFKA_BOOTSTRAP_SERVERS, else by Docker, Java with Maven, or embedded.

    COTERIE_TEST_KAFKA names the only one of docker, apache and embedded that will do. Tests that
    need one are skipped, with the reason, where none is to be had.
    """
    from coterie_replay.brokers.finding import NoBroker, broker_for_tests  # noqa: PLC0415

    try:
        with broker_for_tests(tmp_path_factory.mktemp("kafka")) as broker:
            yield broker
    except NoBroker as fault:
        pytest.skip(str(fault))


@pytest.fixture
def topic_prefix(coterie_broker: Broker) -> Iterator[str]:
    """What stands before the names of this test's topics; they are deleted after it."""
    from coterie_replay.brokers.blocking import block_on  # noqa: PLC0415
    from coterie_replay.cluster import delete_topics  # noqa: PLC0415

    prefix = f"test-{uuid4().hex[:10]}."
    yield prefix
    block_on(delete_topics(coterie_broker.bootstrap, prefix))


@pytest.fixture
def create_topics(coterie_broker: Broker, topic_prefix: str) -> CreateTopics:
    """`await create_topics("points.granted")` makes topics with the test's prefix."""
    from coterie_replay.cluster import connected  # noqa: PLC0415

    async def create(*topics: str) -> None:
        async with connected(coterie_broker.bootstrap) as cluster:
            await cluster.create_missing(topic_prefix + topic for topic in topics)

    return create


@pytest.fixture
def tape(request: pytest.FixtureRequest) -> OpenTape:
    """`tape("season.jsonl")`: beside the test's file, or in a folder `tapes` there."""
    from coterie_replay.tape import TapeReader  # noqa: PLC0415

    def find(name: str) -> TapeReader:
        __tracebackhide__ = True
        path = _place(request, name)
        if not path.exists():
            pytest.fail(f"there is no tape {name} beside the test or in {path.parent}")
        return TapeReader(path)

    return find


@pytest.fixture
def _played_ids() -> set[str]:
    return set()


@pytest.fixture
def play(coterie_broker: Broker, topic_prefix: str, _played_ids: set[str]) -> Play:
    """`await play(tape("season.jsonl"))` sends a tape to the test's topics, marked as a replay."""
    from coterie_replay.ids import IdMap  # noqa: PLC0415
    from coterie_replay.playing import Player  # noqa: PLC0415
    from coterie_replay.tape import TapeReader  # noqa: PLC0415

    async def send(
        records: Iterable[Record], *, live: bool = False, fresh_ids: bool = False
    ) -> Played:
        ids = IdMap(uuid4().bytes) if fresh_ids else None
        player = Player(coterie_broker.bootstrap, live=live, ids=ids, prefix=topic_prefix)
        partitions = records.header.partitions if isinstance(records, TapeReader) else None
        source = records if isinstance(records, TapeReader) else list(records)
        topics = set()
        for record in source:
            topics.add(record.topic)
            mapped = record if ids is None else ids.record(record)
            if mapped.event_id is not None:
                _played_ids.add(mapped.event_id)
        if live and coterie_broker.kind != "external":
            await _mark_as_test_cluster(coterie_broker.bootstrap)
        await player.check(topics, create=True)
        return await player.play(source, partitions)

    return send


@pytest.fixture
def published(coterie_broker: Broker, topic_prefix: str, _played_ids: set[str]) -> Published:
    """`await published("reward.issued", where=…, within=5)`: what a service published."""
    from coterie_replay.awaiting import Published  # noqa: PLC0415

    return Published(coterie_broker.bootstrap, topic_prefix, _played_ids)


@pytest.fixture
def driven_clock() -> DrivenClock:
    """A clock that only moves when it is told to."""
    from coterie_replay.clock import DrivenClock  # noqa: PLC0415

    return DrivenClock()


@pytest.fixture
def assert_tape_equal(request: pytest.FixtureRequest) -> AssertTapeEqual:
    """`assert_tape_equal(came, "expected.jsonl")`; with --tape-update it writes what came."""
    from coterie_replay.likeness import differences, records_of  # noqa: PLC0415
    from coterie_replay.tape import TapeReader, write_tape  # noqa: PLC0415

    def compare(
        came: Iterable[Record | Event[Any] | Seen], name: str, *, ignore: Collection[str] = ()
    ) -> None:
        __tracebackhide__ = True
        path = _place(request, name)
        records = records_of(came)
        expected = list(TapeReader(path)) if path.exists() else None
        found = None if expected is None else differences(expected, records, ignore)
        if found == []:
            return
        if request.config.getoption("--tape-update"):
            path.parent.mkdir(exist_ok=True)
            write_tape(path, records, overwrite=True)
            return
        told = [f"there is no tape {path}"] if found is None else [f"not as on {path}:", *found]
        raise AssertionError("\n".join([*told, "--tape-update keeps what came"]))

    return compare


def _place(request: pytest.FixtureRequest, name: str) -> Path:
    """Beside the test's file if it is there, else in `tapes`."""
    beside: Path = request.path.parent / name
    return beside if beside.exists() else request.path.parent / "tapes" / name


async def _mark_as_test_cluster(bootstrap: str) -> None:
    """A broker that this run started is for tests, whatever happens on it."""
    from coterie_replay.cluster import connected  # noqa: PLC0415

    async with connected(bootstrap) as cluster:
        await cluster.mark_as_test_cluster()
