"""What changes here when a community or a member changes: templates, holds, ends, forgetting.

`lock_desks` comes before every other handler of its lane, so that a batch takes all desks in one
order, whatever its events are.
"""

from __future__ import annotations

from uuid import UUID

from coterie_chassis import circle
from coterie_chassis.consumer import Batch, Fold, handles
from coterie_chassis.decisions import Cause
from coterie_chassis.store import UnitOfWork
from coterie_contracts.community import (
    ClockAdvanced,
    CommunityChanged,
    CommunityFacts,
    CommunityOpened,
)
from coterie_contracts.feedback import (
    FeedbackImplemented,
    FeedbackReopened,
    FeedbackSubmitted,
    FeedbackUnconfirmed,
    FeedbackVerified,
    FeedbackWithdrawn,
    LookAgainAnswered,
)
from coterie_contracts.member import (
    MemberAdmitted,
    MemberErased,
    MemberFacts,
    MemberLeft,
    MemberReinstated,
    MemberReleased,
    MemberRemoved,
    MemberStatus,
    MemberSuspended,
)
from coterie_contracts.model import EventBody
from coterie_contracts.reward import HeldFor
from coterie_recognition.domain.desk import Desk
from coterie_recognition.handlers.improvements import propose_for
from coterie_recognition.store import catalogue, desks, facts, triggers


@handles(
    CommunityOpened,
    CommunityChanged,
    ClockAdvanced,
    MemberAdmitted,
    MemberSuspended,
    MemberReinstated,
    MemberLeft,
    MemberReleased,
    MemberRemoved,
    MemberErased,
    FeedbackSubmitted,
    FeedbackWithdrawn,
    FeedbackImplemented,
    FeedbackVerified,
    FeedbackReopened,
    FeedbackUnconfirmed,
    LookAgainAnswered,
    fold=Fold.EVERY,
)
async def lock_desks(events: Batch[EventBody], uow: UnitOfWork) -> None:
    """Take the desks of all communities of the batch; one statement, after clocks that end."""
    await circle.going_live(events, uow)
    await desks.lock_desks(uow, {e.community_id for e in events if e.community_id is not None})


@handles(ClockAdvanced, fold=Fold.EVERY)
async def restart_rewards(events: Batch[ClockAdvanced], uow: UnitOfWork) -> None:
    """Give what is open its whole time again where a community goes live."""
    live = await circle.going_live(events, uow)
    if live:
        await desks.restart(uow, {id_: event.data.now for id_, event in live.items()})


@handles(CommunityOpened, CommunityChanged, fold=Fold.LATEST)
async def set_up_rewards(events: Batch[CommunityFacts], uow: UnitOfWork) -> None:
    """Give new communities the templates of the first day, then decide what waited for them."""
    causes = {event.data.community_id: Cause.of(event) for event in events}
    await catalogue.set_up(uow, causes)
    await propose_for(uow, await triggers.take_waiting(uow, causes))


@handles(
    MemberAdmitted,
    MemberSuspended,
    MemberReinstated,
    MemberLeft,
    MemberReleased,
    MemberRemoved,
    fold=Fold.LATEST,
)
async def follow_members(events: Batch[MemberFacts], uow: UnitOfWork) -> None:
    """Pay whose suspension ended, end what was promised to the removed, decide what waited."""
    causes = {event.data.member_id: Cause.of(event) for event in events}
    communities = {event.data.community_id for event in events}
    await facts.mark_dirty(uow, {(e.data.community_id, e.time) for e in events})
    opened = await desks.open_desks(uow, communities, members=causes)
    for desk in opened.values():
        for member_id, cause in causes.items():
            _follow(desk, member_id, cause)
    await desks.save_desks(uow, opened)
    await propose_for(uow, await triggers.take_waiting(uow, causes))


@handles(MemberErased, fold=Fold.EVERY)
async def forget_members_entirely(events: Batch[MemberErased], uow: UnitOfWork) -> None:
    """End what was promised to the erased and drop what they said and earned."""
    causes = {event.data.member_id: Cause.of(event) for event in events}
    communities = {event.data.community_id for event in events}
    opened = await desks.open_desks(uow, communities, members=causes)
    for desk in opened.values():
        for reward in sorted(desk.rewards.values(), key=lambda r: r.place):
            if reward.member_id in causes:
                desk.end(reward, causes[reward.member_id])
    await desks.save_desks(uow, opened)
    await facts.forget(uow, causes)
    await facts.mark_dirty(uow, {(e.data.community_id, e.time) for e in events})


def _follow(desk: Desk, member_id: UUID, cause: Cause) -> None:
    """Act on the copy's state, which an event out of order does not change."""
    status = desk.members.get(member_id)
    if status is None or status is MemberStatus.SUSPENDED:
        return
    mine = [r for r in desk.rewards.values() if r.member_id == member_id]
    for reward in sorted(mine, key=lambda r: r.place):
        if status is MemberStatus.REMOVED:
            desk.end(reward, cause)
        elif reward.waits_for(HeldFor.SUSPENDED):
            desk.pay(reward, cause)
