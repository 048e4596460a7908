"""All that the notifications service does, on one page."""

from __future__ import annotations

from coterie_chassis.circle import copy_communities, copy_members, follow_clock, forget_members
from coterie_chassis.service import Service
from coterie_notifications import handlers, sweeps
from coterie_notifications.api import apis
from coterie_notifications.settings import NotificationsSettings
from coterie_notifications.store import metadata

service = Service(
    name="notifications",
    settings=NotificationsSettings,
    apis=apis,
    handlers=(
        copy_communities,
        follow_clock,
        copy_members,
        forget_members,
        handlers.keep_standings,
        handlers.count_seats,
        handlers.follow_waitlist,
        handlers.follow_suggestions,
        handlers.follow_rewards,
        handlers.follow_look_agains,
        handlers.note_activity,
        handlers.note_bad_news,
        handlers.keep_contacts,
        handlers.schedule_briefs,
        handlers.tell_people,
    ),
    sweeps=(sweeps.remind_to_look_again, sweeps.send_monday_briefs),
    metadata=metadata,
    migrations="coterie_notifications.migrations",
)
