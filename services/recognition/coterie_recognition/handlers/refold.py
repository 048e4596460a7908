"""Merit follows from its whole input set, read again where something in it changed.

Only what moved is published: a member's rounded merit, band or provisional flag. The cause of such
an event is the set itself, so folding the same set again publishes nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from coterie_chassis import circle
from coterie_chassis.decisions import SYSTEM, Cause, Draft, derived_id
from coterie_chassis.store import UnitOfWork
from coterie_contracts.community import ClockMode
from coterie_contracts.reward import Badge, Band, MeritChanged
from coterie_recognition.domain import leaderboard, merit
from coterie_recognition.domain.badges import NEEDED, badge_id
from coterie_recognition.domain.outcomes import counted
from coterie_recognition.domain.seasons import Season, season_of
from coterie_recognition.store import badges
from coterie_recognition.store import merit as store
from coterie_recognition.store.merit import Published

__all__ = ["CLOSE", "refold_merit"]

CLOSE: Final = "season.close"
_COMMUNITIES: Final = 200
_TURN_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class _Turn:
    """One fold of one season; `digest` names its input set and `base` its circumstances."""

    community_id: UUID
    season: Season
    base: Cause
    digest: str

    def because_of(self, subject: UUID) -> Cause:
        """The cause of what this set says about `subject`."""
        id_ = derived_id(subject, self.digest)
        return replace(self.base, id=id_, correlation_id=id_)


async def refold_merit(uow: UnitOfWork) -> None:
    """Read the seasons again in which something changed, each at most once a turn.

    A turn begins no further community after 250 ms; those come first in the next.
    """
    began = time.monotonic()
    for community_id in await store.dirty_communities(uow, _COMMUNITIES):
        await _refold(uow, community_id)
        if time.monotonic() - began > _TURN_S:
            break


async def _refold(uow: UnitOfWork, community_id: UUID) -> None:
    instants = await store.take_dirty(uow, community_id)
    community = await circle.community(uow, community_id)
    if community is None or not instants:
        return
    clock = await store.clock_of(uow, community_id)
    driven = clock is not None and clock.mode == ClockMode.DRIVEN.value
    now: datetime = clock.now if driven else uow.now
    base = Cause(
        id=derived_id(community_id),
        actor=SYSTEM,
        at=now,
        recorded_at=uow.now,
        correlation_id=derived_id(community_id),
        brand_id=community.brand_id,
        community_id=community_id,
        clock=ClockMode.DRIVEN if driven else ClockMode.WALL,
    )
    for season in sorted({season_of(at, community.time_zone) for at in instants}):
        await _fold_season(uow, community, season, base)


async def _fold_season(
    uow: UnitOfWork, community: circle.Community, season: Season, base: Cause
) -> None:
    id_, zone = community.community_id, community.time_zone
    start, end = season.starts_at(zone), season.ends_at(zone)
    closed = base.at >= end
    if not closed:
        uow.schedule(CLOSE, derived_id(id_, season.label), id_, end)
    inputs = await store.read_inputs(uow, id_, season, zone)
    seated = await store.seated_members(uow, id_, season, closes=closed)
    standings = merit.fold(inputs.ratings, counted(inputs.outcomes, start, end), seated.count)
    bands = leaderboard.bands(
        {m: s.hundredths for m, s in standings.items() if m in seated.ids and not s.provisional}
    )
    before = await store.published_standings(uow, id_, season)
    digest = derived_id(inputs.digest, seated.count, *sorted(seated.ids), closed).hex
    turn = _Turn(id_, season, replace(base, at=end) if closed else base, digest)
    changed = []
    for member_id in sorted(standings.keys() | before.keys()):
        now, moved = _compare(before.get(member_id), standings.get(member_id), bands, member_id)
        if now is None:
            continue
        changed.append(now)
        if moved:
            subject = uuid5(member_id, season.label)
            body = _body(now, id_, season)
            cause = turn.because_of(subject)
            uow.publish(cause, Draft(subject, body, now.sequence, f"{now.sequence}"))
    await store.save_standings(uow, id_, season, changed)
    top = {m for m, band in bands.items() if band is Band.TOP} if closed else set()
    helpful = await store.helpful_raters(uow, id_, season, zone, NEEDED[Badge.HELPFUL_RATER])
    await _award(uow, turn, set(standings), set(helpful), top)


def _compare(
    before: Published | None,
    standing: merit.Standing | None,
    bands: dict[UUID, Band],
    member_id: UUID,
) -> tuple[Published | None, bool]:
    """What stands now, if it differs, and whether that is published."""
    if standing is None:
        standing = merit.nothing_said(member_id)
    now = Published(
        member_id,
        standing.hundredths,
        bands.get(member_id),
        standing.provisional,
        standing.outcomes,
        standing.raters,
        before.sequence if before else 0,
    )
    if now == before:
        return None, False
    moved = before is None or (now.hundredths, now.band, now.provisional) != (
        before.hundredths,
        before.band,
        before.provisional,
    )
    if moved:
        now.sequence += 1
    return now, moved


def _body(standing: Published, community_id: UUID, season: Season) -> MeritChanged:
    return MeritChanged(
        member_id=standing.member_id,
        community_id=community_id,
        season=season.label,
        merit=standing.hundredths / 100,
        band=standing.band,
        provisional=standing.provisional,
        algorithm=merit.ALGORITHM,
    )


async def _award(
    uow: UnitOfWork, turn: _Turn, standing: set[UUID], helpful: set[UUID], top: set[UUID]
) -> None:
    """The badges that follow from the whole set: helpful raters, a closed season's top band."""
    id_, label = turn.community_id, turn.season.label
    cabinet = await badges.open_cabinet(uow, standing | helpful, evidence=False)
    for member in sorted(helpful):
        cause = turn.because_of(badge_id(member, Badge.HELPFUL_RATER))
        cabinet.settle(member, id_, Badge.HELPFUL_RATER, None, cause, earned=True)
    for member in sorted(standing):
        cause = turn.because_of(badge_id(member, Badge.SEASON_TOP, label))
        cabinet.settle(member, id_, Badge.SEASON_TOP, label, cause, earned=member in top)
    await badges.save_cabinet(uow, cabinet)
