"""A member's own merit with its explanation, the leaderboard, and badges."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from pydantic import Field
from sqlalchemy import text

from coterie_chassis import circle
from coterie_chassis.decisions import Cause, NotFound, Refusal
from coterie_chassis.http import Api, Call, View
from coterie_contracts.feedback import ContributionKind
from coterie_contracts.reward import Badge, Band
from coterie_recognition.api.access import insider, self_or_staff
from coterie_recognition.domain import leaderboard, merit
from coterie_recognition.domain.outcomes import counted
from coterie_recognition.domain.seasons import Season, season_named, season_of
from coterie_recognition.store import merit as store

api = Api(tags=["merit and badges"])

EXPLANATION: Final = (
    "0.50 is this circle's average. Each person has one voice about you, measured against how "
    "they usually rate. Praise traded in pairs or threes counts less. The more people have "
    "spoken, the further you can move from 0.50. What you suggested and we built lifts you "
    "further."
)


class ContributionView(View):
    """`voices` after damping; `opinion` against the average, in [-1, 1]; `weight` in [0, 1)."""

    contribution_id: UUID
    kind: ContributionKind
    voices: float
    opinion: float
    weight: float


class MeritView(View):
    """A member's merit in a season and what it is made of; who said what is told to nobody."""

    member_id: UUID
    season: str
    merit: float
    quality: float
    band: Band | None
    provisional: bool
    outcomes: int = Field(description="implementations standing and verifications")
    contributions: list[ContributionView]
    algorithm: str
    explanation: str = EXPLANATION


class PlaceView(View):
    rank: int
    member_id: UUID
    merit: float


class BuiltView(View):
    """Something that was built, and thanks to whom."""

    feedback_id: UUID
    label: str
    thanks_to: list[UUID]
    at: datetime


class LeaderboardView(View):
    """The top of a season. In a small circle no places, but what was built and thanks to whom."""

    season: str
    places: list[PlaceView]
    built: list[BuiltView]


class BadgeView(View):
    badge_id: UUID
    badge: Badge
    season: str | None
    changed_at: datetime


@api.query("/members/{member_id}/merit")
async def show_own_merit(call: Call, member_id: UUID, season: str | None = None) -> MeritView:
    """A member's own merit, explained; for the member alone.

    A closed season shows what it closed with, also where a rater was erased since.
    """
    community_id, cause = await self_or_staff(call, member_id, staff=False)
    zone, wanted = await _season(call, community_id, season, cause)
    inputs = await store.read_inputs(call.uow, community_id, wanted, zone)
    seated = await store.seated_members(call.uow, community_id, wanted)
    outcomes = counted(inputs.outcomes, wanted.starts_at(zone), wanted.ends_at(zone))
    standings = merit.fold(inputs.ratings, outcomes, seated.count)
    settled = {
        m: s.hundredths for m, s in standings.items() if m in seated.ids and not s.provisional
    }
    mine = standings.get(member_id) or merit.nothing_said(member_id)
    final = await store.closed_standing(call.uow, community_id, wanted, member_id)
    return MeritView(
        member_id=member_id,
        season=wanted.label,
        merit=(final or mine).hundredths / 100,
        quality=round(mine.quality, 2),
        band=final.band if final else leaderboard.bands(settled).get(member_id),
        provisional=(final or mine).provisional,
        outcomes=(final or mine).outcomes,
        contributions=[
            ContributionView(
                contribution_id=c.contribution_id,
                kind=c.kind,
                voices=round(c.voices, 2),
                opinion=round(c.opinion, 2),
                weight=round(c.weight, 2),
            )
            for c in mine.contributions
        ],
        algorithm=merit.ALGORITHM,
    )


@api.query("/communities/{community_id}/leaderboard")
async def show_leaderboard(
    call: Call, community_id: UUID, season: str | None = None
) -> LeaderboardView:
    """The top ten or the top fifth of a season, never a last place; for members and staff."""
    cause = await insider(call, community_id)
    zone, wanted = await _season(call, community_id, season, cause)
    values = {
        "community": community_id,
        "season": wanted.label,
        "start": wanted.starts_at(zone),
        "end": wanted.ends_at(zone),
    }
    settled = await call.uow.rows(_SETTLED, values)
    here = {row.member_id for row in settled if row.here}
    leaders = leaderboard.leaders(
        ((row.member_id, row.hundredths) for row in settled),
        unrated={row.member_id for row in settled if not row.raters},
    )
    places = [place for place in leaders if place.member_id in here]
    built = [] if places else await call.uow.rows(_BUILT, values)
    return LeaderboardView(
        season=wanted.label,
        places=[
            PlaceView(rank=p.rank, member_id=p.member_id, merit=p.hundredths / 100) for p in places
        ],
        built=[
            BuiltView(feedback_id=r.feedback_id, label=r.label, thanks_to=r.members, at=r.at)
            for r in built
        ],
    )


@api.query("/members/{member_id}/badges")
async def list_badges(call: Call, member_id: UUID) -> list[BadgeView]:
    """A member's badges; for the members and staff of that circle."""
    member = (await circle.members(call.uow, [member_id])).get(member_id)
    if member is None:
        raise NotFound("member")
    await insider(call, member.community_id)
    values = {"member": member_id, "community": member.community_id}
    return [BadgeView.model_validate(row) for row in await call.uow.rows(_BADGES, values)]


async def _season(
    call: Call, community_id: UUID, label: str | None, cause: Cause
) -> tuple[str, Season]:
    community = await circle.community(call.uow, community_id)
    if community is None:
        raise NotFound("community")
    if label is None:
        return community.time_zone, season_of(cause.at, community.time_zone)
    if (named := season_named(label)) is None:
        raise Refusal("no-such-season", "A season is named like 2026-Q4.", status=422)
    return community.time_zone, named


_SETTLED: Final = text(
    """
    SELECT s.member_id, s.hundredths, s.raters,
        coalesce(m.status IN ('active', 'suspended'), false) AS here
    FROM merit_standing AS s
    LEFT JOIN merit_season AS q
        ON (q.community_id, q.season) = (s.community_id, s.season) AND q.closed
    LEFT JOIN member_copy AS m USING (member_id)
    WHERE s.community_id = :community AND s.season = :season AND NOT s.provisional
        AND CASE WHEN q.closed THEN s.member_id = ANY(q.member_ids)
            ELSE m.status IN ('active', 'suspended') END
    """
)
_BUILT: Final = text(
    """
    SELECT feedback_id, label, members, at FROM (
        SELECT DISTINCT ON (feedback_id) feedback_id, kind, label, members, at FROM outcome
        WHERE community_id = :community AND at < :end AND kind IN ('implemented', 'reopened')
        ORDER BY feedback_id, sequence DESC, event_id DESC
    ) AS last
    WHERE kind = 'implemented' AND at >= :start
    ORDER BY at DESC, feedback_id LIMIT 50
    """
)
_BADGES: Final = text(
    "SELECT badge_id, badge, season, changed_at FROM badge "
    "WHERE member_id = :member AND community_id = :community AND held "
    "ORDER BY changed_at, badge_id"
)
