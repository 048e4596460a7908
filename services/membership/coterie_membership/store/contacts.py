"""How members are reached now, told again after a broker lost its data; the erased as tombstones.

The topic is compacted and in no archive, so that no address outlives an erasure. What stands here
is read inside the relay before anything live is sent: an erasure that comes meanwhile follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import text

from coterie_chassis.decisions import SYSTEM, Cause, Draft, derived_id
from coterie_chassis.store import UnitOfWork
from coterie_contracts.community import ClockMode
from coterie_contracts.member import MemberContact

__all__ = ["current_contacts"]

_PAGE: Final = 500


async def current_contacts(uow: UnitOfWork, after: UUID | None) -> Sequence[tuple[Cause, Draft]]:
    """The contact data of members behind `after`, by id; one statement."""
    values = {"after": after or UUID(int=0), "limit": _PAGE}
    told = []
    for row in await uow.rows(_CONTACTS, values):
        id_ = derived_id(MemberContact.topic, row.member_id, uow.now)
        cause = Cause(
            id=id_,
            actor=SYSTEM,
            at=row.now if row.mode == ClockMode.DRIVEN else uow.now,
            recorded_at=uow.now,
            correlation_id=id_,
            brand_id=row.brand_id,
            community_id=row.community_id,
            clock=ClockMode(row.mode),
        )
        body = MemberContact(
            member_id=row.member_id, community_id=row.community_id, email=row.email
        )
        told.append((cause, Draft(row.member_id, body, tombstone=row.erased)))
    return told


_CONTACTS: Final = text(
    """
    WITH told AS (
        SELECT m.member_id, m.community_id, a.email, FALSE AS erased
        FROM member AS m JOIN LATERAL (
            SELECT email FROM application AS a
            WHERE a.community_id = m.community_id AND a.person_id = m.person_id
                AND a.status = 'admitted' AND a.email IS NOT NULL
            ORDER BY a.submitted_at DESC, a.application_id DESC LIMIT 1
        ) AS a ON TRUE
        WHERE m.member_id > :after
        UNION ALL
        SELECT member_id, community_id, NULL, TRUE FROM erased WHERE member_id > :after
    )
    SELECT told.*, clock.brand_id, clock.mode, clock.now
    FROM told JOIN community_clock AS clock USING (community_id)
    ORDER BY member_id LIMIT :limit
    """
)
