"""The waitlist, and moving it up. Free seats go to who is ready, before anybody new gets one."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import select

from coterie_chassis.store import UnitOfWork
from coterie_contracts.community import CommunityStatus
from coterie_membership.domain.decision import Decision
from coterie_membership.domain.people import Application, ApplicationStatus
from coterie_membership.domain.requirements import Requirement, judge
from coterie_membership.domain.seating import offer_if_ready
from coterie_membership.store import people, tables

_LONGER: Final = 8


async def waitlist(
    uow: UnitOfWork, community_id: UUID, limit: int, *, but: Collection[UUID] = ()
) -> list[Application]:
    """The head of the waitlist in its order: priority, time, id; without those in `but`."""
    c = tables.application.c
    query = (
        select(tables.application)
        .where(c.community_id == community_id, c.status == ApplicationStatus.WAITLISTED)
        .order_by(c.priority.desc(), c.enqueued_at, c.application_id)
        .limit(limit)
    )
    if but:
        query = query.where(c.application_id.not_in(but))
    return await people.applications(uow, query)


async def move_up(
    uow: UnitOfWork, decision: Decision, *, at: datetime, passed_over: Application | None = None
) -> bool:
    """Offer what is free to the waitlist, in its order; `passed_over` comes last this time.

    Evidence with a window is judged again, so whoever is not ready is left out without losing
    the place. True if a seat is left that nobody who is ready waits for. Costs one statement
    when nobody waits, none when no seat is free, and few however many are not ready.
    """
    community_id = decision.community.community_id
    if not decision.community.seats.free:
        return False
    if decision.community.status is not CommunityStatus.OPEN:
        return not await waitlist(uow, community_id, 1)
    seen: set[UUID] = set()
    trees: dict[int, Requirement] = {}
    size = decision.community.seats.free + 1
    while decision.community.seats.free:
        head = await waitlist(uow, community_id, size, but=seen)
        size *= _LONGER
        if not head and passed_over is not None:
            head, passed_over = [passed_over], None
        if not head:
            return True
        if missing := {each.requirements_version for each in head} - trees.keys():
            trees |= await people.trees(uow, community_id, missing)
        for each in head:
            seen.add(each.application_id)
            waiting = decision.applications.get(each.application_id, each)
            if decision.community.seats.free and waiting.status is ApplicationStatus.WAITLISTED:
                tree = trees[waiting.requirements_version]
                offer_if_ready(decision, waiting, judge(tree, waiting.dossier, at=at), at=at)
    return False
