"""Loading invitations; they are saved with the decision that they are part of."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select, tuple_

from coterie_chassis.store import UnitOfWork
from coterie_membership.domain.people import Invitation, InvitationStatus
from coterie_membership.store import rows, tables


async def invitation_by_id(uow: UnitOfWork, invitation_id: UUID) -> Invitation | None:
    c = tables.invitation.c
    row = await uow.one_or_none(select(tables.invitation).where(c.invitation_id == invitation_id))
    return None if row is None else rows.invitation(row)


async def invitations_of(
    uow: UnitOfWork,
    community_id: UUID,
    status: InvitationStatus,
    *,
    limit: int,
    after: tuple[Any, ...] | None,
) -> list[Invitation]:
    """A community's invitations of one status by (end, id), after a position."""
    c = tables.invitation.c
    query = (
        select(tables.invitation)
        .where(c.community_id == community_id, c.status == status)
        .order_by(c.expires_at, c.invitation_id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(tuple_(c.expires_at, c.invitation_id) > after)
    return [rows.invitation(row) for row in await uow.rows(query)]


async def invitation_by_token(uow: UnitOfWork, token_hash: str) -> Invitation | None:
    c = tables.invitation.c
    row = await uow.one_or_none(select(tables.invitation).where(c.token_hash == token_hash))
    return None if row is None else rows.invitation(row)
