"""Deadlines: a look-again that nobody answered, a campaign whose time is over."""

from __future__ import annotations

from collections.abc import Sequence

from coterie_chassis.store import UnitOfWork
from coterie_chassis.sweeper import Deadline, sweeps
from coterie_feedback.domain import campaigns, rounds
from coterie_feedback.domain.campaigns import CampaignStatus
from coterie_feedback.domain.decision import Decision
from coterie_feedback.store.campaigns import CLOSE, lock_campaigns, put_campaigns
from coterie_feedback.store.suggestions import LAPSE, rounds_of, save

__all__ = ["close_campaigns", "lapse_look_agains"]


@sweeps(LAPSE)
async def lapse_look_agains(due: Sequence[Deadline], uow: UnitOfWork) -> None:
    """End look-agains that nobody answered and settle rounds that wait for nobody more."""
    found = await rounds_of(uow, [deadline.aggregate_id for deadline in due])
    standing = {one.implementation.implementation_id: one for one in found}
    home = {look.look_again_id: look.implementation_id for one in found for look in one.look_agains}
    decisions: list[Decision] = []
    for deadline in due:
        if (id_ := home.get(deadline.aggregate_id)) is None:
            continue
        standing[id_], decision = rounds.lapse(standing[id_], deadline.aggregate_id, deadline.cause)
        decisions.append(decision)
    await save(uow, decisions)


@sweeps(CLOSE)
async def close_campaigns(due: Sequence[Deadline], uow: UnitOfWork) -> None:
    """Close campaigns at their time, unless staff did so before."""
    known = await lock_campaigns(uow, [deadline.aggregate_id for deadline in due])
    closed = []
    for deadline in due:
        campaign = known.get(deadline.aggregate_id)
        if campaign is None or campaign.status is not CampaignStatus.LAUNCHED:
            continue
        after, draft = campaigns.close(campaign, deadline.cause)
        closed.append(after)
        uow.publish(deadline.cause, draft)
    await put_campaigns(uow, closed)
