"""Commands and queries on members and their profiles."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query
from pydantic import Field
from sqlalchemy import select, tuple_

from coterie_chassis.auth import Role
from coterie_chassis.decisions import Cause, Forbidden, NotFound
from coterie_chassis.http import Api, Call, CommandBody, Done, Page, View, page_of
from coterie_chassis.texts import Moment
from coterie_contracts.member import MemberStatus
from coterie_membership import store
from coterie_membership.domain import belonging
from coterie_membership.domain.decision import Decision
from coterie_membership.domain.people import Member

api = Api(tags=["members"])


class Suspend(CommandBody):
    until: Moment | None = Field(default=None, description="14 days if left away")


class SetProfile(CommandBody):
    handle: str = Field(min_length=2, max_length=40)
    about: str = Field(default="", max_length=500)


class MemberView(View):
    member_id: UUID
    community_id: UUID
    status: MemberStatus
    admitted_at: datetime
    until: datetime | None
    reapply_after: datetime | None
    founding_number: int
    handle: str | None
    about: str | None
    version: int


class ProfileView(View):
    member_id: UUID
    handle: str | None
    about: str | None
    founding_number: int


@api.query("/members/{member_id}")
async def show_member(call: Call, member_id: UUID) -> MemberView:
    """A member, for themselves and for staff."""
    found = await store.member_by_id(call.uow, member_id)
    if found is None:
        raise NotFound("member")
    if found.person_id == call.principal.person_id:
        call.require(Role.APPLICANT, Role.MEMBER)
    elif not call.is_staff(await call.within(found.community_id)):
        raise NotFound("member")
    return _view(found)


@api.query("/communities/{community_id}/members", paged=True)
async def list_members(call: Call, community_id: UUID) -> Page[MemberView]:
    """All members ever, by admission; for staff."""
    call.staff(await call.within(community_id))
    c = store.member.c
    query = (
        select(store.member)
        .where(c.community_id == community_id)
        .order_by(c.admitted_at, c.member_id)
        .limit(call.page.limit + 1)
    )
    if position := call.page.after(at=datetime, id=UUID):
        query = query.where(tuple_(c.admitted_at, c.member_id) > position)
    rows = await store.members(call.uow, query)
    items, more = rows[: call.page.limit], len(rows) > call.page.limit
    cursor = {"at": items[-1].admitted_at, "id": items[-1].member_id} if more else None
    return page_of([_view(item) for item in items], cursor)


@api.query("/communities/{community_id}/profiles")
async def show_profiles(
    call: Call, community_id: UUID, ids: Annotated[list[UUID], Query(max_length=100)]
) -> list[ProfileView]:
    """Profiles of members, for the members and the staff of that circle."""
    cause = await call.within(community_id)
    if not call.is_staff(cause):
        me = await store.member_of(call.uow, community_id, call.principal.person_id)
        if me is None or not me.seated:
            raise NotFound("community")
    found = await store.members_by_id(call.uow, community_id, ids)
    return [
        ProfileView(
            member_id=member.member_id,
            handle=member.handle,
            about=member.about,
            founding_number=member.founding_number,
        )
        for member in sorted(found, key=lambda member: member.founding_number)
    ]


@api.command("POST", "/members/{member_id}/suspend", shows=show_member)
async def suspend(call: Call, member_id: UUID, body: Suspend) -> Done:
    """Stop a member from acting for a while; the seat stays theirs."""
    cause, decision, member = await _begin_as_staff(call, member_id)
    belonging.suspend(decision, member, body.until, at=cause.at)
    return await _save(call, decision, cause, member)


@api.command("POST", "/members/{member_id}/reinstate", shows=show_member)
async def reinstate(call: Call, member_id: UUID) -> Done:
    """End a suspension early."""
    cause, decision, member = await _begin_as_staff(call, member_id)
    belonging.reinstate(decision, member)
    return await _save(call, decision, cause, member)


@api.command("POST", "/members/{member_id}/release", shows=show_member)
async def release(call: Call, member_id: UUID) -> Done:
    """End a membership kindly: no ban, first on the waitlist for 180 days."""
    return await _end_as_staff(call, member_id, MemberStatus.RELEASED)


@api.command("POST", "/members/{member_id}/remove", shows=show_member)
async def remove(call: Call, member_id: UUID) -> Done:
    """End a membership with a ban of 180 days."""
    return await _end_as_staff(call, member_id, MemberStatus.REMOVED)


@api.command("POST", "/members/{member_id}/leave", shows=show_member)
async def leave(call: Call, member_id: UUID) -> Done:
    """Leave on one's own."""
    cause, decision, member = await _begin_as_self(call, member_id)
    return await _end(call, cause, decision, member, MemberStatus.LEFT)


@api.command("PUT", "/members/{member_id}/profile", shows=show_member)
async def set_profile(call: Call, member_id: UUID, body: SetProfile) -> Done:
    """Choose how the circle sees one; never part of an event."""
    cause, decision, member = await _begin_as_self(call, member_id)
    if not member.seated:
        raise Forbidden("not-in-good-standing", "Only members have a profile.")
    decision.put(member.with_profile(body.handle, body.about))
    return await _save(call, decision, cause, member)


async def _end_as_staff(call: Call, member_id: UUID, ending: MemberStatus) -> Done:
    cause, decision, member = await _begin_as_staff(call, member_id)
    return await _end(call, cause, decision, member, ending)


async def _end(
    call: Call, cause: Cause, decision: Decision, member: Member, ending: MemberStatus
) -> Done:
    if member.status is ending:
        return Done(member.member_id, member.version, member.sequence)
    belonging.end(decision, member, ending, at=cause.at)
    await store.move_up(call.uow, decision, at=cause.at)
    return await _save(call, decision, cause, member)


async def _begin_as_staff(call: Call, member_id: UUID) -> tuple[Cause, Decision, Member]:
    found = await _existing(call, member_id)
    cause = await call.within(found.community_id)
    call.staff(cause, Role.MANAGER)
    return cause, *await _locked(call, found)


async def _begin_as_self(call: Call, member_id: UUID) -> tuple[Cause, Decision, Member]:
    found = await _existing(call, member_id)
    if found.person_id != call.principal.person_id:
        raise NotFound("member")
    call.require(Role.MEMBER)
    cause = await call.within(found.community_id)
    return cause, *await _locked(call, found)


async def _locked(call: Call, found: Member) -> tuple[Decision, Member]:
    """The member as they are under the lock of their community."""
    decision = await store.begin(call.uow, found.community_id)
    member = await _existing(call, found.member_id)
    call.expect(member.version)
    return decision, member


async def _existing(call: Call, member_id: UUID) -> Member:
    found = await store.member_by_id(call.uow, member_id)
    if found is None:
        raise NotFound("member")
    return found


async def _save(call: Call, decision: Decision, cause: Cause, member: Member) -> Done:
    await store.save(call.uow, decision, cause)
    saved = decision.members.get(member.member_id, member)
    return Done(saved.member_id, saved.version, saved.sequence)


def _view(member: Member) -> MemberView:
    return MemberView.model_validate(member)
