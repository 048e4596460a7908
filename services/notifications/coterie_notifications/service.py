"""All that the notifications service does, on one page."""

from __future__ import annotations

from coterie_chassis.service import Service
from coterie_notifications import projections, sweeps
from coterie_notifications.api import apis
from coterie_notifications.handlers import handlers
from coterie_notifications.settings import NotificationsSettings
from coterie_notifications.store import metadata

service = Service(
    name="notifications",
    settings=NotificationsSettings,
    apis=apis,
    handlers=handlers,
    sweeps=(
        sweeps.remind_of_seat_offers,
        sweeps.remind_to_look_again,
        sweeps.remind_to_answer,
        sweeps.remind_of_invitations,
        sweeps.send_monday_briefs,
    ),
    projections=projections.PROJECTIONS,
    kept=projections.KEPT,
    metadata=metadata,
    migrations="coterie_notifications.migrations",
)
