"""When an outward channel keeps silent, in the recipient's own time zone.

Quiet hours are intervals of instants, not a test on the wall clock's hands: they begin and end at
the first instant at or after the local time. So the hour that repeats in autumn is not quiet
twice, and an end that spring skips is the moment of the change itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

__all__ = ["QuietHours", "Zone", "first_instant", "local_day", "next_local", "zone_of"]

_TICK: Final = timedelta(microseconds=1)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Zone:
    """An IANA zone. `fallback` is true where the wanted one is unknown."""

    name: str
    fallback: bool = False

    @property
    def info(self) -> ZoneInfo:
        return ZoneInfo(self.name)


@lru_cache(maxsize=1024)
def zone_of(wanted: str | None, community: str) -> Zone:
    """The recipient's zone, else the community's, else UTC; all but the first are flagged."""
    for name in (wanted, community, "UTC"):
        if name is not None and _known(name):
            return Zone(name, fallback=wanted is not None and name != wanted)
    raise AssertionError("UTC is always known")


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Local times of day; `begin` after `end` spans midnight, equal ones mean never."""

    begin: time
    end: time

    def not_before(self, at: datetime, zone: Zone) -> datetime | None:
        """The end (UTC) of the quiet hours that `at` falls into; None outside them."""
        until = None
        moment = at
        while (end := self._ending(moment, zone)) is not None:
            until = moment = end
        return until

    def _ending(self, at: datetime, zone: Zone) -> datetime | None:
        if self.begin == self.end:
            return None
        today = at.astimezone(zone.info).date()
        for begins, ends in self._around(today, zone):
            if begins <= at < ends:
                return ends
        return None

    def _around(self, today: date, zone: Zone) -> Iterator[tuple[datetime, datetime]]:
        for offset in (-2, -1, 0, 1):
            day = today + timedelta(days=offset)
            last = day if self.begin < self.end else day + _DAY
            yield first_instant(day, self.begin, zone), first_instant(last, self.end, zone)


def first_instant(day: date, clock: time, zone: Zone) -> datetime:
    """The first instant (UTC) at which the clocks of `zone` show `day` `clock` or later."""
    local = datetime.combine(day, clock.replace(fold=0), tzinfo=zone.info)
    early, late = local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)
    if early <= late:
        return early
    # A skipped local time: `late` lies before the change and `early` after it (PEP 495).
    naive, low, high = local.replace(tzinfo=None), late, early
    while high - low > _TICK:
        middle = low + (high - low) / 2
        if middle.astimezone(zone.info).replace(tzinfo=None) >= naive:
            high = middle
        else:
            low = middle
    return high


def local_day(at: datetime, zone: Zone) -> date:
    """The calendar day that the recipient's clock shows at `at`."""
    return at.astimezone(zone.info).date()


def next_local(at: datetime, weekday: int, clock: time, zone: Zone) -> datetime:
    """The first instant after `at` that begins `clock` on `weekday` (Monday is 0) in `zone`."""
    today = local_day(at, zone)
    days = (weekday - today.weekday()) % 7
    found = first_instant(today + timedelta(days=days), clock, zone)
    return found if found > at else first_instant(today + timedelta(days=days + 7), clock, zone)


def _known(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
