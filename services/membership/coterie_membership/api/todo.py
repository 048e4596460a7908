"""What waits for a community's staff, since when, and the command that settles it."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import or_, select

from coterie_chassis.auth import Role
from coterie_chassis.http import Api, Call, TodoItem
from coterie_contracts.member import Verdict
from coterie_membership import store
from coterie_membership.domain.people import Application, ApplicationStatus

api = Api(tags=["communities"])


@api.query("/communities/{community_id}/todo")
async def show_todo(call: Call, community_id: UUID) -> list[TodoItem]:
    """Applications that wait for a decision or for evidence, oldest first; at most 100."""
    call.staff(await call.within(community_id))
    c = store.application.c
    found = await store.community_by_id(call.uow, community_id)
    has_free_seats = found is not None and found.seats.free > 0
    wanted = c.status == ApplicationStatus.SUBMITTED
    if has_free_seats:
        wanted = or_(wanted, c.status == ApplicationStatus.WAITLISTED)
    query = (
        select(store.application)
        .where(c.community_id == community_id, wanted)
        .order_by(c.submitted_at, c.application_id)
        .limit(100)
    )
    return [_item(each) for each in await store.applications(call.uow, query)]


def _item(application: Application) -> TodoItem:
    """An approval where one is open, else a verdict; who waits by a free seat is unready."""
    approvable = any(
        each.kind == "manager_approval" and each.verdict is Verdict.UNKNOWN
        for each in application.verdicts
    )
    if application.status is ApplicationStatus.WAITLISTED:
        what, deed = "A seat is free, but what was known of this applicant is out of date.", None
    elif approvable:
        what, deed = "An application waits for your decision.", "approve"
    else:
        what, deed = "An application waits until more is known of the applicant.", None
    return TodoItem(
        what=what,
        since=application.submitted_at,
        subject_id=application.application_id,
        for_whom=Role.MANAGER,
        method="POST",
        path=f"/applications/{application.application_id}/{deed or 'verdicts'}",
    )
