"""Ratings, supports, appreciation and comments: one short statement each, none on a popular row.

The database holds the rule that the latest stands: an upsert that is not later changes no row and
returns none, so nothing is published for it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text

from coterie_chassis.clock import COLUMNS, Clock
from coterie_chassis.hot import Hot
from coterie_chassis.store import UnitOfWork
from coterie_contracts.feedback import ContributionKind
from coterie_contracts.member import MemberStatus
from coterie_feedback.domain.submission import A_DAY
from coterie_feedback.domain.voices import Contribution, Rating, Support

__all__ = [
    "Rateable",
    "add_comment",
    "appreciate",
    "comment_stands",
    "count_submission",
    "is_appreciated",
    "put_rating",
    "put_support",
    "rateable",
]


@dataclass(frozen=True, slots=True)
class Rateable:
    """A contribution on its community's clock, with the caller's standing and rating, if any."""

    contribution: Contribution
    clock: Clock
    member_id: UUID | None
    standing: MemberStatus | None
    rating_id: UUID | None
    value: float | None
    rated_at: datetime | None


async def rateable(uow: UnitOfWork, contribution_id: UUID, person_id: UUID) -> Rateable | None:
    """All that a rating is decided on; one statement."""
    values = {"id": contribution_id, "person": person_id}
    row = await uow.hot(RATEABLE, values)
    if row is None:
        return None
    return Rateable(
        contribution=_contribution(row),
        clock=Clock.of(row),
        member_id=row.member_id,
        standing=None if row.standing is None else MemberStatus(row.standing),
        rating_id=row.rating_id,
        value=row.value,
        rated_at=row.rated_at,
    )


async def put_rating(uow: UnitOfWork, rating: Rating) -> int | None:
    """Keep a rating if it is the latest; its sequence, or None where it changes nothing.

    An erasure of the rater waits for it and finds it, or has come before and nothing is kept.
    """
    row = await uow.hot(PUT_RATING, asdict(rating))
    return None if row is None else row.sequence


async def put_support(uow: UnitOfWork, given: Support) -> int | None:
    """Keep a support; its sequence, or None where it changes nothing."""
    statement = _GIVE_SUPPORT if given.active else _TAKE_SUPPORT_BACK
    row = await uow.one_or_none(statement, asdict(given))
    return None if row is None else row.sequence


async def is_appreciated(uow: UnitOfWork, contribution_id: UUID) -> bool:
    """Whether staff marked a contribution."""
    return await uow.one_or_none(_IS_APPRECIATED, {"id": contribution_id}) is not None


async def appreciate(
    uow: UnitOfWork, contribution: Contribution, *, value: bool, at: datetime
) -> int | None:
    """Mark a contribution or take that back; its sequence, or None where nothing changes."""
    values = {
        "id": contribution.contribution_id,
        "community": contribution.community_id,
        "value": value,
        "at": at,
    }
    row = await uow.one_or_none(_MARK if value else _UNMARK, values)
    return None if row is None else row.sequence


async def add_comment(
    uow: UnitOfWork,
    *,
    comment_id: UUID,
    feedback_id: UUID,
    community_id: UUID,
    author_id: UUID | None,
    words: str,
    at: datetime,
) -> bool:
    """Store a comment; false if it stands already."""
    values: dict[str, Any] = {
        "comment_id": comment_id,
        "feedback_id": feedback_id,
        "community_id": community_id,
        "author_id": author_id,
        "words": words,
        "at": at,
    }
    return (await uow.execute(_ADD_COMMENT, values)).rowcount == 1


async def comment_stands(uow: UnitOfWork, comment_id: UUID) -> bool:
    """Whether a comment was posted already."""
    return await uow.one_or_none(_COMMENT_STANDS, {"id": comment_id}) is not None


async def count_submission(uow: UnitOfWork, community_id: UUID, member_id: UUID, day: date) -> bool:
    """Count one more suggestion of a member's day; false where the day is full."""
    values = {"member": member_id, "day": day, "community": community_id, "limit": A_DAY}
    return await uow.one_or_none(_COUNT_SUBMISSION, values) is not None


def _contribution(row: Row[Any]) -> Contribution:
    return Contribution(
        contribution_id=row.contribution_id,
        kind=ContributionKind(row.kind),
        community_id=row.community_id,
        author_id=row.author_id,
        contributed_at=row.contributed_at,
        gone=row.gone,
    )


RATEABLE: Final = Hot(
    "rateable",
    f"""
    SELECT c.*, {COLUMNS}, m.member_id, m.status AS standing, r.rating_id, r.value, r.rated_at
    FROM (
        SELECT f.feedback_id AS contribution_id, 'feedback' AS kind, f.community_id, f.author_id,
               f.submitted_at AS contributed_at,
               f.status = 'withdrawn' OR t.text IS NULL AS gone
        FROM feedback AS f LEFT JOIN feedback_text AS t ON t.feedback_id = f.feedback_id
        WHERE f.feedback_id = :id
        UNION ALL
        SELECT comment_id, 'comment', community_id, author_id, posted_at, text IS NULL
        FROM comment WHERE comment_id = :id
    ) AS c
    JOIN community_clock AS clock ON clock.community_id = c.community_id
    LEFT JOIN member_copy AS m ON m.community_id = c.community_id AND m.person_id = :person
    LEFT JOIN rating AS r ON r.contribution_id = c.contribution_id AND r.rater_id = m.member_id
    """,  # noqa: S608 - a constant
)
PUT_RATING: Final = Hot(
    "put_rating",
    """
    INSERT INTO rating AS known (rating_id, contribution_id, community_id, rater_id, value,
                                 rated_at, event_id, sequence)
    SELECT :rating_id, :contribution_id, :community_id, m.member_id, :value,
           :rated_at, :event_id, 1
    FROM member_copy AS m WHERE m.member_id = :rater_id FOR KEY SHARE
    ON CONFLICT (rating_id) DO UPDATE
    SET value = excluded.value, rated_at = excluded.rated_at, event_id = excluded.event_id,
        sequence = known.sequence + 1
    WHERE (excluded.rated_at, excluded.event_id) > (known.rated_at, known.event_id)
      AND (excluded.value, excluded.rated_at) IS DISTINCT FROM (known.value, known.rated_at)
    RETURNING sequence
    """,
)
_GIVE_SUPPORT: Final = text(
    """
    INSERT INTO support AS known (support_id, feedback_id, community_id, member_id, importance,
                                  active, since, changed_at, sequence)
    VALUES (:support_id, :feedback_id, :community_id, :member_id, :importance,
            :active, :changed_at, :changed_at, 1)
    ON CONFLICT (support_id) DO UPDATE
    SET importance = excluded.importance, active = true, changed_at = excluded.changed_at,
        since = CASE WHEN known.active THEN known.since ELSE excluded.since END,
        sequence = known.sequence + 1
    WHERE excluded.changed_at >= known.changed_at
      AND (NOT known.active OR known.importance <> excluded.importance)
    RETURNING sequence
    """
)
_TAKE_SUPPORT_BACK: Final = text(
    "UPDATE support SET active = false, changed_at = :changed_at, sequence = sequence + 1 "
    "WHERE support_id = :support_id AND active AND changed_at <= :changed_at RETURNING sequence"
)
_IS_APPRECIATED: Final = text(
    "SELECT 1 FROM appreciation WHERE contribution_id = :id AND appreciated"
)
_MARK: Final = text(
    """
    INSERT INTO appreciation AS known (contribution_id, community_id, appreciated, changed_at,
                                       sequence)
    VALUES (:id, :community, :value, :at, 1)
    ON CONFLICT (contribution_id) DO UPDATE
    SET appreciated = true, changed_at = excluded.changed_at, sequence = known.sequence + 1
    WHERE NOT known.appreciated AND excluded.changed_at >= known.changed_at
    RETURNING sequence
    """
)
_UNMARK: Final = text(
    "UPDATE appreciation SET appreciated = :value, changed_at = :at, sequence = sequence + 1 "
    "WHERE contribution_id = :id AND community_id = :community AND appreciated "
    "AND changed_at <= :at RETURNING sequence"
)
_ADD_COMMENT: Final = text(
    "INSERT INTO comment (comment_id, feedback_id, community_id, author_id, text, posted_at) "
    "VALUES (:comment_id, :feedback_id, :community_id, :author_id, :words, :at) "
    "ON CONFLICT DO NOTHING"
)
_COMMENT_STANDS: Final = text("SELECT 1 FROM comment WHERE comment_id = :id")
_COUNT_SUBMISSION: Final = text(
    "INSERT INTO submission_day AS known (member_id, day, community_id, made) "
    "VALUES (:member, :day, :community, 1) "
    "ON CONFLICT (member_id, day) DO UPDATE SET made = known.made + 1 "
    "WHERE known.made < :limit RETURNING made"
)
