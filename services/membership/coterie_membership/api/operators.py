"""What an operator sees of the seats: numbers over all brands, and nobody's application."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import text

from coterie_chassis.auth import Role
from coterie_chassis.http import Api, Call, Page, View, page_of
from coterie_contracts.community import CommunityStatus

api = Api(tags=["operator"])


class CircleSeatsView(View):
    """`offered`: seat offers that wait for an answer; each holds a seat."""

    community_id: UUID
    name: str
    status: CommunityStatus
    capacity: int
    held: int
    free: int
    waitlisted: int
    offered: int


@api.query("/operator/seats", paged=True)
async def list_seats(call: Call) -> Page[CircleSeatsView]:
    """Seats and waitlist of every community, by id; for operators."""
    call.require(Role.OPERATOR)
    after = call.page.after(after=UUID)
    values = {"after": after[0] if after else None, "limit": call.page.limit + 1}
    found = [CircleSeatsView.model_validate(row) for row in await call.uow.rows(_SEATS, values)]
    shown = found[: call.page.limit]
    more = len(found) > call.page.limit
    return page_of(shown, {"after": shown[-1].community_id} if more else None)


_SEATS: Final = text(
    """
    SELECT c.community_id, c.name, c.status, c.capacity, c.held,
        greatest(c.capacity - c.held, 0) AS free, line.waitlisted, line.offered
    FROM (
        SELECT * FROM community
        WHERE CAST(:after AS uuid) IS NULL OR community_id > CAST(:after AS uuid)
        ORDER BY community_id LIMIT :limit
    ) AS c CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE status = 'waitlisted') AS waitlisted,
            count(*) FILTER (WHERE status = 'offered') AS offered
        FROM application AS a
        WHERE a.community_id = c.community_id AND a.status IN ('waitlisted', 'offered')
    ) AS line
    ORDER BY c.community_id
    """
)
