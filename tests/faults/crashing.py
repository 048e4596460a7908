"""A service that dies at a chosen point: `python -m tests.faults.crashing PACKAGE serve`.

`COTERIE_CRASH_AT` is `relay:N` or `offsets:N`. `relay`: Kafka has acknowledged the N-th batch and
its rows are still in the outbox. `offsets`: the N-th batch is committed to the database and its
offsets are not committed to Kafka. The process ends as by `kill -9`: nothing is flushed or closed.
The product knows nothing of this variable.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence
from itertools import count
from typing import Final

from coterie_chassis.consumer import LaneConsumer
from coterie_chassis.deadletter import Record
from coterie_chassis.relay import Relay

VARIABLE: Final = "COTERIE_CRASH_AT"
CRASHED: Final = 9

_remove = Relay._remove
_apply = LaneConsumer.apply


def arm(point: str, nth: int) -> None:
    """Die at the `nth` time that `point` is reached."""
    times = count(1)

    async def die_before_removal(self: Relay, ids: Sequence[int]) -> None:
        if next(times) == nth:
            os._exit(CRASHED)
        await _remove(self, ids)

    async def die_after_commit(self: LaneConsumer, records: Sequence[Record]) -> None:
        await _apply(self, records)
        if next(times) == nth:
            os._exit(CRASHED)

    if point == "relay":
        Relay._remove = die_before_removal  # type: ignore[method-assign] # the point of this module
    elif point == "offsets":
        LaneConsumer.apply = die_after_commit  # type: ignore[method-assign] # as above
    else:
        raise ValueError(f"{VARIABLE}: {point!r} is neither relay nor offsets")


if __name__ == "__main__":
    chosen, _, number = os.environ[VARIABLE].partition(":")
    arm(chosen, int(number))
    package = sys.argv[1]
    sys.argv = [package, *sys.argv[2:]]
    runpy.run_module(package, run_name="__main__", alter_sys=True)
