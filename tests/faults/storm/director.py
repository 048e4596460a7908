"""One storm from its plan to its verdict: load, faults on cue, rest, checks.

Everything that starts a process happens in the caller's thread, because a child ends with the
thread that started it. The play runs beside it and is held before the command at which a fault is
due until the fault has begun; what went before is still under way.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition
from typing import Any, Final

from coterie_replay.brokers.blocking import block_on
from tests.faults.canonical import Canonical, canonical, differences
from tests.faults.storm.arena import Arena, NotUp, arena_on
from tests.faults.storm.checks import Seen, moved_in, seen_in, violations_of
from tests.faults.storm.deed import Deed
from tests.faults.storm.deeds import deed_for
from tests.faults.storm.deeds_parts import Outage
from tests.faults.storm.ground import Ground
from tests.faults.storm.load import Load
from tests.faults.storm.plan import KINDS, Plan
from tests.faults.storm.records import Injected
from tests.flows.seasons import read_log, settled

__all__ = ["SETTLES_WITHIN_S", "Outcome", "storm", "undisturbed"]

SETTLES_WITHIN_S: Final = 60.0
_PATIENCE_S: Final = 300.0
_LOOK_S: Final = 0.05
_ASK_EVERY_S: Final = 0.5
_READ_AGAIN: Final = 20
_REST_S: Final = 0.5
_TOLD: Final = 1_500


@dataclass
class Outcome:
    """What became of one storm; it counts when every fault showed."""

    plan: Plan
    violations: list[str] = field(default_factory=list)
    unproven: list[str] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    commands: int = 0
    events: int = 0
    took_s: float = 0.0

    @property
    def counts(self) -> bool:
        return not self.unproven


def undisturbed(ground: Ground, folder: Path) -> Canonical:
    """The tables of a play that nobody disturbs."""
    with arena_on(ground, folder) as arena:
        load = Load(arena, lambda _: None)
        block_on(load.play())
        return _tables(arena, within_s=_PATIENCE_S)


def storm(
    ground: Ground,
    folder: Path,
    plan: Plan,
    expected: Canonical | None,
    broken: str | None = None,
) -> Outcome:
    """Run the storm that `plan` describes and judge it; one without a platform does not count."""
    outcome, began = Outcome(plan), time.monotonic()
    full_disk = any(fault.kind == "postgres:full" for fault in plan.faults)
    try:
        with arena_on(ground, folder, broken, small_disk=full_disk) as arena:
            _break_out(arena, outcome, expected)
    except NotUp as error:
        outcome.unproven.append(f"the platform did not come up: {error}"[:_TOLD])
    outcome.took_s = time.monotonic() - began
    return outcome


def _break_out(arena: Arena, outcome: Outcome, expected: Canonical | None) -> None:
    cues, injected = _Cues(), Injected()
    load = Load(arena, cues.hold)
    stage = _Stage(arena, load, injected, cues, outcome.plan)
    with _finding(outcome, "the play came to an end"):
        stage.play()
    with _finding(outcome, "it settled"):
        _settle(arena, load, injected, expected, outcome)
    outcome.commands = load.commands
    with _finding(outcome, "it could be looked at"):
        seen = block_on(_seen_at_rest(arena, outcome.plan, injected, load))
        outcome.events = len(seen.log)
        outcome.violations += violations_of(seen)
    for deed in stage.done:
        outcome.fired[deed.fault.kind] += 1
        outcome.unproven += [f"{deed.fault}: {why}" for why in (deed.unproven(),) if why]
        outcome.violations += [f"liveness: {deed.fault}: {said}" for said in deed.live_failed]


@contextmanager
def _finding(outcome: Outcome, what: str) -> Iterator[None]:
    """What ends a part of a storm is a violation, and the checks come all the same."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the storm found
        outcome.violations.append(f"{what}: not so: {type(error).__name__}: {error}"[:_TOLD])


def _settle(
    arena: Arena,
    load: Load,
    injected: Injected,
    expected: Canonical | None,
    outcome: Outcome,
) -> None:
    arena.until_ready(SETTLES_WITHIN_S)
    tables = _tables(arena, within_s=SETTLES_WITHIN_S)
    if expected is not None and not outcome.violations:
        apart = {name for name in tables if name.endswith(".dead_letter")}
        if injected.told_again:
            apart.add("notifications.inbox")  # current state is told again under ids of its own
        both = [{k: v for k, v in one.items() if k not in apart} for one in (expected, tables)]
        outcome.violations += [f"as undisturbed: {one}" for one in differences(*both)]
    _rush(arena, load, outcome)
    arena.until_ready(SETTLES_WITHIN_S)
    block_on(settled(_platform(arena), within_s=SETTLES_WITHIN_S))


async def _seen_at_rest(arena: Arena, plan: Plan, injected: Injected, load: Load) -> Seen:
    """The log and the databases as they were together, read again where something moved."""
    for _ in range(_READ_AGAIN):
        before = await moved_in(arena)
        log = await read_log(arena.kafka)
        seen = await seen_in(arena, plan, log, injected, load.given)
        if before == await moved_in(arena) and not any(waiting for _, _, waiting in before):
            break
        await asyncio.sleep(_REST_S)
    return seen


def _rush(arena: Arena, load: Load, outcome: Outcome) -> None:
    """Where relays are disturbed anyway, who has just called a provider dies of it."""
    unhurt = not outcome.plan.disturbs_relays
    began = time.time()
    with ThreadPoolExecutor(max_workers=1) as thread:
        rush = thread.submit(block_on, load.rush())
        while not rush.done():
            note = next(arena.journals.notes("provided", of="recognition-", since=began), None)
            if not unhurt and note is not None:
                instance, unhurt = arena.instances[note.instance], True
                instance.running.kill()
                instance.start()
            time.sleep(_LOOK_S)
        rush.result()


def _platform(arena: Arena) -> Any:
    """An arena has what the helpers of whole plays ask of a platform."""
    return arena


def _tables(arena: Arena, *, within_s: float) -> Canonical:
    block_on(settled(_platform(arena), within_s=within_s))
    return block_on(canonical(_platform(arena), block_on(read_log(arena.kafka))))


class _Stage:
    """Has every fault happen in its turn while the play goes on."""

    def __init__(
        self, arena: Arena, load: Load, injected: Injected, cues: _Cues, plan: Plan
    ) -> None:
        self._arena, self._load, self._injected, self._cues = arena, load, injected, cues
        self._waiting = list(plan.faults)
        self._active: list[Deed] = []
        self.done: list[Deed] = []
        self._asked_at = 0.0

    def play(self) -> None:
        """Play to the end, with all faults begun and ended."""
        self._cues.expect([fault.before for fault in self._waiting])
        deadline = time.monotonic() + _PATIENCE_S
        with ThreadPoolExecutor(max_workers=1) as thread:
            play = thread.submit(block_on, self._load.play())
            try:
                self._attend(play, lambda: play.done() and not self._active, deadline)
                play.result()
            finally:
                self._cues.abandon()
                for deed in self._active:
                    deed.end()
        assert not self._waiting, f"the play ended before {self._waiting[0]}"

    def _attend(self, play: Future[None], finished: Callable[[], bool], deadline: float) -> None:
        while not finished():
            assert time.monotonic() < deadline, (
                f"not played within {_PATIENCE_S:.0f} s; under way: "
                f"{[str(deed.fault) for deed in self._active]}"
            )
            self._end_what_is_over(played=play.done())
            self._ask_for_health()
            if self._cues.waits(_LOOK_S) and not self._in_each_others_way():
                deed = deed_for(self._waiting.pop(0), self._arena, self._load, self._injected)
                self._active.append(deed)
                deed.start()
                self._cues.go_on()

    def _end_what_is_over(self, *, played: bool) -> None:
        for deed in list(self._active):
            if deed.over(played=played):
                self._active.remove(deed)
                self.done.append(deed)
                deed.end()

    def _in_each_others_way(self) -> bool:
        """Whether the next fault has to wait until others are over."""
        under_way = [deed.fault for deed in self._active if deed.fault.lasts_s]
        alone = KINDS[self._waiting[0].kind].alone
        lasting = [fault for fault in under_way if fault.kind != "churn"]
        return bool(lasting) and (alone or any(KINDS[fault.kind].alone for fault in lasting))

    def _ask_for_health(self) -> None:
        outages = [deed for deed in self._active if isinstance(deed, Outage)]
        if not outages or time.monotonic() - self._asked_at < _ASK_EVERY_S:
            return
        for instance in list(self._arena.instances.values())[:: 1 + len(self.done) % 2]:
            ready, live = instance.asks("ready", timeout_s=6.0), instance.asks("live")
            for deed in outages:
                if ready is not None and ready[0] == 503:
                    deed.ready_said.append(ready[1])
                if live is not None and live[0] != 200:
                    deed.live_failed.append(f"{instance.name}: {live[1]}")
            if all(deed.ready_said for deed in outages):
                break
        self._asked_at = time.monotonic()


class _Cues:
    """Holds the play, whose commands come from several threads, at chosen numbers."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._numbers: list[int] = []
        self._held = False

    def expect(self, numbers: list[int]) -> None:
        self._numbers = sorted(numbers)

    def hold(self, number: int) -> None:
        """Called before each command."""
        with self._changed:
            while self._numbers and self._numbers[0] <= number:
                self._held = True
                self._changed.notify_all()
                self._changed.wait(1.0)

    def waits(self, seconds: float) -> bool:
        """Whether the play is held; blocks for `seconds` at most."""
        with self._changed:
            return self._changed.wait_for(lambda: self._held, seconds)

    def go_on(self) -> None:
        with self._changed:
            self._numbers.pop(0)
            self._held = False
            self._changed.notify_all()

    def abandon(self) -> None:
        """Hold nothing any more."""
        with self._changed:
            self._numbers.clear()
            self._changed.notify_all()
