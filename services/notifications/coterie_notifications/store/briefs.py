"""The figures of a brief, as of one instant; nine statements whatever the community's size."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, text

from coterie_chassis.circle import Community
from coterie_chassis.store import UnitOfWork
from coterie_notifications.domain.brief import (
    DORMANT_AFTER,
    SHOWN,
    WEEK,
    Brief,
    Confirmed,
    Counted,
    Waiting,
)

__all__ = ["brief_of"]


async def brief_of(uow: UnitOfWork, community: Community, at: datetime) -> Brief:
    """The brief of `community` for the week that ends at `at`."""
    since = at - WEEK
    values = {
        "community": community.community_id,
        "at": at,
        "since": since,
        "dormant_since": at - DORMANT_AFTER,
        "shown": SHOWN,
    }

    async def rows(statement: Any) -> Sequence[Row[Any]]:
        return await uow.rows(statement, values)

    seats = next(iter(await rows(_SEATS)), None)
    waitlist = (await rows(_WAITLIST))[0]
    unanswered, approvals = await rows(_UNANSWERED), await rows(_APPROVALS)
    confirmed, dormant = await rows(_CONFIRMED), await rows(_DORMANT)
    return Brief(
        community_id=community.community_id,
        community=community.name,
        since=since,
        at=at,
        capacity=seats.capacity if seats else community.capacity,
        seats_held=seats.held if seats else 0,
        waitlist=waitlist.waiting,
        seat_offers=waitlist.offered,
        unanswered_count=_total(unanswered),
        unanswered=tuple(Waiting(row.id, row.since) for row in unanswered),
        approvals_count=_total(approvals),
        approvals=tuple(Waiting(row.id, row.since, row.item_name) for row in approvals),
        held_rewards=(await rows(_HELD))[0].held,
        confirmed_count=_total(confirmed),
        confirmed=tuple(Confirmed(row.id, row.at, row.label, row.by) for row in confirmed),
        dormant_count=_total(dormant),
        dormant=tuple(Waiting(row.id, row.since) for row in dormant),
        notifications=tuple(
            Counted(row.notification_class, row.reason, row.total) for row in await rows(_TOLD)
        ),
    )


def _total(rows: Sequence[Row[Any]]) -> int:
    return int(rows[0].total) if rows else 0


_SEATS: Final = text(
    "SELECT capacity, held FROM seat_count WHERE community_id = :community AND at <= :at "
    "ORDER BY seat_sequence DESC LIMIT 1"
)
_WAITLIST: Final = text(
    """
    SELECT count(*) FILTER (WHERE NOT offered) AS waiting,
        count(*) FILTER (WHERE offered) AS offered
    FROM (
        SELECT offered_at IS NOT NULL AND offered_at <= :at
            AND (lapsed_at IS NULL OR lapsed_at < offered_at OR lapsed_at > :at) AS offered
        FROM application
        WHERE community_id = :community AND waitlisted_at <= :at
        AND (ended_at IS NULL OR ended_at > :at)
    ) AS live
    """
)
_UNANSWERED: Final = text(
    """
    SELECT id, submitted_at AS since, count(*) OVER () AS total FROM suggestion
    WHERE community_id = :community AND submitted_at <= :at
    AND (answered_at IS NULL OR answered_at > :at)
    ORDER BY submitted_at, id LIMIT :shown
    """
)
_APPROVALS: Final = text(
    """
    SELECT id, proposed_at AS since, item_name, count(*) OVER () AS total FROM reward_case
    WHERE community_id = :community AND needs_approval AND proposed_at <= :at
    AND (held_at IS NULL OR held_at > :at) AND (settled_at IS NULL OR settled_at > :at)
    ORDER BY proposed_at, id LIMIT :shown
    """
)
_HELD: Final = text(
    """
    SELECT count(*) AS held FROM reward_case
    WHERE community_id = :community AND held_at <= :at
    AND (settled_at IS NULL OR settled_at > :at)
    """
)
_CONFIRMED: Final = text(
    """
    SELECT id, verified_at AS at, label, verified_by AS by, count(*) OVER () AS total
    FROM suggestion
    WHERE community_id = :community AND verified_at > :since AND verified_at <= :at
    ORDER BY verified_at, id LIMIT :shown
    """
)
_DORMANT: Final = text(
    """
    SELECT m.member_id AS id, coalesce(f.active_at, m.admitted_at) AS since,
        count(*) OVER () AS total
    FROM member_copy AS m
    JOIN LATERAL (
        SELECT s.status FROM standing AS s
        WHERE s.member_id = m.member_id AND s.since <= :at ORDER BY s.sequence DESC LIMIT 1
    ) AS standing ON standing.status = 'active'
    LEFT JOIN member_fact AS f ON f.member_id = m.member_id
    WHERE m.community_id = :community AND m.admitted_at <= :dormant_since
    AND coalesce(f.active_at, m.admitted_at) <= :dormant_since
    ORDER BY since, id LIMIT :shown
    """
)
_TOLD: Final = text(
    """
    SELECT notification_class, reason, count(*) AS total FROM notification
    WHERE community_id = :community AND decided_at > :since AND decided_at <= :at
    AND person_id IS NOT NULL
    GROUP BY notification_class, reason ORDER BY notification_class, reason
    """
)
