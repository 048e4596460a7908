"""What happens elsewhere and matters here: people leave, are removed, or are forgotten.

Copies of members and communities are the chassis's. These handlers run after those, so the copy
already says who is gone; an event that an earlier return has overtaken changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from coterie_chassis import circle
from coterie_chassis.consumer import Batch, Fold, handles
from coterie_chassis.decisions import Cause
from coterie_chassis.store import UnitOfWork
from coterie_contracts.envelope import Event
from coterie_contracts.member import (
    MemberErased,
    MemberLeft,
    MemberReleased,
    MemberRemoved,
    MemberStatus,
)
from coterie_feedback.domain import rounds
from coterie_feedback.domain.decision import Decision
from coterie_feedback.domain.rounds import Round
from coterie_feedback.store.people import forget
from coterie_feedback.store.suggestions import rounds_waiting_for, save

__all__ = ["forget_what_people_said", "stop_waiting_for_the_gone"]

Departure = MemberLeft | MemberReleased | MemberRemoved | MemberErased
_GONE = frozenset({MemberStatus.LEFT, MemberStatus.RELEASED, MemberStatus.REMOVED})


@handles(MemberLeft, MemberReleased, MemberRemoved, MemberErased, fold=Fold.EVERY)
async def stop_waiting_for_the_gone(events: Batch[Departure], uow: UnitOfWork) -> None:
    """Mark open look-agains of people who are gone as not askable, and settle their rounds."""
    departed = {event.data.member_id for event in events}
    copies = await circle.members(uow, departed)
    gone = {who for who in departed if who not in copies or copies[who].status in _GONE}
    if not gone:
        return
    waiting = await rounds_waiting_for(uow, gone)
    decisions = _decide(events, gone, waiting)
    await save(uow, decisions)


@handles(MemberErased, fold=Fold.EVERY)
async def forget_what_people_said(events: Batch[MemberErased], uow: UnitOfWork) -> None:
    """Drop the words, supports and ratings of the erased; a constant number of statements."""
    await forget(uow, {event.data.member_id for event in events})


def _decide(
    events: Sequence[Event[Departure]], gone: set[UUID], waiting: Sequence[Round]
) -> list[Decision]:
    """Event by event, so that a round which several people leave settles with the last."""
    standing = {one.implementation.implementation_id: one for one in waiting}
    decisions = []
    for event in events:
        if event.data.member_id not in gone:
            continue
        for id_ in sorted(standing):
            cause = Cause.of(event)
            begun = standing[id_].implementation.implemented_at
            cause = replace(cause, at=max(cause.at, begun))
            standing[id_], decision = rounds.mark_gone(standing[id_], event.data.member_id, cause)
            decisions.append(decision)
    return decisions
