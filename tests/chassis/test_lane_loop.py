"""How a lane cuts what it is given, what it commits, and what it asks for again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from pydantic import SecretStr

from coterie_chassis import subscriptions
from coterie_chassis.deadletter import Record
from coterie_chassis.errors import HaltedConsumer
from coterie_chassis.settings import ChassisSettings
from coterie_chassis.subscriptions import LaneLoop, Offsets
from coterie_contracts.topics import Lane

SETTINGS = ChassisSettings(
    database_url=SecretStr("unused"),
    kafka_bootstrap="unused:1",
    jwks="unused",
    token_issuer="unused",
)
T, U = TopicPartition("t", 0), TopicPartition("u", 1)


def records(count: int, at: TopicPartition = T, start: int = 0) -> list[Record]:
    return [Record(at.topic, at.partition, start + n, None, [], b"") for n in range(count)]


class Bench:
    """A lane whose pieces take as long as the test says, on a clock that stands otherwise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.cost_s = 0.0
        self.fails: list[BaseException | None] = []
        self.pieces: list[int] = []
        self.given: list[Sequence[Record]] = []
        self.announced: list[Sequence[Record]] = []
        self.committed: list[Offsets] = []
        consumer: Any = SimpleNamespace(lane=Lane.PROMPT, apply=self.apply)
        self.lane = LaneLoop("sample", consumer, SETTINGS)
        clock = SimpleNamespace(monotonic=lambda: self.now, time=lambda: self.now)
        monkeypatch.setattr(subscriptions, "time", clock)
        monkeypatch.setattr(subscriptions, "_FIRST_PAUSE_S", 0.001)
        monkeypatch.setattr(subscriptions, "_LONGEST_PAUSE_S", 0.001)
        self.lane._pause = 0.001

    async def apply(self, piece: Sequence[Record], following: Sequence[Record] = ()) -> None:
        self.announced.append(following)
        self.given.append(piece)
        self.pieces.append(len(piece))
        self.now += self.cost_s * len(piece)
        if self.fails and (error := self.fails.pop(0)) is not None:
            raise error

    async def commit(self, offsets: Offsets) -> None:
        self.committed.append(offsets)

    async def take(self, given: Sequence[Record]) -> Sequence[Record]:
        return await self.lane.take(given, self.commit)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


async def test_pieces_shrink_until_a_transaction_takes_a_quarter_of_a_second(
    bench: Bench,
) -> None:
    bench.cost_s = 0.02

    await bench.take(records(500))
    bench.pieces.clear()
    await bench.take(records(500))

    assert max(bench.pieces) * bench.cost_s <= 0.25
    assert max(bench.pieces) > 1


async def test_pieces_grow_to_the_size_of_a_batch_while_they_are_quick(bench: Bench) -> None:
    bench.cost_s = 0.00001

    for _ in range(5):
        await bench.take(records(1_000))

    assert bench.pieces[-1] == SETTINGS.batch_size


async def test_one_slow_event_is_a_piece_of_its_own_and_no_smaller(bench: Bench) -> None:
    bench.cost_s = 10.0

    await bench.take(records(200))
    await bench.take(records(3))

    assert bench.pieces[-3:] == [1, 1, 1]


async def test_a_piece_is_announced_with_the_one_before_it(bench: Bench) -> None:
    bench.cost_s = 0.002
    bench.lane._size = 100

    await bench.take(records(250))

    assert bench.pieces == [100, 100, 50]
    assert all(a is g for a, g in zip(bench.announced, bench.given[1:], strict=False))
    assert bench.announced[-1] == []


async def test_a_piece_that_was_announced_too_large_is_cut(bench: Bench) -> None:
    bench.cost_s = 0.01
    bench.lane._size = 100

    await bench.take(records(160))

    assert bench.pieces == [100, 50, 10]


@pytest.mark.parametrize(("cost_s", "left"), [(0.0001, 0), (0.05, 1_000)])
async def test_a_slow_lane_polls_again_before_all_that_it_was_given(
    bench: Bench, cost_s: float, left: int
) -> None:
    bench.cost_s = cost_s
    bench.lane._size = 1 if left else 100

    rest = await bench.take(records(2 * SETTINGS.batch_size))

    assert len(rest) <= left
    assert bool(rest) == bool(left)
    assert bench.committed == [{T: 2 * SETTINGS.batch_size - len(rest)}]


async def test_offsets_of_all_partitions_are_committed_behind_what_is_applied(
    bench: Bench,
) -> None:
    assert await bench.take([*records(3), *records(2, U, 7)]) == []

    assert bench.committed == [{T: 3, U: 9}]


async def test_what_failed_comes_again_and_what_was_done_does_not(bench: Bench) -> None:
    bench.lane._size = 2
    bench.cost_s = 0.1
    bench.fails = [None, TimeoutError("away")]

    rest = await bench.take([*records(3), *records(3, U, 7)])

    assert [(r.topic, r.offset) for r in rest] == [("t", 2), ("u", 7), ("u", 8), ("u", 9)]
    assert bench.committed == [{T: 2}]


async def test_nothing_is_committed_where_nothing_was_done(bench: Bench) -> None:
    bench.fails = [KeyError("a defect")]

    assert len(await bench.take(records(3))) == 3
    assert bench.committed == []


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyError("a defect")])
async def test_no_error_ends_the_loop(bench: Bench, error: BaseException) -> None:
    bench.fails = [error]

    assert len(await bench.take(records(3))) == 3
    assert await bench.take(records(3)) == []


async def test_a_real_cancellation_ends_it(bench: Bench) -> None:
    async def for_ever(*_: Sequence[Record]) -> None:
        await asyncio.Event().wait()

    bench.lane.consumer.apply = for_ever  # type: ignore[method-assign] # what hangs
    taking = asyncio.create_task(bench.take(records(1)))
    await asyncio.sleep(0)

    taking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await taking


async def test_a_halt_is_shown_until_something_is_applied(bench: Bench) -> None:
    bench.fails = [HaltedConsumer("too many"), None]

    await bench.take(records(1))
    assert bench.lane.halted == "too many"
    await bench.take(records(1))
    assert bench.lane.halted is None


async def test_a_draining_lane_finishes_its_piece_and_begins_no_other(bench: Bench) -> None:
    bench.lane._size = 1
    bench.cost_s = 0.2
    drained: list[asyncio.Task[None]] = []

    async def drain_meanwhile(piece: Sequence[Record], _: Sequence[Record]) -> None:
        if not drained:
            drained.append(asyncio.create_task(bench.lane.drain()))
            await asyncio.sleep(0)
        await bench.apply(piece)

    bench.lane.consumer.apply = drain_meanwhile  # type: ignore[method-assign] # to be in the middle

    rest = await bench.take(records(5))

    await drained[0]
    assert [r.offset for r in rest] == [1, 2, 3, 4]
    assert bench.committed == [{T: 1}]
    assert len(await bench.take(records(5))) == 5, "until partitions are assigned anew"
    bench.lane.assigned()
    assert await bench.take(records(5)) == []


class Kafka:
    """A consumer's view of its group: what is assigned here, committed by whomever, and kept."""

    def __init__(self) -> None:
        self.mine = {T}
        self.ends = {T: 5, U: 7}
        self.starts = {T: 0, U: 0}
        self.committed = {T: 5, U: 7}
        self._coordinator = SimpleNamespace(fetch_committed_offsets=self._fetch)

    def assignment(self) -> set[TopicPartition]:
        return self.mine

    async def beginning_offsets(self, places: list[TopicPartition]) -> Offsets:
        return {place: self.starts[place] for place in places}

    async def _fetch(self, places: list[TopicPartition]) -> dict[TopicPartition, Any]:
        known = {place: self.committed[place] for place in places if place in self.committed}
        return {place: SimpleNamespace(offset=offset) for place, offset in known.items()}


@pytest.fixture
def kafka(bench: Bench) -> Kafka:
    made = Kafka()
    bench.lane.kafka = made
    return made


async def test_a_lane_has_applied_what_its_group_has_committed(bench: Bench, kafka: Kafka) -> None:
    assert await bench.lane.has_applied(kafka.ends)

    kafka.committed[U] = 6

    assert not await bench.lane.has_applied(kafka.ends), "another instance is behind"


async def test_a_lane_has_applied_what_it_could_not_commit(bench: Bench, kafka: Kafka) -> None:
    del kafka.committed[T]
    assert not await bench.lane.has_applied(kafka.ends)

    await bench.take(records(5))
    assert await bench.lane.has_applied(kafka.ends)

    kafka.mine = set()
    assert not await bench.lane.has_applied(kafka.ends), "its next owner may begin before that"


async def test_what_is_not_kept_any_more_is_not_waited_for(bench: Bench, kafka: Kafka) -> None:
    del kafka.committed[U]
    assert not await bench.lane.has_applied(kafka.ends)

    kafka.starts[U] = 7

    assert await bench.lane.has_applied(kafka.ends)


async def test_a_halted_lane_has_as_much_as_it_will_have(bench: Bench, kafka: Kafka) -> None:
    kafka.committed.clear()
    bench.lane.halted = "too many failed"

    assert await bench.lane.has_applied(kafka.ends)


async def test_a_lane_that_is_not_connected_says_so(bench: Bench) -> None:
    with pytest.raises(ConnectionError):
        await bench.lane.log_ends()
