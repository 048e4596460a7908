"""Commands and queries on invitations. A token is shown once and stored as a hash."""

from __future__ import annotations

import base64
import hmac
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from pydantic import Field

from coterie_chassis.auth import Role
from coterie_chassis.decisions import NotFound
from coterie_chassis.http import Api, Call, CommandBody, Done, View
from coterie_membership import store
from coterie_membership.api.communities import offer_to_waitlist
from coterie_membership.domain import founding
from coterie_membership.domain.people import Invitation, InvitationStatus
from coterie_membership.domain.timing import Policy
from coterie_membership.settings import MembershipSettings

api = Api(tags=["invitations"])


class Invite(CommandBody):
    """A single-use invitation holds a free seat until it is redeemed or ends."""

    max_uses: int = Field(default=1, ge=1, le=1_000)


class InvitationView(View):
    """`token` is what an applicant sends; it is shown to who issued it, and derived anew."""

    invitation_id: UUID
    community_id: UUID
    status: InvitationStatus
    max_uses: int
    uses: int
    reserves_seat: bool
    expires_at: datetime
    token: str
    version: int


@api.query("/invitations/{invitation_id}")
async def show_invitation(call: Call, invitation_id: UUID) -> InvitationView:
    """An invitation with its token, for managers."""
    found = await store.invitation_by_id(call.uow, invitation_id)
    if found is None:
        raise NotFound("invitation")
    call.staff(await call.within(found.community_id), Role.MANAGER)
    return InvitationView(
        invitation_id=found.invitation_id,
        community_id=found.community_id,
        status=found.status,
        max_uses=found.max_uses,
        uses=found.uses,
        reserves_seat=found.reserves_seat,
        expires_at=found.expires_at,
        token=_token(call, invitation_id),
        version=found.version,
    )


@api.command("POST", "/communities/{community_id}/invitations", shows=show_invitation, status=201)
async def invite(call: Call, community_id: UUID, body: Invite) -> Done:
    """Invite somebody; 14 days. A single-use invitation needs a free seat and holds it."""
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
        reserves_seat=body.max_uses == 1,
        expires_at=cause.at + Policy.INVITATION,
    )
    founding.invite(decision, invitation)
    hashed = token_hash(_token(call, invitation_id))
    await store.save(call.uow, decision, cause, token_hash=hashed)
    saved = decision.invitations[invitation_id]
    return Done(invitation_id, saved.version, saved.sequence)


@api.command("POST", "/invitations/{invitation_id}/revoke", shows=show_invitation)
async def revoke(call: Call, invitation_id: UUID) -> Done:
    """Take an invitation back; a seat that it holds goes to the waitlist."""
    found = await store.invitation_by_id(call.uow, invitation_id)
    if found is None:
        raise NotFound("invitation")
    cause = await call.within(found.community_id)
    call.staff(cause, Role.MANAGER)
    decision = await store.begin(call.uow, found.community_id)
    locked = await store.invitation_by_id(call.uow, invitation_id)
    if locked is None:
        raise NotFound("invitation")
    if locked.status is InvitationStatus.REVOKED:
        return Done(invitation_id, locked.version, locked.sequence)
    founding.end_invitation(decision, locked, InvitationStatus.REVOKED)
    await offer_to_waitlist(call, decision, cause)
    await store.save(call.uow, decision, cause)
    saved = decision.invitations[invitation_id]
    return Done(invitation_id, saved.version, saved.sequence)


def token_hash(token: str) -> str:
    """What is stored of a token."""
    return sha256(token.encode()).hexdigest()


def _token(call: Call, invitation_id: UUID) -> str:
    key = call.settings(MembershipSettings).identity_key.get_secret_value().encode()
    raw = hmac.new(key, f"invitation:{invitation_id}".encode(), sha256).digest()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
