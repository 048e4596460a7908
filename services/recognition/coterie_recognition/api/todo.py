"""What waits for staff: approvals, what is held, budgets and pools that run low."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import text

from coterie_chassis.auth import Role
from coterie_chassis.http import Api, Call, TodoItem
from coterie_recognition.domain.catalogue import POOL_LOW

api = Api(tags=["todo"])


@api.query("/communities/{community_id}/todo")
async def list_todo(call: Call, community_id: UUID) -> list[TodoItem]:
    """What waits, oldest first, with the command that settles it."""
    cause = await call.within(community_id)
    call.staff(cause)
    values = {"community": community_id, "low": POOL_LOW, "now": cause.at}
    return [
        TodoItem(
            what=row.what,
            since=row.since,
            subject_id=row.id,
            for_whom=Role.MANAGER.value,
            method="POST",
            path=row.path,
        )
        for row in await call.uow.rows(_WAITING, values)
    ]


_WAITING: Final = text(
    """
    SELECT 'reward waits for approval' AS what, proposed_at AS since, reward_id AS id,
        '/rewards/' || reward_id || '/approve' AS path
    FROM reward WHERE community_id = :community AND status = 'proposed'
    UNION ALL
    SELECT CASE WHEN overdue THEN 'reward held for 30 days, decide (' ELSE 'reward held (' END
        || held_for || ')', held_since, reward_id, '/rewards/' || reward_id || '/retry'
    FROM reward WHERE community_id = :community AND status = 'held'
    UNION ALL
    SELECT 'reward could not be issued', approved_at, reward_id,
        '/rewards/' || reward_id || '/retry'
    FROM reward WHERE community_id = :community AND status = 'failed'
    UNION ALL
    SELECT 'budget is low', coalesce(last.at, :now), budget_id, '/budgets/' || budget_id || '/fund'
    FROM budget LEFT JOIN LATERAL (
        SELECT max(at) AS at FROM ledger_entry AS e WHERE e.budget_id = budget.budget_id
    ) AS last ON true
    WHERE community_id = :community AND funded > 0 AND (funded - reserved - spent) * 5 <= funded
    UNION ALL
    SELECT 'code pool is low', coalesce(last.at, :now), pool_id, '/pools/' || pool_id || '/codes'
    FROM code_pool LEFT JOIN LATERAL (
        SELECT max(approved_at) AS at FROM reward AS r WHERE r.pool_id = code_pool.pool_id
    ) AS last ON true
    WHERE community_id = :community AND total > 0 AND free <= :low
    ORDER BY since, id
    """
)
