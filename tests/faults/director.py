"""Disturbs a play from the test's own thread: at chosen commands, while commands go on.

Every disturbance names the number of the command before which it is due, so a seed repeats it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Final

from coterie_local.audit import audit
from coterie_local.blocking import block_on
from coterie_local.platform import Platform
from coterie_local.processes import Child, free_port, start
from tests.faults.canonical import canonical, differences
from tests.flows.seasons import CUT, Played, options, perform, read_log, settled

__all__ = ["Disturbance", "assert_as_undisturbed", "direct", "instance", "platform_on"]

Disturbance = tuple[int, Callable[[], None]]
_PATIENCE_S: Final = 200.0
_ROOT: Final = Path(__file__).resolve().parents[2]


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
    reached: SimpleQueue[int] = SimpleQueue()
    waiting = sorted(disturbances, key=lambda one: one[0])
    deadline = monotonic() + _PATIENCE_S
    with ThreadPoolExecutor(max_workers=1) as thread:
        play = thread.submit(
            block_on, perform(platform, chapters=CUT, on_command=reached.put_nowait)
        )
        while not play.done() or not reached.empty():
            assert monotonic() < deadline, f"the play did not end within {_PATIENCE_S:.0f} s"
            meanwhile()
            try:
                number = reached.get(timeout=0.05)
            except Empty:
                continue
            while waiting and waiting[0][0] <= number:
                waiting.pop(0)[1]()
        play.result()
    assert waiting == []


def assert_as_undisturbed(platform: Platform, season: Played) -> None:
    """Everything settles, the log is clean, and all tables are those of the undisturbed run."""
    block_on(settled(platform))
    records = block_on(read_log(platform.kafka))
    report = audit(records)
    assert report.verdict == "clean", report.violations
    found = differences(season.tables_at_cut, block_on(canonical(platform, records)))
    assert not found, "\n".join(found)


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
