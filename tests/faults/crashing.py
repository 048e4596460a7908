"""A service that dies at a chosen point: `python -m tests.faults.crashing PACKAGE serve`.

`COTERIE_CRASH_AT` is `POINT:N`, the N-th time that one of `POINTS` is reached. The process ends as
by `kill -9`: nothing is flushed or closed. The product knows nothing of this variable.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from coterie_chassis.consumer import LaneConsumer
from coterie_chassis.deadletter import Record
from coterie_chassis.relay import Relay
from coterie_chassis.subscriptions import LaneLoop

VARIABLE: Final = "COTERIE_CRASH_AT"
CRASHED: Final = 9
POINTS: Final = {
    "commit": "a batch is handled and its transaction not committed",
    "offsets": "a batch is committed to the database and its offsets are not committed to Kafka",
    "committed": "a batch's offsets are committed to Kafka too",
    "relay": "Kafka has acknowledged a batch and its rows are still in the outbox",
    "published": "a transaction that publishes is committed, and nobody was told",
}

_at: Final[dict[str, int]] = {}
_times: Final = Counter[str]()
_before_death: Final[list[Callable[[str], None]]] = []


def arm(point: str, nth: int) -> None:
    """Die at the `nth` time from now on that `point` is reached."""
    if point not in POINTS:
        raise ValueError(f"{VARIABLE}: {point!r} is none of {', '.join(POINTS)}")
    _times[point] = 0
    _at[point] = nth


def before_death(tell: Callable[[str], None]) -> None:
    """Have `tell` called with the point, as the last thing that this process does."""
    _before_death.append(tell)


def _reached(point: str) -> None:
    _times[point] += 1
    if _times[point] == _at.get(point):
        for tell in _before_death:
            tell(point)
        os._exit(CRASHED)


def install() -> None:
    """Watch all points; until one is armed nothing happens there."""
    remove, apply, ring = Relay._remove, LaneConsumer.apply, Relay.ring
    judge, apply_all = LaneConsumer._judge, LaneLoop._apply_all

    async def removing(self: Relay, ids: Sequence[int]) -> None:
        _reached("relay")
        await remove(self, ids)

    async def applying(
        self: LaneConsumer, records: Sequence[Record], following: Sequence[Record] = ()
    ) -> None:
        await apply(self, records, following)
        _reached("offsets")

    def judging(self: LaneConsumer, work: Any, applied: Any) -> Any:
        judged = judge(self, work, applied)
        _reached("commit")
        return judged

    async def all_applied(
        self: LaneLoop, records: Sequence[Record], commit: Callable[..., Awaitable[None]]
    ) -> Sequence[Record]:
        rest = await apply_all(self, records, commit)
        if len(rest) < len(records):
            _reached("committed")
        return rest

    def ringing(self: Relay) -> None:
        _reached("published")
        ring(self)

    Relay._remove = removing  # type: ignore[method-assign] # the point of this module
    Relay.ring = ringing  # type: ignore[method-assign] # as above
    LaneConsumer.apply = applying  # type: ignore[method-assign] # as above
    LaneConsumer._judge = judging  # type: ignore[method-assign] # as above
    LaneLoop._apply_all = all_applied  # type: ignore[method-assign] # as above


if __name__ == "__main__":
    install()
    chosen, _, number = os.environ[VARIABLE].partition(":")
    arm(chosen, int(number))
    package = sys.argv[1]
    sys.argv = [package, *sys.argv[2:]]
    runpy.run_module(package, run_name="__main__", alter_sys=True)
