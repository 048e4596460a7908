"""What applicants do and see: apply, withdraw, accept a seat, and read why."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field
from sqlalchemy import select, tuple_

from coterie_chassis.auth import Role
from coterie_chassis.decisions import Cause, Forbidden, NotFound, Refusal
from coterie_chassis.http import Api, Call, Done, Page, page_of
from coterie_membership import store
from coterie_membership.api.admitting import (
    Form,
    begin_as_applicant,
    done,
    save,
    take_in,
    tell_contact,
)
from coterie_membership.api.identity import identity_of, token_hash
from coterie_membership.api.views import ApplicationView, application_view
from coterie_membership.domain import admission, founding, seating
from coterie_membership.domain.people import ApplicationStatus, Invitation

api = Api(tags=["applications"])


class Apply(Form):
    """An application, with the token of an invitation if there is one."""

    invitation_token: str | None = Field(default=None, max_length=100)


@api.query("/applications/{application_id}")
async def show_application(call: Call, application_id: UUID) -> ApplicationView:
    """One's own application with the verdict on each requirement and why; staff see all."""
    pair = await store.application_with_tree(call.uow, application_id)
    if pair is None:
        raise NotFound("application")
    found, tree = pair
    if found.person_id == call.principal.person_id:
        call.require(Role.APPLICANT, Role.MEMBER)
    elif not call.is_staff(await call.within(found.community_id)):
        raise NotFound("application")
    member = None
    if found.status is ApplicationStatus.ADMITTED:
        member = await store.member_of(call.uow, found.community_id, found.person_id)
    return application_view(found, tree, member)


@api.query("/communities/{community_id}/waitlist", paged=True)
async def show_waitlist(call: Call, community_id: UUID) -> Page[ApplicationView]:
    """Who waits, in the order in which seats are offered; for staff."""
    call.staff(await call.within(community_id))
    c = store.application.c
    query = (
        select(store.application)
        .where(c.community_id == community_id, c.status == ApplicationStatus.WAITLISTED)
        .order_by(c.priority.desc(), c.enqueued_at, c.application_id)
        .limit(call.page.limit + 1)
    )
    if position := call.page.after(priority=int, at=datetime, id=UUID):
        priority, at, id_ = position
        after = (-priority, at, id_)
        query = query.where(tuple_(-c.priority, c.enqueued_at, c.application_id) > after)
    rows = await store.applications(call.uow, query)
    items, more = rows[: call.page.limit], len(rows) > call.page.limit
    cursor_for_next = None
    if more:
        last = items[-1]
        place = {"priority": last.priority, "at": last.enqueued_at}
        cursor_for_next = {**place, "id": last.application_id}
    trees = await store.trees(call.uow, community_id, {i.requirements_version for i in items})
    shown = [application_view(item, trees[item.requirements_version], None) for item in items]
    return page_of(shown, cursor_for_next)


@api.command("POST", "/communities/{community_id}/applications", shows=show_application, status=201)
async def apply(call: Call, community_id: UUID, body: Apply) -> Done:
    """Apply. Whoever satisfies the requirements is admitted at once, or waits for a seat."""
    cause = await call.within(community_id)
    check_applicant(call, cause)
    decision = await store.begin(call.uow, community_id)
    earlier = await store.applications_of(call.uow, community_id, call.principal.person_id)
    application_id = call.new_id("application")
    if known := next((a for a in earlier if a.application_id == application_id), None):
        return done(known)
    invitation = await _invitation(call, community_id, body.invitation_token, cause)
    return await take_in(call, cause, decision, body, invitation, earlier=earlier)


@api.command("POST", "/applications/{application_id}/withdraw", shows=show_application)
async def withdraw(call: Call, application_id: UUID) -> Done:
    """Take one's own application back."""
    cause, decision, application = await begin_as_applicant(call, application_id)
    if application.status is ApplicationStatus.WITHDRAWN:
        return done(application)
    admission.withdraw(decision, application)
    await store.move_up(call.uow, decision, at=cause.at)
    return await save(call, decision, cause, application_id)


@api.command("POST", "/applications/{application_id}/accept-seat", shows=show_application)
async def accept_seat(call: Call, application_id: UUID) -> Done:
    """Accept a seat offer before it ends."""
    cause, decision, application = await begin_as_applicant(call, application_id)
    if application.status is ApplicationStatus.ADMITTED:
        return done(application)
    community_id, person_id = application.community_id, application.person_id
    identity = await identity_of(call, community_id, person_id)
    member = await store.member_of(call.uow, community_id, person_id)
    seating.accept_seat(decision, application, member, member_id=identity.member_id, at=cause.at)
    tell_contact(decision)
    return await save(call, decision, cause, application_id)


def check_applicant(call: Call, cause: Cause) -> None:
    """Raises `Forbidden` without the role, and for staff, who hold no seat of their own."""
    call.require(Role.APPLICANT, Role.MEMBER)
    if call.is_staff(cause):
        raise Forbidden("staff-hold-no-seat", "Staff of a community do not apply to it.")


async def _invitation(
    call: Call, community_id: UUID, token: str | None, cause: Cause
) -> Invitation | None:
    if token is None:
        return None
    found = await store.invitation_by_token(call.uow, token_hash(token))
    if found is None or found.community_id != community_id:
        raise Refusal("unknown-invitation", "This invitation is not one of this community.")
    founding.check_not_over(found, cause.at)
    return found
