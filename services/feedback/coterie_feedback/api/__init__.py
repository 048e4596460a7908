"""What people may ask of feedback and tell it."""

from __future__ import annotations

from coterie_feedback.api import campaigns, deeds, reading, rounds, staff, summary, voices

__all__ = ["APIS"]

APIS = (deeds.api, voices.api, staff.api, rounds.api, campaigns.api, reading.api, summary.api)
