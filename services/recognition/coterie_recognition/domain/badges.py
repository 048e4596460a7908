"""Badges stand on evidence: a set of facts by their own identity, some of them taken back.

A badge is awarded when enough evidence stands and revoked when it no longer does, so the same
facts in any order end in the same badges.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from coterie_chassis.decisions import Cause, Draft
from coterie_contracts.reward import Badge, BadgeAwarded, BadgeRevoked

__all__ = ["NEEDED", "Cabinet", "Evidence", "Held", "badge_id"]

NEEDED: Final = {
    Badge.FIRST_FEEDBACK: 1,
    Badge.FIRST_IMPLEMENTED: 1,
    Badge.HELPFUL_TESTER: 3,
    Badge.HELPFUL_RATER: 10,
    Badge.SEASON_TOP: 1,
}
"""How many facts a badge needs: looks at improvements, rated contributions of others."""


def badge_id(member_id: UUID, badge: Badge, season: str | None = None) -> UUID:
    """One badge per member, and per season where it is seasonal."""
    return uuid5(member_id, badge.value if season is None else f"{badge.value}:{season}")


@dataclass(frozen=True, slots=True)
class Evidence:
    """A fact for a badge. Of the same source, the one with the highest `sequence` stands."""

    member_id: UUID
    badge: Badge
    source_id: UUID
    community_id: UUID
    sequence: int
    stands: bool = True


@dataclass(slots=True)
class Held:
    """A badge's row; `sequence` counts its awards and revocations, the last at `changed_at`."""

    badge_id: UUID
    member_id: UUID
    community_id: UUID
    badge: Badge
    season: str | None
    held: bool
    changed_at: datetime
    sequence: int


@dataclass(slots=True)
class Cabinet:
    """The badges at hand, and the evidence for them by member and badge."""

    badges: dict[UUID, Held] = field(default_factory=dict)
    evidence: dict[tuple[UUID, Badge], dict[UUID, Evidence]] = field(default_factory=dict)
    changed: dict[UUID, Held] = field(default_factory=dict)
    drafts: list[tuple[Cause, Draft]] = field(default_factory=list)

    def weigh(self, facts: Collection[Evidence], cause: Cause) -> None:
        """Take in the facts of one event and award or revoke what they change."""
        for fact in facts:
            known = self.evidence.setdefault((fact.member_id, fact.badge), {})
            before = known.get(fact.source_id)
            if before is None or fact.sequence > before.sequence:
                known[fact.source_id] = fact
            standing = sum(other.stands for other in known.values())
            self.settle(
                fact.member_id,
                fact.community_id,
                fact.badge,
                None,
                cause,
                earned=standing >= NEEDED[fact.badge],
            )

    def settle(
        self,
        member_id: UUID,
        community_id: UUID,
        badge: Badge,
        season: str | None,
        cause: Cause,
        *,
        earned: bool,
    ) -> None:
        """Award or revoke so that the badge is held exactly if `earned`."""
        id_ = badge_id(member_id, badge, season)
        row = self.badges.get(id_)
        if (row is not None and row.held) == earned:
            return
        if row is None:
            row = Held(id_, member_id, community_id, badge, season, False, cause.at, 0)
            self.badges[id_] = row
        row.held, row.changed_at, row.sequence = earned, cause.at, row.sequence + 1
        self.changed[id_] = row
        body = (BadgeAwarded if earned else BadgeRevoked)(
            badge_id=id_,
            member_id=member_id,
            community_id=community_id,
            badge=badge,
            season=season,
        )
        self.drafts.append((cause, Draft(id_, body, row.sequence)))
