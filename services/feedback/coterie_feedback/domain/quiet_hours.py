"""The first instant at which it is decent to ask somebody something.

Quiet hours are intervals of instants between local times of day, so that both clock changes are
right: a local time that spring skips begins at the change, and one that autumn repeats begins the
first time. An unknown zone falls back to the community's, then to UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

__all__ = ["QuietHours", "local_day", "zone_of"]

_DAY: Final = timedelta(days=1)
_TICK: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Local times of day; `begin` after `end` spans midnight, equal ones mean never."""

    begin: time
    end: time

    def first_decent(self, at: datetime, zone: ZoneInfo) -> datetime:
        """`at` itself, or the end (UTC) of the quiet hours that it falls into."""
        if self.begin == self.end:
            return at
        today = at.astimezone(zone).date()
        for offset in (-1, 0):
            day = today + offset * _DAY
            ends_on = day if self.begin < self.end else day + _DAY
            if _first(day, self.begin, zone) <= at < (end := _first(ends_on, self.end, zone)):
                return end
        return at


@lru_cache(maxsize=1024)
def zone_of(*wanted: str) -> ZoneInfo:
    """The first of these zones that is known, else UTC."""
    for name in wanted:
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return ZoneInfo("UTC")


def local_day(at: datetime, zone: ZoneInfo) -> date:
    """The calendar day in a zone at an instant."""
    return at.astimezone(zone).date()


def _first(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """The first instant at which clocks of `zone` show `clock` of `day`, or later where skipped."""
    local = datetime.combine(day, clock.replace(fold=0), tzinfo=zone)
    early, late = local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)
    if early <= late:
        return early
    # A skipped local time: `late` lies before the change and `early` after it (PEP 495).
    naive, low, high = local.replace(tzinfo=None), late, early
    while high - low > _TICK:
        middle = low + (high - low) / 2
        if middle.astimezone(zone).replace(tzinfo=None) >= naive:
            high = middle
        else:
            low = middle
    return high.replace(microsecond=0)
