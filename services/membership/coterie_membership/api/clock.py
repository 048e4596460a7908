"""The driven clock: pushed by importers, and left for the wall clock for good."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from coterie_chassis.auth import Role
from coterie_chassis.decisions import Cause, Refusal
from coterie_chassis.http import Api, Call, CommandBody, Done
from coterie_chassis.tables import community_clock
from coterie_chassis.texts import Moment
from coterie_contracts.community import ClockMode
from coterie_membership import store
from coterie_membership.api.communities import save, show_community
from coterie_membership.domain import going_live

api = Api(tags=["communities"])


class PushClock(CommandBody):
    now: Moment


@api.command("POST", "/communities/{community_id}/clock", shows=show_community)
async def push_clock(call: Call, community_id: UUID, body: PushClock) -> Done:
    """Push a driven clock forward; whatever is due by then happens first."""
    call.require(Role.IMPORTER)
    cause = await _driven(call, community_id, "This community runs on the wall clock.")
    now = max(body.now, cause.at)
    await call.advance_clock(cause, now)
    decision = await store.begin(call.uow, community_id)
    going_live.push_clock(decision, now)
    return await save(call, decision, _at(call, cause, now, ClockMode.DRIVEN))


@api.command("POST", "/communities/{community_id}/go-live", shows=show_community)
async def go_live(call: Call, community_id: UUID) -> Done:
    """Leave the driven clock for the wall clock, for good; open deadlines restart from now."""
    cause = await _driven(call, community_id, "This community runs on the wall clock already.")
    now = call.uow.now
    c = community_clock.c
    await call.uow.execute(
        community_clock.update()
        .where(c.community_id == community_id)
        .values(mode=ClockMode.WALL.value, now=now)
    )
    decision = await store.begin(call.uow, community_id)
    going_live.go_live(
        decision,
        *await store.with_deadlines(call.uow, community_id),
        stood_at=cause.at,
        now=now,
    )
    return await save(call, decision, _at(call, cause, now, ClockMode.WALL))


async def _driven(call: Call, community_id: UUID, otherwise: str) -> Cause:
    cause = await call.within(community_id)
    call.staff(cause, Role.MANAGER)
    if cause.clock is not ClockMode.DRIVEN:
        raise Refusal("clock-not-driven", otherwise)
    return cause


def _at(call: Call, cause: Cause, now: datetime, mode: ClockMode) -> Cause:
    return call.cause(now, community_id=cause.community_id, brand_id=cause.brand_id, clock=mode)
