"""Commands and queries on invitations. A token is shown once, to who issued it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from pydantic import Field

from coterie_chassis.auth import Role
from coterie_chassis.decisions import Cause, NotFound
from coterie_chassis.http import Api, Call, CommandBody, Done, Page, View, page_of
from coterie_membership import store
from coterie_membership.api.admitting import (
    Form,
    done,
    invited,
    rejudge,
    save,
    take_in,
    tell_contact,
)
from coterie_membership.api.applications import check_applicant, show_application
from coterie_membership.api.identity import identity_of, token_hash, token_of
from coterie_membership.domain import admission, founding
from coterie_membership.domain.decision import Decision
from coterie_membership.domain.people import (
    Application,
    ApplicationStatus,
    Invitation,
    InvitationStatus,
)
from coterie_membership.domain.timing import Policy

api = Api(tags=["invitations"])


class Invite(CommandBody):
    """An invitation for one person holds a seat if one is free; `reserves_seat` says so."""

    max_uses: int = Field(default=1, ge=1, le=1_000)


class Redeem(Form):
    """What an application needs; the invitation stands in the path."""


class InvitationView(View):
    invitation_id: UUID
    community_id: UUID
    status: InvitationStatus
    max_uses: int
    uses: int
    reserves_seat: bool
    expires_at: datetime
    version: int


class IssuedView(InvitationView):
    """`token` is what an applicant sends. It is shown here and nowhere else."""

    token: str


@api.query("/invitations/{invitation_id}")
async def show_invitation(call: Call, invitation_id: UUID) -> InvitationView:
    """An invitation, for managers; without its token."""
    found = await _existing(call, invitation_id)
    call.staff(await call.within(found.community_id), Role.MANAGER)
    return InvitationView.model_validate(found)


@api.query("/communities/{community_id}/invitations", paged=True)
async def list_invitations(
    call: Call, community_id: UUID, status: InvitationStatus = InvitationStatus.ISSUED
) -> Page[InvitationView]:
    """Invitations of one status, those that end soonest first; for managers, without tokens."""
    call.staff(await call.within(community_id), Role.MANAGER)
    after = call.page.after(at=datetime, id=UUID)
    found = await store.invitations_of(
        call.uow, community_id, status, limit=call.page.limit + 1, after=after
    )
    items, more = found[: call.page.limit], len(found) > call.page.limit
    cursor = {"at": items[-1].expires_at, "id": items[-1].invitation_id} if more else None
    return page_of([InvitationView.model_validate(item) for item in items], cursor)


async def show_issued(call: Call, invitation_id: UUID) -> IssuedView:
    shown = await show_invitation(call, invitation_id)
    return IssuedView(**shown.model_dump(), token=token_of(call, invitation_id))


@api.command("POST", "/communities/{community_id}/invitations", shows=show_issued, status=201)
async def invite(call: Call, community_id: UUID, body: Invite) -> Done:
    """Invite somebody; 14 days. When no seat is free, the invited wait ahead of the others."""
    cause = await call.within(community_id)
    call.staff(cause, Role.MANAGER)
    decision = await store.begin(call.uow, community_id)
    invitation_id = call.new_id("invitation")
    if (known := await store.invitation_by_id(call.uow, invitation_id)) is not None:
        return Done(invitation_id, known.version, known.sequence)
    invitation = Invitation(
        invitation_id=invitation_id,
        community_id=community_id,
        issuer="manager",
        max_uses=body.max_uses,
        reserves_seat=False,
        expires_at=cause.at + Policy.INVITATION,
    )
    founding.invite(decision, invitation)
    hashed = token_hash(token_of(call, invitation_id))
    await store.save(call.uow, decision, cause, token_hash=hashed)
    saved = decision.invitations[invitation_id]
    return Done(invitation_id, saved.version, saved.sequence)


@api.command("POST", "/invitations/{invitation_id}/revoke", shows=show_invitation)
async def revoke(call: Call, invitation_id: UUID) -> Done:
    """Take an invitation back; a seat that it holds goes to the waitlist."""
    found = await _existing(call, invitation_id)
    cause = await call.within(found.community_id)
    call.staff(cause, Role.MANAGER)
    decision = await store.begin(call.uow, found.community_id)
    locked = await _existing(call, invitation_id)
    call.expect(locked.version)
    if locked.status is InvitationStatus.REVOKED:
        return Done(invitation_id, locked.version, locked.sequence)
    founding.end_invitation(decision, locked, InvitationStatus.REVOKED)
    await store.move_up(call.uow, decision, at=cause.at)
    await store.save(call.uow, decision, cause)
    saved = decision.invitations[invitation_id]
    return Done(invitation_id, saved.version, saved.sequence)


@api.command("POST", "/invitations/{token}/redeem", shows=show_application)
async def redeem(call: Call, token: str, body: Redeem) -> Done:
    """Apply by an invitation, or present it for an application that is open already."""
    found = await store.invitation_by_token(call.uow, token_hash(token))
    if found is None:
        raise NotFound("invitation")
    cause = await call.within(found.community_id)
    check_applicant(call, cause)
    decision = await store.begin(call.uow, found.community_id)
    invitation = await _existing(call, found.invitation_id)
    earlier = await store.applications_of(call.uow, found.community_id, call.principal.person_id)
    if (known := _redeemed(call, earlier, invitation)) is not None:
        return done(known)
    founding.check_not_over(invitation, cause.at)
    live = next((each for each in earlier if each.status.live), None)
    if live is None:
        return await take_in(call, cause, decision, body, invitation, earlier=earlier)
    return await _present(call, cause, decision, _filled(live, body), invitation)


async def _present(
    call: Call, cause: Cause, decision: Decision, application: Application, invitation: Invitation
) -> Done:
    application = invited(application, invitation)
    if application.status is ApplicationStatus.SUBMITTED:
        return await rejudge(call, cause, decision, application, application.dossier)
    community_id, person_id = application.community_id, application.person_id
    identity = await identity_of(call, community_id, person_id)
    admission.present_invitation(
        decision,
        application,
        await store.member_of(call.uow, community_id, person_id),
        invitation,
        member_id=identity.member_id,
        at=cause.at,
    )
    tell_contact(decision)
    return await save(call, decision, cause, application.application_id)


def _filled(application: Application, body: Redeem) -> Application:
    """What the applicant says now is added to what was said before."""
    known = application.dossier
    update = {
        "answers": {**known.answers, **body.answers},
        "agreements": {**known.agreements, **body.agreed()},
    }
    return replace(
        application,
        dossier=known.model_copy(update=update),
        email=body.email or application.email,
    )


def _redeemed(call: Call, earlier: list[Application], invitation: Invitation) -> Application | None:
    """What this deed has made already, under its derived id or by this invitation."""
    application_id = call.new_id("application")
    for each in earlier:
        came_of_it = each.status.live or each.status is ApplicationStatus.ADMITTED
        if each.application_id == application_id or (
            each.invitation_id == invitation.invitation_id and came_of_it
        ):
            return each
    return None


async def _existing(call: Call, invitation_id: UUID) -> Invitation:
    found = await store.invitation_by_id(call.uow, invitation_id)
    if found is None:
        raise NotFound("invitation")
    return found
