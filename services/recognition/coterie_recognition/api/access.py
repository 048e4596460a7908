"""Who may see and do what: staff their community's, members their own, others not even that it is.

A member of another community, or staff of another, is answered as if the thing did not exist.
"""

from __future__ import annotations

from uuid import UUID

from coterie_chassis import circle
from coterie_chassis.auth import Role
from coterie_chassis.decisions import Cause, Forbidden, NotFound, member_id_of
from coterie_chassis.http import Call
from coterie_recognition.store import facts

__all__ = ["beneficiary", "caller_in", "insider", "self_or_staff"]


def caller_in(call: Call, community_id: UUID) -> UUID:
    """The member that the caller is, or would be, in a community."""
    return member_id_of(community_id, call.principal.person_id)


async def insider(call: Call, community_id: UUID) -> Cause:
    """The caller is staff or an active member; raises `NotFound` for everybody else."""
    cause = await call.within(community_id)
    if call.is_staff(cause):
        return cause
    me = await circle.member_of(call.uow, community_id, call.principal.person_id)
    if me is None or not me.active or not call.principal.has(Role.MEMBER):
        raise NotFound("community")
    return cause


async def self_or_staff(call: Call, member_id: UUID, *, staff: bool) -> tuple[UUID, Cause]:
    """The community of a member whom the caller is, or with `staff` whose staff they are."""
    member = (await circle.members(call.uow, [member_id])).get(member_id)
    if member is None:
        raise NotFound("member")
    cause = await call.within(member.community_id)
    mine = member.person_id == call.principal.person_id
    if mine and call.principal.has(Role.MEMBER, Role.APPLICANT):
        return member.community_id, cause
    if not call.is_staff(cause):
        raise NotFound("member")
    if not staff:
        raise Forbidden("member-alone", "Only the member reads this.")
    return member.community_id, cause


async def beneficiary(call: Call, community_id: UUID, member_id: UUID) -> Cause:
    """The caller is the member; who left still takes what they were given, who was erased not."""
    cause = await call.within(community_id)
    if member_id == caller_in(call, community_id) and call.principal.has(
        Role.MEMBER, Role.APPLICANT
    ):
        if await facts.erased_among(call.uow, [member_id]):
            raise NotFound("reward")
        return cause
    if call.is_staff(cause):
        raise Forbidden("beneficiary-alone", "Only the member to whom it was given takes this.")
    raise NotFound("reward")
