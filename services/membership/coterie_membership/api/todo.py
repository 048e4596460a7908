"""What waits for a community's staff, since when, and the command that settles it."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from coterie_chassis.auth import Role
from coterie_chassis.decisions import NotFound
from coterie_chassis.http import Api, Call, TodoItem
from coterie_contracts.community import CommunityStatus
from coterie_contracts.member import Verdict
from coterie_membership import store
from coterie_membership.domain.people import Application, ApplicationStatus, Community

api = Api(tags=["communities"])


@api.query("/communities/{community_id}/todo")
async def show_todo(call: Call, community_id: UUID) -> list[TodoItem]:
    """Applications that wait for a decision or for evidence, oldest first; at most 100."""
    call.staff(await call.within(community_id))
    community = await store.community_by_id(call.uow, community_id)
    if community is None:
        raise NotFound("community")
    c = store.application.c
    query = (
        select(store.application)
        .where(c.community_id == community_id, c.status.in_(_waiting(community)))
        .order_by(c.submitted_at, c.application_id)
        .limit(100)
    )
    found = await store.applications(call.uow, query)
    if community.status is not CommunityStatus.PAUSED:
        return [_item(each, community) for each in found]
    in_line = [each for each in found if each.status is ApplicationStatus.WAITLISTED]
    others = [each for each in found if each.status is not ApplicationStatus.WAITLISTED]
    return [
        *(_paused(each, community) for each in in_line[:1]),
        *(_item(each, community) for each in others),
    ]


def _waiting(community: Community) -> list[ApplicationStatus]:
    """By a free seat, whoever waits in line is unready; at the end, everybody wants an answer."""
    if community.status is CommunityStatus.CLOSED:
        return [status for status in ApplicationStatus if status.live]
    in_line = [ApplicationStatus.WAITLISTED] if community.seats.free else []
    return [ApplicationStatus.SUBMITTED, *in_line]


def _item(application: Application, community: Community) -> TodoItem:
    approvable = any(
        each.kind == "manager_approval" and each.verdict is Verdict.UNKNOWN
        for each in application.verdicts
    )
    if community.status is CommunityStatus.CLOSED:
        what, deed = "The community is closed, and an applicant still waits.", "decline"
    elif application.status is ApplicationStatus.WAITLISTED:
        what = "A seat is free, but what was known of this applicant is out of date."
        deed = "verdicts"
    elif approvable:
        what, deed = "An application waits for your decision.", "approve"
    else:
        what = "An application waits until more is known of the applicant."
        deed = "verdicts"
    return TodoItem(
        what=what,
        since=application.submitted_at,
        subject_id=application.application_id,
        for_whom=Role.MANAGER,
        method="POST",
        path=f"/applications/{application.application_id}/{deed}",
    )


def _paused(first: Application, community: Community) -> TodoItem:
    return TodoItem(
        what="Seats are free and people wait for them, but the community is paused.",
        since=first.submitted_at,
        subject_id=community.community_id,
        for_whom=Role.MANAGER,
        method="POST",
        path=f"/communities/{community.community_id}/open",
    )
