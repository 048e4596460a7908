"""Disturbs a play from the test's own thread, before chosen commands, and lets it go on.

Every disturbance names the number of the command before which it is due. The play is held there
until the deed is done, so a seed repeats it however fast the machine is; what the earlier commands
set off is still under way.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Final

from coterie_local.audit import Report, audit
from coterie_local.platform import Platform
from coterie_replay.brokers.blocking import block_on
from coterie_replay.brokers.processes import Child, free_port, start
from tests.faults.canonical import canonical, differences
from tests.flows.seasons import CUT, Played, options, perform, read_log, settled

__all__ = ["Disturbance", "assert_as_undisturbed", "direct", "instance", "platform_on"]

_PATIENCE_S: Final = 200.0
_ROOT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Disturbance:
    """`act` runs before command `number`, which waits for it; `then` beside what follows."""

    number: int
    act: Callable[[], None]
    then: Callable[[], None] = lambda: None


@contextmanager
def platform_on(data: Path) -> Iterator[Platform]:
    """A platform on Apache Kafka that is set up as the undisturbed one was."""
    with Platform(options(data, "apache")) as platform:
        yield platform


def direct(
    platform: Platform,
    disturbances: Iterable[Disturbance],
    *,
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
    """Play up to the cut, disturbing on the way; every disturbance must have had its turn."""
    waiting = sorted(disturbances, key=lambda one: one.number)
    cues = _Cues([one.number for one in waiting])
    deadline = monotonic() + _PATIENCE_S
    with ThreadPoolExecutor(max_workers=1) as thread, cues:
        play = thread.submit(block_on, perform(platform, chapters=CUT, on_command=cues.hold))
        while not play.done():
            assert monotonic() < deadline, f"the play did not end within {_PATIENCE_S:.0f} s"
            meanwhile()
            if cues.waits(0.05):
                disturbance = waiting.pop(0)
                disturbance.act()
                cues.go_on()
                disturbance.then()
        play.result()
    assert waiting == []


class _Cues:
    """Holds the play, which runs in another thread, at chosen numbers until it may go on."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._numbers = list(numbers)
        self._reached: SimpleQueue[int] = SimpleQueue()
        self._answers: SimpleQueue[bool] = SimpleQueue()

    def hold(self, number: int) -> None:
        """Called by the play before each command."""
        while self._numbers and self._numbers[0] <= number:
            self._reached.put(self._numbers.pop(0))
            assert self._answers.get(), "the play was abandoned"

    def waits(self, seconds: float) -> bool:
        """Whether the play is held; blocks for `seconds` at most."""
        try:
            self._reached.get(timeout=seconds)
        except Empty:
            return False
        return True

    def go_on(self) -> None:
        self._answers.put(True)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._answers.put(False)


def assert_as_undisturbed(platform: Platform, season: Played) -> Report:
    """Everything settles, the log is clean, and all tables are those of the undisturbed run."""
    block_on(settled(platform))
    records = block_on(read_log(platform.kafka))
    report = audit(records)
    assert report.verdict == "clean", report.violations
    found = differences(season.tables_at_cut, block_on(canonical(platform, records)))
    assert not found, "\n".join(found)
    return report


def instance(
    platform: Platform,
    service: str,
    *,
    crash_at: str | None = None,
    beside: bool = False,
) -> Child:
    """A process of a service: in the place of the platform's own, or `beside` it on its own port.

    With `crash_at` it is one that dies there (see `crashing`).
    """
    env = platform.environment(service)
    if beside:
        env["COTERIE_HTTP_PORT"] = str(free_port())
    package = f"coterie_{service}"
    command = [sys.executable, "-m", package, "serve"]
    if crash_at is not None:
        env["COTERIE_CRASH_AT"] = crash_at
        command = [sys.executable, "-m", "tests.faults.crashing", package, "serve"]
        env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_ROOT), env.get("PYTHONPATH"))))
    log = platform.folder.log(f"{service}-{'second' if beside else 'crashing'}")
    return start(f"a further {service}", command, log=log, env=env, cwd=_ROOT)
