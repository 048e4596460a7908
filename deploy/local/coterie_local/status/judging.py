"""What needs somebody, in words, with the command that settles it where one does.

The limits are those of `docs/operate.md`; a budget that runs low is its manager's affair and no
trouble of the platform.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from coterie_local.status.asking import Glance, Instance, Lane, Status

__all__ = ["LATE", "Trouble", "span", "troubles"]

LATE: Final = timedelta(minutes=1)
_HOUR: Final = 3_600
_DAY: Final = 86_400

Command = Callable[[str, str], str]
"""Writes a command of a service, such as `redrive list`, as it is typed here."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is not as it should be; `command` looks at it or settles it."""

    service: str
    what: str
    command: str | None = None

    def __str__(self) -> str:
        return f"{self.service}: {self.what}"


def troubles(glance: Glance, command: Command) -> list[Trouble]:
    """Everything that needs somebody, instances first, then what concerns whole services."""
    found = [trouble for instance in glance.instances for trouble in _instance(instance)]
    for status in glance.services():
        found += _service(status, command)
    return found


def span(seconds: float) -> str:
    """A length of time for people, in its largest unit: `0 s`, `90 s`, `3 min`, `5 h`, `12 d`."""
    if seconds < 2 * 60:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / 60:.0f} min"
    if seconds < 2 * _DAY:
        return f"{seconds / _HOUR:.0f} h"
    return f"{seconds / _DAY:.0f} d"


def _instance(instance: Instance) -> Iterator[Trouble]:
    name, status = instance.name, instance.status
    if status is None:
        yield Trouble(name, instance.problem or "does not answer")
        return
    if status.stuck:
        yield Trouble(name, f"no progress for a minute in: {', '.join(status.stuck)}; restart it")
    if status.waiting_for:
        yield Trouble(name, f"waits for {' and '.join(status.waiting_for)}")
    for lane in status.lanes:
        if lane.halted:
            yield Trouble(name, f"lane {lane.lane} has halted: {lane.halted}")


def _service(status: Status, command: Command) -> Iterator[Trouble]:
    name, outbox = status.service, status.outbox
    if outbox is not None and not outbox.led:
        yield Trouble(name, "no instance sends the outbox")
    if outbox is not None and outbox.age_s > LATE.total_seconds():
        yield Trouble(name, f"{outbox.depth} events unsent, the oldest for {span(outbox.age_s)}")
    for lane in status.lanes:
        yield from _lane(name, lane, command)
    if status.failed_deadlines:
        count = _count(status.failed_deadlines, "deadline")
        yield Trouble(name, f"{count} failed", command(name, "redrive list"))


def _lane(service: str, lane: Lane, command: Command) -> Iterator[Trouble]:
    if lane.dead_letters:
        keys = _count(lane.parked_keys or 0, "key")
        letters = _count(lane.dead_letters, "dead letter")
        what = f"{letters} in lane {lane.lane}, {keys} parked"
        yield Trouble(service, what, command(service, f"redrive list --lane {lane.lane}"))
    if lane.seconds_behind is not None and lane.seconds_behind > LATE.total_seconds():
        late = f"lane {lane.lane} is {lane.events_behind} events behind, the oldest "
        yield Trouble(service, f"{late}from {span(lane.seconds_behind)} ago")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
