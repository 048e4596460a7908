"""What notifications can make again from the log: facts as it heard them, and its guard's ledger.

What the guard decided rests on the order in which events came, on offers and on reminders, and
people were told: so it is read in notifications' own events and never decided anew. What a
message said stands in no event, so a lost message is named and cannot be made.
"""

from __future__ import annotations

from typing import Final

from coterie_chassis import circle
from coterie_chassis.consumer import Batch, Fold, handles
from coterie_chassis.projections import Apart, Projection
from coterie_chassis.store import UnitOfWork
from coterie_contracts.member import MemberErased
from coterie_contracts.notification import (
    NotificationFacts,
    NotificationMarked,
    NotificationSent,
    NotificationSuppressed,
)
from coterie_notifications.handlers import facts
from coterie_notifications.store import erasure, published, tables

__all__ = ["KEPT", "PROJECTIONS"]


@handles(NotificationSent, NotificationSuppressed, fold=Fold.EVERY)
async def enter_in_ledgers(events: Batch[NotificationFacts], uow: UnitOfWork) -> None:
    """Enter what the guard let pass and what it withheld; three statements."""
    await published.enter(uow, events)


@handles(NotificationMarked, fold=Fold.EVERY)
async def enter_marks(events: Batch[NotificationMarked], uow: UnitOfWork) -> None:
    """Enter what readers called an advert or not useful; three statements."""
    await published.mark(uow, events)


@handles(MemberErased, fold=Fold.EVERY)
async def forget(events: Batch[MemberErased], uow: UnitOfWork) -> None:
    """Drop everything held about the erased."""
    await erasure.forget(
        uow, ((e.data.community_id, e.data.person_id, e.data.member_id) for e in events)
    )


_RESTARTED: Final = "community_id IN (SELECT w.community_id FROM {rebuilt}.went_live AS w)"
_WHY: Final = "began anew when the community went live, if it was open at that moment"
_FACTS: Final = (circle.forget_members, forget)
_LEDGER: Final = (*_FACTS, enter_in_ledgers, enter_marks)

PROJECTIONS: Final = (
    *circle.PROJECTIONS,
    Projection(tables.standing, (*_FACTS, facts.keep_standings)),
    Projection(tables.seat_count, (facts.count_seats,)),
    Projection(
        tables.application,
        (*_FACTS, facts.follow_waitlist),
        apart=(Apart(("offer_expires_at",), _WHY, _RESTARTED),),
    ),
    Projection(
        tables.invitation,
        (facts.follow_invitations,),
        apart=(Apart(("expires_at",), _WHY, _RESTARTED),),
    ),
    Projection(tables.suggestion, (facts.follow_suggestions,)),
    Projection(tables.reward_case, (facts.follow_rewards,)),
    Projection(
        tables.look_again,
        (*_FACTS, facts.follow_look_agains),
        apart=(Apart(("due_at", "params"), _WHY, _RESTARTED),),
    ),
    Projection(tables.member_fact, (*_FACTS, facts.note_activity, facts.note_bad_news)),
    Projection(tables.contact, (*_FACTS, facts.keep_contacts)),
    Projection(tables.ledger, _LEDGER),
    Projection(
        tables.notification,
        _LEDGER,
        apart=(
            Apart(("about", "priority", "params", "answers"), "what it said stands in no event"),
            Apart(("read_at",), "reading publishes nothing"),
            Apart(("time_zone", "local_day"), "not told of what was withheld", "state <> 'sent'"),
        ),
        log_lacks="what a message said",
    ),
)
KEPT: Final = {
    "preference": "members write it",
    "guard_policy": "managers write it",
    "unsubscribe_key": "a secret drawn at random",
    "broadcast": "managers write offers and news",
    "pending": "what waits for somebody not seen yet",
}
"""The other tables, and why the log cannot tell them."""
