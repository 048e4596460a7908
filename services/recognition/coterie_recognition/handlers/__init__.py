"""What recognition does when it hears of something, by deed."""

from coterie_recognition.handlers.circle import (
    follow_members,
    forget_members_entirely,
    lock_desks,
    restart_rewards,
    set_up_rewards,
)
from coterie_recognition.handlers.facts import record_appreciations, record_outcomes, record_ratings
from coterie_recognition.handlers.improvements import award_badges, propose_rewards

__all__ = [
    "award_badges",
    "follow_members",
    "forget_members_entirely",
    "lock_desks",
    "propose_rewards",
    "record_appreciations",
    "record_outcomes",
    "record_ratings",
    "restart_rewards",
    "set_up_rewards",
]
