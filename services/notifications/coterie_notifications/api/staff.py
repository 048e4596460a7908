"""What staff limit and look into: the guard's policy, the brief, what waits."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from coterie_chassis import circle
from coterie_chassis.auth import Role
from coterie_chassis.decisions import Draft, NotFound, Refusal
from coterie_chassis.http import Api, Call, CommandBody, Done, Page, TodoItem, page_of
from coterie_notifications.api.paging import following, position
from coterie_notifications.api.views import BriefView, DecisionView, PolicyView, brief_view
from coterie_notifications.domain.policy import GuardPolicy, in_force
from coterie_notifications.domain.quiet_hours import zone_of
from coterie_notifications.domain.templates import render
from coterie_notifications.store import reading
from coterie_notifications.store.briefs import brief_of
from coterie_notifications.store.recipients import policies_of, save_policy

api = Api(tags=["staff"])

_TODO_LIMIT = 100
Days = Annotated[int, Field(ge=0, le=365)]
Window = Annotated[int, Field(ge=1, le=365)]


class SetGuardPolicy(CommandBody):
    """The limits of the guard; what is left out takes its default. No field turns it off."""

    offer_cap: Annotated[int, Field(ge=0, le=10)] = GuardPolicy().offer_cap
    offer_window_days: Window = GuardPolicy().offer_window_days
    offer_ratio: Annotated[float, Field(ge=0, le=1)] = GuardPolicy().offer_ratio
    offer_ratio_window_days: Window = GuardPolicy().offer_ratio_window_days
    offer_gap_days: Days = GuardPolicy().offer_gap_days
    offer_after_days: Days = GuardPolicy().offer_after_days
    community_cap: Annotated[int, Field(ge=0, le=50)] = GuardPolicy().community_cap
    community_window_days: Window = GuardPolicy().community_window_days
    personal_cap_per_day: Annotated[int, Field(ge=1, le=50)] = GuardPolicy().personal_cap_per_day


@api.query("/communities/{community_id}/guard-policy")
async def show_guard_policy(call: Call, community_id: UUID) -> PolicyView:
    """The limits in force: for members and staff."""
    cause = await call.within(community_id)
    if not call.is_staff(cause):
        member = await circle.member_of(call.uow, community_id, call.principal.person_id)
        if member is None:
            raise NotFound("community")
    policy = await _policy(call, community_id, cause.at)
    return PolicyView(community_id=community_id, version=policy.version, **policy.limits())


@api.command("PUT", "/communities/{community_id}/guard-policy", shows=show_guard_policy)
async def set_guard_policy(call: Call, community_id: UUID, body: SetGuardPolicy) -> Done:
    """Publish a new version of the limits, with its author."""
    cause = await call.within(community_id)
    call.staff(cause, Role.MANAGER)
    current = await _policy(call, community_id, cause.at)
    call.expect(current.version)
    wanted = GuardPolicy(version=current.version + 1, **body.model_dump())
    if wanted.limits() == current.limits():
        return Done(community_id, current.version, current.version - 1)
    if not await save_policy(call.uow, community_id, wanted, cause.at, cause.actor):
        raise Refusal("lost-race", "Somebody changed the limits at the same time.", status=412)
    sequence = wanted.version - 1
    call.uow.publish(cause, Draft(community_id, wanted.changed(community_id), sequence))
    return Done(community_id, wanted.version, sequence)


@api.query("/communities/{community_id}/brief")
async def show_brief(call: Call, community_id: UUID) -> BriefView:
    """What a manager wants to know on Monday, as of now."""
    cause = await call.within(community_id)
    call.staff(cause)
    community = await circle.community(call.uow, community_id)
    if community is None:
        raise NotFound("community")
    return brief_view(await brief_of(call.uow, community, cause.at))


@api.query("/communities/{community_id}/decisions", paged=True)
async def show_decisions(
    call: Call, community_id: UUID, outcome: Literal["sent", "suppressed"] | None = None
) -> Page[DecisionView]:
    """What the guard decided, newest first; each one's steps stand under its `/guard`."""
    call.staff(await call.within(community_id))
    limit = call.page.limit
    rows = await reading.decisions_page(
        call.uow, community_id, outcome, limit=limit + 1, before=position(call)
    )
    items = [
        DecisionView(
            id=row.id,
            recipient_id=row.recipient_id,
            notification_class=row.notification_class,
            template=row.template,
            cause_id=row.cause_id,
            decided_at=row.decided_at,
            outcome=row.state,
            reason=row.reason,
        )
        for row in rows[:limit]
    ]
    return page_of(items, following(rows, limit))


@api.query("/communities/{community_id}/todo")
async def show_todo(call: Call, community_id: UUID) -> list[TodoItem]:
    """Notices to the staff that nobody has read yet."""
    call.staff(await call.within(community_id))
    community = await circle.community(call.uow, community_id)
    if community is None:
        return []
    zone = zone_of(community.time_zone, community.time_zone)
    return [
        TodoItem(
            what=render(row.template, {"community": community.name, **row.params}, zone).title,
            since=row.decided_at,
            subject_id=row.id,
            for_whom="manager",
            method="POST",
            path=f"/notifications/{row.id}/read",
        )
        for row in await reading.unread_by_staff(call.uow, community_id, _TODO_LIMIT)
    ]


async def _policy(call: Call, community_id: UUID, at: datetime) -> GuardPolicy:
    versions = (await policies_of(call.uow, [community_id])).get(community_id, [])
    return in_force(versions, at)
