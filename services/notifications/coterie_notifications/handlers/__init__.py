"""Events in: an erasure runs alone, then copies, then facts, then the notices that they make."""

from collections.abc import Sequence
from typing import Final

from coterie_chassis.circle import copy_communities, copy_members, follow_clock, forget_members
from coterie_chassis.consumer import Fold, Handler, handles
from coterie_chassis.store import UnitOfWork
from coterie_contracts.envelope import Event
from coterie_contracts.member import MemberErased
from coterie_contracts.model import EventBody
from coterie_notifications.handlers import clock, facts, people
from coterie_notifications.store.erasure import give_way

__all__ = ["handlers"]

_IN_ORDER: Final[tuple[Handler, ...]] = (
    copy_communities,
    clock.restart_reminders,
    follow_clock,
    copy_members,
    forget_members,
    facts.keep_standings,
    facts.count_seats,
    facts.follow_waitlist,
    facts.follow_invitations,
    facts.follow_suggestions,
    facts.follow_rewards,
    facts.follow_look_agains,
    facts.note_activity,
    facts.note_bad_news,
    facts.keep_contacts,
    people.schedule_briefs,
    people.tell_people,
)
_ANY: Final = dict.fromkeys(body for handler in _IN_ORDER for body in handler.bodies)


@handles(*_ANY, fold=Fold.EVERY)
async def give_way_to_erasures(events: Sequence[Event[EventBody]], uow: UnitOfWork) -> None:
    """Nobody who asked who is erased before an erasure writes about its member after it."""
    await give_way(uow, alone=any(isinstance(event.data, MemberErased) for event in events))


handlers: Final[tuple[Handler, ...]] = (give_way_to_erasures, *_IN_ORDER)
