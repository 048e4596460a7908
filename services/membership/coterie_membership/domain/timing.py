"""When things end, on the community's own clock.

A seat offer never ends between 21:00 and 09:00 local time: it is stretched to the morning.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from coterie_chassis.decisions import Refusal

__all__ = ["Policy", "checked_zone", "offer_end"]

_NIGHT_FROM: Final = time(21)
_NIGHT_UNTIL: Final = time(9)


class Policy:
    """The rulebook's defaults, in one place."""

    SEAT_OFFER: Final = timedelta(hours=72)
    INVITATION: Final = timedelta(days=14)
    SUSPENSION: Final = timedelta(days=14)
    EVIDENCE_UNKNOWN: Final = timedelta(days=30)
    REAPPLY_AFTER_LEFT: Final = timedelta(0)
    REAPPLY_AFTER_DECLINED: Final = timedelta(days=90)
    REAPPLY_AFTER_REMOVED: Final = timedelta(days=180)
    RELEASED_GOES_FIRST: Final = timedelta(days=180)
    CAPACITY: Final = 100


def checked_zone(name: str) -> ZoneInfo:
    """The zone of an IANA name. Raises `Refusal` for an unknown one."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Refusal("unknown-time-zone", f"{name!r} is no IANA time zone.", status=422) from None


def offer_end(offered_at: datetime, zone: str) -> datetime:
    """72 hours later, or the next 09:00 local time if that falls into the night."""
    end = offered_at + Policy.SEAT_OFFER
    local = end.astimezone(checked_zone(zone))
    if _NIGHT_UNTIL <= local.time() < _NIGHT_FROM:
        return end
    morning = local.replace(hour=9, minute=0, second=0, microsecond=0)
    if local.time() >= _NIGHT_FROM:
        morning += timedelta(days=1)
    return morning.astimezone(offered_at.tzinfo)
