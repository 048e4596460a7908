"""The input set of a season, and the standings that were made of it.

Reads everything of the season before its end, erased members aside, so that the answer depends on
the set alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, select, text

from coterie_chassis.store import UnitOfWork, bulk_upsert
from coterie_contracts.feedback import ContributionKind
from coterie_contracts.reward import Badge, Band
from coterie_recognition.domain.merit import TEAM, Rating
from coterie_recognition.domain.outcomes import Outcome, OutcomeKind
from coterie_recognition.domain.seasons import Season
from coterie_recognition.store import tables

__all__ = [
    "Inputs",
    "Published",
    "Seated",
    "clock_of",
    "closed_standing",
    "dirty_communities",
    "helpful_raters",
    "published_standings",
    "read_inputs",
    "save_standings",
    "seated_members",
    "take_dirty",
]


_MARKS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a season's merit is made of. `digest` names the set."""

    ratings: list[Rating]
    outcomes: list[Outcome]
    digest: str


@dataclass(slots=True)
class Published:
    """What was last published of a member's season; `sequence` counts those events."""

    member_id: UUID
    hundredths: int
    band: Band | None
    provisional: bool
    outcomes: int
    raters: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Seated:
    """Who is in the circle: how many, and their ids, those erased since left out."""

    count: int
    ids: frozenset[UUID]


async def dirty_communities(uow: UnitOfWork, limit: int) -> list[UUID]:
    """Communities with something to read again that are known here, longest waiting first.

    Each is locked for this turn; one that another instance folds right now is left to it.
    """
    return [row.community_id for row in await uow.rows(_DIRTY, {"limit": limit, "rows": _MARKS})]


async def take_dirty(uow: UnitOfWork, community_id: UUID) -> set[datetime]:
    """The instants whose seasons are to be read again; they are taken."""
    rows = await uow.rows(_TAKE_DIRTY, {"community": community_id})
    return {row.at for row in rows}


async def read_inputs(uow: UnitOfWork, community_id: UUID, season: Season, zone: str) -> Inputs:
    """The season's whole input set, in a fixed order; three statements."""
    end = season.ends_at(zone)
    values = {"community": community_id, "start": season.starts_at(zone), "end": end}
    rated = await uow.rows(_RATINGS, values)
    appreciated = await uow.rows(_APPRECIATIONS, values)
    outcomes = await uow.rows(_OUTCOMES, values)
    ratings = [
        Rating(r.contribution_id, r.rater_id, r.author_id, r.value, ContributionKind(r.kind))
        for r in rated
    ]
    ratings += [
        Rating(r.contribution_id, TEAM, r.author_id, 1.0, ContributionKind(r.kind))
        for r in appreciated
        if r.appreciated
    ]
    digest = sha256()
    for row in (*rated, *appreciated, *outcomes):
        digest.update(row.event_id.bytes)
    facts = [
        Outcome(r.feedback_id, r.round, OutcomeKind(r.kind), r.sequence, r.at, tuple(r.members))
        for r in outcomes
    ]
    return Inputs(ratings, facts, digest.hexdigest())


async def seated_members(
    uow: UnitOfWork, community_id: UUID, season: Season, *, closes: bool = False
) -> Seated:
    """Who is in the circle; of a season that `closes` or has closed, who was. One statement."""
    values = {"community": community_id, "season": season.label}
    row = (await uow.execute(_CLOSE if closes else _SEATED, values)).one()
    return Seated(row.members, frozenset(row.member_ids))


async def closed_standing(
    uow: UnitOfWork, community_id: UUID, season: Season, member_id: UUID
) -> Published | None:
    """How a member stands in a season that has closed, for good; None while it is open."""
    values = {"community": community_id, "season": season.label, "member": member_id}
    row = await uow.one_or_none(_CLOSED, values)
    return None if row is None else _published(row)


async def clock_of(uow: UnitOfWork, community_id: UUID) -> Any:
    """The community's clock: its `mode` and `now`, if it is known."""
    return await uow.one_or_none(_CLOCK, {"community": community_id})


async def published_standings(
    uow: UnitOfWork, community_id: UUID, season: Season
) -> dict[UUID, Published]:
    """What was last published of a season, by member.

    What is left of the erased is dropped, from the community's other seasons too.
    """
    await uow.execute(_DROP_ERASED, {"community": community_id})
    c = tables.merit_standing.c
    statement = select(tables.merit_standing).where(
        c.community_id == community_id, c.season == season.label
    )
    return {row.member_id: _published(row) for row in await uow.rows(statement)}


async def save_standings(
    uow: UnitOfWork, community_id: UUID, season: Season, standings: Iterable[Published]
) -> None:
    """Keep what is published now; one statement."""
    rows = [
        {
            "community_id": community_id,
            "season": season.label,
            "member_id": s.member_id,
            "hundredths": s.hundredths,
            "band": None if s.band is None else s.band.value,
            "provisional": s.provisional,
            "outcomes": s.outcomes,
            "raters": s.raters,
            "sequence": s.sequence,
        }
        for s in standings
    ]
    await bulk_upsert(
        uow, tables.merit_standing, rows, keys=("community_id", "season", "member_id")
    )


async def helpful_raters(
    uow: UnitOfWork, community_id: UUID, season: Season, zone: str, needed: int
) -> list[UUID]:
    """Those who rated in a season and, in whichever, at least `needed` contributions of others.

    By id, those who hold the badge left out; reads at most what they said in all, and nothing of
    who has the badge.
    """
    values = {
        "community": community_id,
        "start": season.starts_at(zone),
        "end": season.ends_at(zone),
        "badge": Badge.HELPFUL_RATER.value,
        "needed": needed,
    }
    return [row.rater_id for row in await uow.rows(_HELPFUL, values)]


def _published(row: Row[Any]) -> Published:
    return Published(
        row.member_id,
        row.hundredths,
        Band(row.band) if row.band else None,
        row.provisional,
        row.outcomes,
        row.raters,
        row.sequence,
    )


_DIRTY: Final = text(
    """
    SELECT community_id FROM (
        SELECT community_id, min(id) AS since FROM (
            SELECT d.id, d.community_id FROM merit_dirty AS d
            JOIN community_copy AS c USING (community_id)
            ORDER BY d.id LIMIT :rows
        ) AS oldest
        GROUP BY community_id ORDER BY since LIMIT :limit
    ) AS dirty
    WHERE pg_try_advisory_xact_lock(hashtextextended('merit:' || community_id, 0))
    ORDER BY since
    """
)
_TAKE_DIRTY: Final = text("DELETE FROM merit_dirty WHERE community_id = :community RETURNING at")
_DROP_ERASED: Final = text(
    """
    WITH cleared AS (
        UPDATE merit_season SET member_ids = ARRAY(
            SELECT m FROM unnest(member_ids) AS m
            WHERE NOT EXISTS (SELECT FROM erased_member AS e WHERE e.member_id = m) ORDER BY m
        )
        WHERE community_id = :community
            AND EXISTS (SELECT FROM erased_member AS e WHERE e.member_id = ANY(member_ids))
    )
    DELETE FROM merit_standing AS s USING erased_member AS e
    WHERE s.community_id = :community AND s.member_id = e.member_id
    """
)
_CLOCK: Final = text("SELECT mode, now FROM community_clock WHERE community_id = :community")
_RATINGS: Final = text(
    """
    SELECT DISTINCT ON (contribution_id, rater_id)
        contribution_id, rater_id, author_id, value, kind, event_id
    FROM rating AS r
    WHERE community_id = :community AND contributed_at >= :start AND contributed_at < :end
        AND rated_at < :end
        AND NOT EXISTS (SELECT FROM erased_member WHERE member_id IN (r.rater_id, r.author_id))
    ORDER BY contribution_id, rater_id, rated_at DESC, event_id DESC
    """
)
_APPRECIATIONS: Final = text(
    """
    SELECT DISTINCT ON (contribution_id) contribution_id, author_id, kind, appreciated, event_id
    FROM appreciation AS a
    WHERE community_id = :community AND contributed_at >= :start AND contributed_at < :end
        AND at < :end
        AND NOT EXISTS (SELECT FROM erased_member AS e WHERE e.member_id = a.author_id)
    ORDER BY contribution_id, at DESC, sequence DESC, event_id DESC
    """
)
_OUTCOMES: Final = text(
    """
    SELECT o.feedback_id, o.round, o.kind, o.sequence, o.at, o.event_id,
        ARRAY(
            SELECT m FROM unnest(o.members) AS m
            WHERE NOT EXISTS (SELECT FROM erased_member AS e WHERE e.member_id = m)
            ORDER BY m
        ) AS members
    FROM outcome AS o
    WHERE o.community_id = :community AND o.at < :end AND EXISTS (
        SELECT FROM outcome AS recent
        WHERE recent.feedback_id = o.feedback_id AND recent.at >= :start AND recent.at < :end
    )
    ORDER BY o.feedback_id, o.sequence, o.event_id
    """
)
_NOW_SEATED: Final = """
    SELECT count(*) AS members,
        coalesce(array_agg(member_id ORDER BY member_id), '{}') AS member_ids
    FROM member_copy WHERE community_id = :community AND status IN ('active', 'suspended')
"""
_CLOSE: Final = text(
    f"""
    INSERT INTO merit_season (community_id, season, members, member_ids, closed)
    SELECT :community, :season, now_seated.members, now_seated.member_ids, true
    FROM ({_NOW_SEATED}) AS now_seated
    ON CONFLICT (community_id, season) DO UPDATE SET
        members = CASE WHEN merit_season.closed THEN merit_season.members
            ELSE excluded.members END,
        member_ids = CASE WHEN merit_season.closed THEN merit_season.member_ids
            ELSE excluded.member_ids END,
        closed = true
    RETURNING members, member_ids
    """  # noqa: S608 - a constant
)
_SEATED: Final = text(
    f"""
    WITH closed AS (
        SELECT members, member_ids FROM merit_season
        WHERE community_id = :community AND season = :season AND closed
    )
    SELECT members, member_ids FROM closed UNION ALL
    SELECT members, member_ids FROM ({_NOW_SEATED}) AS now_seated
    WHERE NOT EXISTS (SELECT FROM closed)
    """  # noqa: S608 - a constant
)
_CLOSED: Final = text(
    """
    SELECT s.* FROM merit_standing AS s
    JOIN merit_season AS q ON (q.community_id, q.season) = (s.community_id, s.season) AND q.closed
    WHERE s.community_id = :community AND s.season = :season AND s.member_id = :member
    """
)
_HELPFUL: Final = text(
    """
    SELECT rater_id FROM (
        SELECT DISTINCT rater_id FROM rating
        WHERE community_id = :community AND contributed_at >= :start AND contributed_at < :end
    ) AS who
    WHERE NOT EXISTS (SELECT FROM erased_member AS e WHERE e.member_id = who.rater_id)
        AND NOT EXISTS (
            SELECT FROM badge AS b
            WHERE b.member_id = who.rater_id AND b.badge = :badge AND b.held
        )
        AND :needed <= (
            SELECT count(DISTINCT contribution_id) FROM rating AS r
            WHERE r.rater_id = who.rater_id AND r.rater_id <> r.author_id
        )
    ORDER BY rater_id
    """
)
