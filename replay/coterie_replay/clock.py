"""A clock that moves only when it is told to, and never back, as a driven community's does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["DrivenClock"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class DrivenClock:
    """Call it for the time; hand it to the code under test instead of one that reads the wall."""

    def __init__(self, now: datetime = _EPOCH) -> None:
        self._now = now

    def __call__(self) -> datetime:
        return self._now

    @property
    def now(self) -> datetime:
        return self._now

    def reach(self, moment: datetime) -> None:
        """Move to `moment`; stays where it is when that has passed."""
        self._now = max(self._now, moment)

    def advance(self, by: timedelta) -> None:
        """Move on. Raises `ValueError` for a step back."""
        if by < timedelta(0):
            raise ValueError(f"a driven clock does not go back: {by}")
        self._now += by
