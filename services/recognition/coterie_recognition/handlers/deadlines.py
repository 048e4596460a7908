"""What recognition does when a moment comes without anybody's doing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from coterie_chassis.store import UnitOfWork
from coterie_chassis.sweeper import Deadline, sweeps
from coterie_contracts.community import ClockMode
from coterie_recognition.handlers.refold import CLOSE
from coterie_recognition.store import desks, facts

__all__ = ["close_seasons", "look_at_rewards"]

_INSIDE: Final = timedelta(microseconds=1)


@sweeps(desks.DUE)
async def look_at_rewards(due: Sequence[Deadline], uow: UnitOfWork) -> None:
    """Retry, set aside or end the rewards whose moment came, and store their next one.

    A deadline's row is locked here before its desk, elsewhere after it: so a desk that somebody
    holds is not waited for, its deadlines are put back. A driven community's are taken under its
    clock, in order, and cannot be put back.
    """
    due = await _at_free_desks(due, uow)
    ids = {deadline.aggregate_id for deadline in due}
    opened = await desks.open_desks(uow, {deadline.community_id for deadline in due}, rewards=ids)
    looked_at = []
    for deadline in due:
        desk = opened.get(deadline.community_id)
        reward = desk.rewards.get(deadline.aggregate_id) if desk else None
        if desk is not None and reward is not None:
            desk.come_due(reward, deadline.cause)
            looked_at.append(reward)
    desks.plan(uow, looked_at)
    await desks.save_desks(uow, opened)


async def _at_free_desks(due: Sequence[Deadline], uow: UnitOfWork) -> list[Deadline]:
    on_wall = {d.community_id for d in due if d.cause.clock is ClockMode.WALL}
    busy = on_wall - await desks.free_desks(uow, on_wall)
    for deadline in due:
        if deadline.community_id in busy:
            uow.schedule(desks.DUE, deadline.aggregate_id, deadline.community_id, deadline.due_at)
    return [deadline for deadline in due if deadline.community_id not in busy]


@sweeps(CLOSE)
async def close_seasons(due: Sequence[Deadline], uow: UnitOfWork) -> None:
    """Have the seasons that ended folded for the last time, with their badges."""
    await facts.mark_dirty(uow, {(d.community_id, d.due_at - _INSIDE) for d in due})
