"""Kinds of deadlines and when they come, by DOMAIN's defaults."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Final

BRIEF: Final = "brief.send"
BRIEF_AT: Final = time(9)
MONDAY: Final = 0

REMINDER: Final = "look_again.remind"
REMIND_AFTER: Final = timedelta(days=7)

SEAT_REMINDER: Final = "seat_offer.remind"

ANSWER_REMINDER: Final = "suggestion.remind"
ANSWER_AFTER: Final = timedelta(days=5)

INVITATION_REMINDER: Final = "invitation.remind"
USE_AFTER: Final = timedelta(days=7)
