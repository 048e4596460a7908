"""Settings of the feedback service: those that every service has."""

from __future__ import annotations

from coterie_chassis.settings import ChassisSettings

__all__ = ["FeedbackSettings"]


class FeedbackSettings(ChassisSettings):
    """Nothing of its own: its limits are rules of the domain."""
