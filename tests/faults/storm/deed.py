"""What all faults have in common: a beginning, an end, and a trace.

`unproven` is asked once everything has settled: a fault that left no trace does not count, and
neither does the storm that it belongs to.
"""

from __future__ import annotations

import random
import time

from tests.faults.storm.arena import INSTANCES, Arena, Instance
from tests.faults.storm.load import Load
from tests.faults.storm.plan import Fault
from tests.faults.storm.records import Injected

__all__ = ["Deed"]


class Deed:
    """One fault. `begin` and `end` block briefly; `over` says when to end it."""

    def __init__(self, arena: Arena, load: Load, fault: Fault, injected: Injected) -> None:
        self.arena, self.load, self.fault, self.injected = arena, load, fault, injected
        self.choice = random.Random(str(fault))
        self.began_at = 0.0
        self._until = 0.0
        self.ready_said: list[str] = []
        self.live_failed: list[str] = []

    def start(self) -> None:
        self.began_at = time.time()
        self.begin()
        self._until = time.monotonic() + self.fault.lasts_s

    def begin(self) -> None:
        raise NotImplementedError

    def over(self, *, played: bool) -> bool:
        """Whether it is to end; `played` says that no more commands come."""
        del played
        return time.monotonic() >= self._until

    def end(self) -> None:
        """Undo it."""

    def unproven(self) -> str | None:
        """What did not show, or None when the fault happened and was made good."""
        return None

    def one_of_target(self) -> Instance:
        return self.arena.instances[f"{self.fault.target}-{self.choice.choice(INSTANCES)}"]

    def noted(self, *whats: str, of: str = "") -> bool:
        """Whether an instance told of one of these since this began."""
        return any(self.arena.journals.any(what, of=of, since=self.began_at) for what in whats)
