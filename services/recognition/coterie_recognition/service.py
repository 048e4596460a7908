"""The recognition service: its table of contents."""

from coterie_chassis.circle import copy_communities, copy_members, follow_clock, forget_members
from coterie_chassis.service import Service, periodic
from coterie_recognition import handlers, projections, store
from coterie_recognition.api import budgets, catalogue, merit, operators, rewards, todo
from coterie_recognition.handlers.deadlines import close_seasons, look_at_rewards
from coterie_recognition.handlers.providing import issue_through_providers
from coterie_recognition.handlers.refold import refold_merit
from coterie_recognition.settings import RecognitionSettings
from coterie_recognition.store.published import read_again

service = Service(
    name="recognition",
    settings=RecognitionSettings,
    apis=[merit.api, rewards.api, catalogue.api, budgets.api, todo.api, operators.api],
    handlers=[
        handlers.lock_desks,
        copy_communities,
        copy_members,
        forget_members,
        handlers.restart_rewards,
        follow_clock,
        handlers.forget_members_entirely,
        handlers.set_up_rewards,
        handlers.follow_members,
        handlers.record_ratings,
        handlers.record_appreciations,
        handlers.record_outcomes,
        handlers.award_badges,
        handlers.propose_rewards,
    ],
    sweeps=[look_at_rewards, close_seasons],
    tasks=[
        periodic("refold", lambda settings: settings.refold_interval, refold_merit),
        periodic("providers", 5.0, issue_through_providers),
    ],
    projections=projections.PROJECTIONS,
    kept=projections.KEPT,
    after_swap=read_again,
    metadata=store.metadata,
    migrations="coterie_recognition.migrations",
)
