"""Faults of the services' own processes: killed, ended, stopped, crashed, with wrong clocks."""

from __future__ import annotations

import signal
import time
from typing import Final

from tests.faults.crashing import CRASHED
from tests.faults.storm.arena import Arena, Instance
from tests.faults.storm.deed import Deed

__all__ = ["Crash", "Kill", "SetClock", "Stop", "Terminate"]

_GRACE_S: Final = 20.0
_NEVER_S: Final = 8.0
_SKEW_S: Final = 600.0
_DISARMED_S: Final = 0.3
_OF_RELAYS: Final = frozenset({"relay", "published"})
_HEARD_BY: Final = {
    "feedback": "membership",
    "recognition": "feedback",
    "notifications": "feedback",
}
"""A service whose events the target takes."""


class Kill(Deed):
    number = signal.SIGKILL

    def begin(self) -> None:
        self.instance = self.one_of_target()
        self.first = self.instance.running
        self.first.send(self.number)
        self.ended = self.first.wait(_GRACE_S)

    def end(self) -> None:
        self.first.kill()
        self.instance.start()

    def unproven(self) -> str | None:
        if self.first.exit_code != -self.number:
            return f"{self.first.name} ended with {self.first.exit_code}"
        return None if self.noted("born", of=self.instance.name) else "nobody came in its place"


class Terminate(Kill):
    """An orderly end: within the grace period, with the lock handed over."""

    number = signal.SIGTERM

    def unproven(self) -> str | None:
        if not self.ended or self.first.exit_code not in {0, -signal.SIGTERM}:
            return f"{self.first.name} did not end in order but with {self.first.exit_code}"
        return None


class Stop(Deed):
    def begin(self) -> None:
        self.instance = self.one_of_target()
        self.sibling = next(i for i in self.arena.of(self.fault.target) if i != self.instance)
        self.led = _leads(self.arena, self.instance)
        self.instance.running.send(signal.SIGSTOP)

    def end(self) -> None:
        self.instance.running.send(signal.SIGCONT)

    def unproven(self) -> str | None:
        if self.fault.target != "membership" and not self.noted("assigned", of=self.sibling.name):
            return f"{self.sibling.name} did not take over what {self.instance.name} consumed"
        if self.led and not self.noted("leads", of=self.sibling.name):
            return f"{self.sibling.name} did not take the lead"
        return None


class Crash(Deed):
    """Arms both instances, because nobody can say which of them gets there first.

    Where the play ends before one does, what is sent again takes them there.
    """

    def begin(self) -> None:
        self.point = self.fault.kind.partition(":")[2]
        self.armed = {one: one.running for one in self.arena.of(self.fault.target)}
        self.crashed: list[str] = []
        self.helped_at: float | None = None
        for one in self.armed:
            one.order_crash(self.point, self.choice.randint(1, 3))

    def over(self, *, played: bool) -> bool:
        if any(child.exit_code == CRASHED for child in self.armed.values()):
            return True
        now = time.monotonic()
        if not played or now < self._until + _NEVER_S:
            return False
        if self.helped_at is None:
            self.helped_at = now
            self._help()
        return now > self.helped_at + _NEVER_S

    def end(self) -> None:
        for one, child in self.armed.items():
            if child.alive and one.running is child:
                one.order_crash(self.point, 0)
        time.sleep(_DISARMED_S)
        for one, child in self.armed.items():
            if child.exit_code == CRASHED and one.running is child:
                self.crashed.append(one.name)
                one.start()

    def _help(self) -> None:
        """Have the target consume again, one batch after the other."""
        if self.fault.target == "membership" or self.point in _OF_RELAYS:
            return
        self.injected.told_again = True
        for one in self.armed:
            one.order_crash(self.point, 1)
        self.arena.run(_HEARD_BY[self.fault.target], "republish")

    def unproven(self) -> str | None:
        return None if self.crashed else f"{self.fault.target} never reached {self.point!r}"


class SetClock(Deed):
    """One of two instances, from now on, is ten minutes before or behind the other."""

    def begin(self) -> None:
        self.instance = self.one_of_target()
        self.instance.running.send(signal.SIGTERM)
        self.instance.running.wait(_GRACE_S)
        self.instance.running.kill()
        self.instance.skew_s = self.choice.choice((-_SKEW_S, _SKEW_S))
        self.instance.start()

    def unproven(self) -> str | None:
        return None if self.noted("skewed", of=self.instance.name) else "its clock is right"


def _leads(arena: Arena, instance: Instance) -> bool:
    notes = arena.journals.notes(of=instance.name)
    told = [note.what for note in notes if note.what in {"leads", *_NO_MORE}]
    return told[-1:] == ["leads"]


_NO_MORE: Final = ("lost the lead", "handed the lead over", "born")
