"""Merit and badges as recognition published them, for making their tables again."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final
from uuid import UUID

from sqlalchemy import text

from coterie_chassis.store import UnitOfWork, bulk_upsert
from coterie_contracts.envelope import Event
from coterie_contracts.reward import BadgeAwarded, BadgeFacts, MeritChanged
from coterie_recognition.store import tables
from coterie_recognition.store.facts import erased_among

__all__ = ["keep_badges", "keep_merit", "read_again"]


async def keep_merit(uow: UnitOfWork, events: Iterable[Event[MeritChanged]]) -> None:
    """Standings as published, each subject once, the erased left out."""
    told = list(events)
    erased = await erased_among(uow, {event.data.member_id for event in told})
    rows = [
        {
            "community_id": event.data.community_id,
            "season": event.data.season,
            "member_id": event.data.member_id,
            "hundredths": round(event.data.merit * 100),
            "band": None if event.data.band is None else event.data.band.value,
            "provisional": event.data.provisional,
            "outcomes": 0,
            "raters": 0,
            "sequence": event.sequence or 0,
        }
        for event in told
        if event.data.member_id not in erased
    ]
    await bulk_upsert(
        uow,
        tables.merit_standing,
        rows,
        keys=("community_id", "season", "member_id"),
        where="excluded.sequence > merit_standing.sequence",
    )


async def keep_badges(uow: UnitOfWork, events: Iterable[Event[BadgeFacts]]) -> None:
    """Badges as published, each once, those of the erased left out."""
    told = list(events)
    erased = await erased_among(uow, {event.data.member_id for event in told})
    rows = [
        {
            "badge_id": event.data.badge_id,
            "community_id": event.data.community_id,
            "member_id": event.data.member_id,
            "badge": event.data.badge.value,
            "season": event.data.season,
            "held": isinstance(event.data, BadgeAwarded),
            "changed_at": event.time,
            "sequence": event.sequence or 0,
        }
        for event in told
        if event.data.member_id not in erased
    ]
    await bulk_upsert(
        uow,
        tables.badge,
        rows,
        keys=("badge_id",),
        where="excluded.sequence > badge.sequence",
    )


async def read_again(uow: UnitOfWork, communities: Collection[UUID]) -> None:
    """Have every season of these communities that has a rating read again; one statement."""
    await uow.execute(_READ_AGAIN, {"ids": sorted(communities)})


_READ_AGAIN: Final = text(
    """
    INSERT INTO merit_dirty (community_id, at)
    SELECT community_id, unnest(ARRAY[min(at), max(at)])
    FROM (
        SELECT community_id, contributed_at AS at FROM rating
        UNION ALL SELECT community_id, contributed_at FROM appreciation
        UNION ALL SELECT community_id, at FROM outcome
    ) AS fact
    WHERE community_id = ANY(CAST(:ids AS uuid[]))
    GROUP BY community_id, date_trunc('month', at)
    """
)
"""A month reaches into two seasons at most, whatever the zone, and both of its ends are named."""
