"""The feedback service, composed."""

from __future__ import annotations

from coterie_chassis.circle import (
    PROJECTIONS,
    copy_communities,
    copy_members,
    follow_clock,
    forget_members,
)
from coterie_chassis.service import Service
from coterie_feedback.api import APIS
from coterie_feedback.handlers import (
    forget_what_people_said,
    restart_what_is_open,
    stop_waiting_for_the_gone,
)
from coterie_feedback.settings import FeedbackSettings
from coterie_feedback.store.tables import metadata
from coterie_feedback.sweeps import close_campaigns, lapse_look_agains

__all__ = ["service"]

service = Service(
    name="feedback",
    settings=FeedbackSettings,
    apis=APIS,
    handlers=[
        copy_communities,
        forget_members,
        copy_members,
        restart_what_is_open,
        follow_clock,
        stop_waiting_for_the_gone,
        forget_what_people_said,
    ],
    sweeps=[lapse_look_agains, close_campaigns],
    projections=PROJECTIONS,
    kept=dict.fromkeys(metadata.tables, "members and staff write it, and feedback decides on it"),
    metadata=metadata,
    migrations="coterie_feedback.migrations",
)
