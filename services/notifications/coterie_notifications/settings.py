"""Settings of the notifications service: those that every service has."""

from __future__ import annotations

from coterie_chassis.settings import ChassisSettings

__all__ = ["NotificationsSettings"]


class NotificationsSettings(ChassisSettings):
    """Limits are no settings: they are policies, versioned per community, with an author."""
