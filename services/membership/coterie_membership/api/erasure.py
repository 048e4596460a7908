"""Forgetting a person in a community, from every state, with the release of the seat."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from coterie_chassis.auth import Role
from coterie_chassis.decisions import NotFound
from coterie_chassis.http import Api, Call, Done, View
from coterie_contracts.member import MemberErased
from coterie_membership import store
from coterie_membership.api.identity import Identity, identity_hash, identity_of
from coterie_membership.domain import admission, belonging
from coterie_membership.domain.people import Application, Member

api = Api(tags=["erasure"])


class ErasureView(View):
    """What is left after an erasure: nothing but that it happened."""

    erased: bool = True


async def show_erasure(call: Call, erased_id: UUID) -> ErasureView:
    return ErasureView()


@api.command("POST", "/applications/{application_id}/erase", shows=show_erasure)
async def erase_applicant(call: Call, application_id: UUID) -> Done:
    """Forget an applicant; asked by themselves or carried out by a manager."""
    found = await store.application_by_id(call.uow, application_id)
    if found is None:
        return await _erased_before(call, application_id, "application")
    await _erase(call, found.community_id, found.person_id, "application")
    return Done(application_id)


@api.command("POST", "/members/{member_id}/erase", shows=show_erasure)
async def erase_member(call: Call, member_id: UUID) -> Done:
    """Forget a member; asked by themselves or carried out by a manager."""
    found = await store.member_by_id(call.uow, member_id)
    if found is None:
        return await _erased_before(call, member_id, "member")
    sequence = await _erase(call, found.community_id, found.person_id, "member")
    return Done(member_id, sequence=sequence)


async def _erased_before(call: Call, erased_id: UUID, what: str) -> Done:
    """The same answer again for who was erased and for managers; strangers find nothing."""
    community_id = await store.erased_from(call.uow, erased_id)
    if community_id is None:
        raise NotFound(what)
    cause = await call.within(community_id)
    hashed = identity_hash(call, community_id, call.principal.person_id)
    if await store.erasures_of(call.uow, community_id, hashed) is None:
        if not call.is_staff(cause):
            raise NotFound(what)
        call.staff(cause, Role.MANAGER)
    return Done(erased_id)


async def _erase(call: Call, community_id: UUID, person_id: UUID, what: str) -> int | None:
    """Drop all that is held of a person; the ids and a hash that carries a ban stay for ever.

    Returns the sequence of the event that tells it.
    """
    cause = await call.within(community_id)
    if person_id == call.principal.person_id:
        call.require(Role.APPLICANT, Role.MEMBER)
    elif not call.is_staff(cause):
        raise NotFound(what)
    else:
        call.staff(cause, Role.MANAGER)
    decision = await store.begin(call.uow, community_id)
    identity = await identity_of(call, community_id, person_id)
    member = await store.member_of(call.uow, community_id, person_id)
    applications = await store.applications_of(call.uow, community_id, person_id)
    for application in applications:
        if application.status.live:
            admission.withdraw(decision, application)
    decision.applications.clear()
    belonging.erase(decision, person_id, identity.member_id, member)
    await store.forget(
        call.uow,
        community_id,
        person_id,
        member_id=identity.member_id,
        identity_hash=identity_hash(call, community_id, person_id),
        reapply_after=_ban(identity, member, applications, at=cause.at),
    )
    await store.move_up(call.uow, decision, at=cause.at)
    await store.save(call.uow, decision, cause)
    return next(d.sequence for d in decision.drafts if isinstance(d.body, MemberErased))


def _ban(
    identity: Identity, member: Member | None, applications: list[Application], *, at: datetime
) -> datetime | None:
    """How long this person may not apply, so that erasing oneself shortens no wait."""
    waits = [identity.banned_until, *(each.reapply_after for each in applications)]
    if member is not None:
        waits += [member.reapply_after, member.until]
    return max((until for until in waits if until is not None and until > at), default=None)
