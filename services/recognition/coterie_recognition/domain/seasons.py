"""A season is a calendar quarter in the community's time zone.

Merit is counted by season instead of decaying, because decay makes the past depend on now.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

__all__ = ["Season", "quarter_hour_of", "season_named", "season_of", "zone_of"]

_WHOLE_QUARTERS_SINCE: Final = datetime(1980, 1, 1, tzinfo=UTC)
_LABEL: Final = re.compile(r"((?!9999)[1-9][0-9]{3})-Q([1-4])")


@dataclass(frozen=True, slots=True, order=True)
class Season:
    """A quarter; `quarter` counts from 1."""

    year: int
    quarter: int

    @property
    def label(self) -> str:
        """For example `2026-Q4`."""
        return f"{self.year:04d}-Q{self.quarter}"

    @property
    def following(self) -> Season:
        return Season(self.year + self.quarter // 4, self.quarter % 4 + 1)

    def starts_at(self, zone: str) -> datetime:
        """Its first instant, in UTC; `zone` is an IANA name."""
        local = datetime(self.year, self.quarter * 3 - 2, 1, tzinfo=zone_of(zone))
        return local.astimezone(UTC)

    def ends_at(self, zone: str) -> datetime:
        """The first instant of the following season, in UTC."""
        return self.following.starts_at(zone)


def season_of(at: datetime, zone: str) -> Season:
    """The season that `at` lies in, in `zone`."""
    local = at.astimezone(zone_of(zone))
    return Season(local.year, (local.month + 2) // 3)


def quarter_hour_of(at: datetime) -> datetime:
    """The beginning of its quarter of an hour, which lies in the same season in every time zone.

    Since 1980 every zone is whole quarters of an hour away from UTC (the tz database), so every
    season begins with one. An earlier instant stays as it is.
    """
    if at < _WHOLE_QUARTERS_SINCE:
        return at
    return at - (at - _WHOLE_QUARTERS_SINCE) % timedelta(minutes=15)


def season_named(label: str) -> Season | None:
    """The season of a label, or None where it is none. Years are 1000 to 9998: each has an end."""
    match = _LABEL.fullmatch(label)
    return Season(int(match[1]), int(match[2])) if match else None


@lru_cache(maxsize=512)
def zone_of(name: str) -> ZoneInfo:
    """The zone of an IANA name; an unknown one is UTC, so that no fact is lost over it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
