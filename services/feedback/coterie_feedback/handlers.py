"""What happens elsewhere and matters here: people go or are forgotten, a community goes live.

Copies of members and communities are the chassis's. A departure counts for who was asked before it
and for nobody who was asked after their return, whatever the copy says by the time it is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from coterie_chassis import circle
from coterie_chassis.consumer import Batch, Fold, handles
from coterie_chassis.decisions import Cause
from coterie_chassis.store import UnitOfWork
from coterie_contracts.community import ClockAdvanced
from coterie_contracts.envelope import Event
from coterie_contracts.member import (
    MemberErased,
    MemberLeft,
    MemberReleased,
    MemberRemoved,
)
from coterie_feedback.domain import campaigns, rounds
from coterie_feedback.domain.decision import Decision
from coterie_feedback.domain.look_agains import LookState, restarted
from coterie_feedback.domain.quiet_hours import QuietHours
from coterie_feedback.domain.rounds import Round
from coterie_feedback.store.campaigns import put_campaigns, running_in
from coterie_feedback.store.people import forget
from coterie_feedback.store.suggestions import rounds_open_in, rounds_waiting_for, save

__all__ = ["forget_what_people_said", "restart_what_is_open", "stop_waiting_for_the_gone"]

Departure = MemberLeft | MemberReleased | MemberRemoved | MemberErased


@handles(ClockAdvanced, fold=Fold.EVERY)
async def restart_what_is_open(events: Batch[ClockAdvanced], uow: UnitOfWork) -> None:
    """Give look-agains and campaigns of a community that goes live their whole time again.

    Runs before the clock follows, so that it happens once: a community that is live already has
    nothing to restart.
    """
    live = await circle.going_live(events, uow)
    if not live:
        return
    await _restart_look_agains(live, uow)
    running = await running_in(uow, live)
    again = [campaigns.restarted(one, live[one.community_id].data.now) for one in running]
    await put_campaigns(uow, again)


async def _restart_look_agains(live: Mapping[UUID, Event[ClockAdvanced]], uow: UnitOfWork) -> None:
    asked = [
        one
        for round_ in await rounds_open_in(uow, live)
        for one in round_.look_agains
        if one.state is LookState.REQUESTED
    ]
    people = await circle.members(uow, {one.member_id for one in asked})
    places = await circle.communities(uow, live)
    decisions = []
    for one in asked:
        event, place = live[one.community_id], places[one.community_id]
        own = [people[one.member_id].time_zone] if one.member_id in people else []
        quiet = QuietHours(place.quiet_from, place.quiet_until)
        again = restarted(one, event.data.now, [*own, place.time_zone], quiet)
        decisions.append(Decision(cause=Cause.of(event), look_agains=(again,)))
    await save(uow, decisions)


@handles(MemberLeft, MemberReleased, MemberRemoved, MemberErased, fold=Fold.EVERY)
async def stop_waiting_for_the_gone(events: Batch[Departure], uow: UnitOfWork) -> None:
    """Mark open look-agains of people who are gone as not askable, and settle their rounds."""
    waiting = await rounds_waiting_for(uow, {event.data.member_id for event in events})
    await save(uow, _decide(events, waiting))


@handles(MemberErased, fold=Fold.EVERY)
async def forget_what_people_said(events: Batch[MemberErased], uow: UnitOfWork) -> None:
    """Drop the words, supports and ratings of the erased; a constant number of statements."""
    await forget(uow, {event.data.member_id for event in events})


def _decide(events: Sequence[Event[Departure]], waiting: Sequence[Round]) -> list[Decision]:
    """Event by event, so that a round which several people leave settles with the last."""
    standing = {one.implementation.implementation_id: one for one in waiting}
    decisions = []
    for event in events:
        forever = isinstance(event.data, MemberErased)
        sequence = None if forever else event.sequence or 0
        for id_ in sorted(standing):
            cause = Cause.of(event)
            begun = standing[id_].implementation.implemented_at
            cause = replace(cause, at=max(cause.at, begun))
            standing[id_], decision = rounds.mark_gone(
                standing[id_], event.data.member_id, cause, sequence=sequence
            )
            decisions.append(decision)
    return decisions
