"""What routes show. One statement each, limited to a community and to what the reader may know.

Every row says who the reader is there (`me`, `my_standing`, `brand_id`), so rights need no
statement of their own. Nothing here tells who rated what.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text

from coterie_chassis.hot import Hot
from coterie_chassis.store import UnitOfWork
from coterie_feedback.domain.suggestion import Status

__all__ = [
    "changes",
    "comment",
    "comments",
    "history",
    "implementations",
    "look_again",
    "look_agains",
    "mine",
    "most_wanted",
    "newest",
    "rating",
    "standing",
    "suggestion",
    "waiting",
]

Rows = Sequence[Row[Any]]


async def suggestion(uow: UnitOfWork, feedback_id: UUID, person_id: UUID) -> Row[Any] | None:
    """One suggestion as a person sees it."""
    return await uow.one_or_none(_SUGGESTION, {"id": feedback_id, "person": person_id})


async def newest(
    uow: UnitOfWork,
    community_id: UUID,
    person_id: UUID,
    *,
    statuses: Sequence[Status],
    limit: int,
    after: tuple[Any, ...] | None,
) -> Rows:
    """Suggestions of these statuses, the newest first, after a position."""
    at, id_ = after or (None, None)
    values = {"community": community_id, "person": person_id, "limit": limit, "at": at, "id": id_}
    return await uow.rows(_BOARD_BY_DATE, values | {"statuses": [s.value for s in statuses]})


async def most_wanted(
    uow: UnitOfWork,
    community_id: UUID,
    person_id: UUID,
    *,
    statuses: Sequence[Status],
    limit: int,
    after: tuple[Any, ...] | None,
) -> Rows:
    """Suggestions of these statuses by weighted support, after a position."""
    weight, id_ = after or (None, None)
    values = {
        "community": community_id,
        "person": person_id,
        "limit": limit,
        "weight": weight,
        "id": id_,
        "statuses": [s.value for s in statuses],
    }
    return await uow.rows(_BOARD_BY_SUPPORT, values)


async def mine(
    uow: UnitOfWork,
    community_id: UUID,
    person_id: UUID,
    *,
    limit: int,
    after: tuple[Any, ...] | None,
) -> Rows:
    """A person's own suggestions, the newest first, after a position."""
    at, id_ = after or (None, None)
    values = {"community": community_id, "person": person_id, "limit": limit, "at": at, "id": id_}
    return await uow.rows(_MINE, values)


async def comments(uow: UnitOfWork, feedback_id: UUID, me: UUID | None) -> Rows:
    """The comments on a suggestion in their order, each with the reader's own rating."""
    return await uow.rows(_COMMENTS, {"id": feedback_id, "me": me})


async def history(uow: UnitOfWork, feedback_id: UUID) -> Rows:
    """A suggestion's history, oldest first."""
    return await uow.rows(_HISTORY, {"id": feedback_id})


async def implementations(uow: UnitOfWork, feedback_id: UUID) -> Rows:
    """A suggestion's implementations by round."""
    return await uow.rows(_IMPLEMENTATIONS, {"id": feedback_id})


async def changes(
    uow: UnitOfWork, community_id: UUID, *, limit: int, after: tuple[Any, ...] | None
) -> Rows:
    """What was built because members asked, the latest first, one row a suggestion."""
    at, id_ = after or (None, None)
    values = {"community": community_id, "limit": limit, "at": at, "id": id_}
    return await uow.rows(_CHANGES, values)


async def look_agains(uow: UnitOfWork, community_id: UUID, person_id: UUID, now: datetime) -> Rows:
    """What a person may still answer, the nearest deadline first."""
    values = {"community": community_id, "person": person_id, "now": now}
    return await uow.rows(_LOOK_AGAINS, values)


async def look_again(uow: UnitOfWork, look_again_id: UUID, person_id: UUID) -> Row[Any] | None:
    """One look-again, for the person who was asked."""
    return await uow.one_or_none(_LOOK_AGAIN, {"id": look_again_id, "person": person_id})


async def comment(uow: UnitOfWork, comment_id: UUID, person_id: UUID) -> Row[Any] | None:
    """One comment as a person sees it."""
    return await uow.one_or_none(_COMMENT, {"id": comment_id, "person": person_id})


async def rating(uow: UnitOfWork, rating_id: UUID, person_id: UUID) -> Any:
    """A rating, for its rater alone."""
    return await uow.hot(RATING, {"id": rating_id, "person": person_id})


async def standing(uow: UnitOfWork, community_id: UUID) -> Rows:
    """How many suggestions of each status serve which objective."""
    return await uow.rows(_STANDING, {"community": community_id})


async def waiting(uow: UnitOfWork, community_id: UUID) -> Rows:
    """What waits for staff, oldest first: `what`, `since`, `subject_id`."""
    return await uow.rows(_WAITING, {"community": community_id})


_ITEM: Final = """
    SELECT f.*, t.text, root.status AS root_status, root.reason AS root_reason,
           coalesce(s.weight, 0) AS weight, coalesce(s.supporters, 0) AS supporters,
           own.importance AS my_importance, rated.value AS my_rating,
           (SELECT count(*) FROM comment AS c WHERE c.feedback_id = f.feedback_id) AS comments,
           ARRAY(SELECT d.feedback_id FROM feedback AS d
                 WHERE d.star_id = f.feedback_id AND d.root_id IS NOT NULL
                 ORDER BY d.feedback_id) AS duplicates,
           coalesce(a.appreciated, false) AS appreciated,
           i.round AS built_round, i.what_changed, i.see_it_at, i.release, i.implemented_at,
           clock.brand_id, m.member_id AS me, m.status AS my_standing
    FROM feedback AS f
    JOIN community_clock AS clock ON clock.community_id = f.community_id
    LEFT JOIN member_copy AS m ON m.community_id = f.community_id AND m.person_id = :person
    LEFT JOIN feedback_text AS t ON t.feedback_id = f.feedback_id
    LEFT JOIN feedback AS root ON root.feedback_id = f.root_id
    LEFT JOIN implementation AS i ON i.implementation_id = f.implementation_id
    LEFT JOIN support AS own
      ON own.feedback_id = f.feedback_id AND own.member_id = m.member_id AND own.active
    LEFT JOIN rating AS rated
      ON rated.contribution_id = f.feedback_id AND rated.rater_id = m.member_id
    LEFT JOIN appreciation AS a ON a.contribution_id = f.feedback_id
    LEFT JOIN LATERAL (
        SELECT sum(u.importance) AS weight, count(*) AS supporters
        FROM united_support AS u WHERE u.feedback_id = f.feedback_id
    ) AS s ON true
"""
_SUGGESTION: Final = text(_ITEM + "WHERE f.feedback_id = :id")
_BEFORE: Final = (
    "AND (CAST(:id AS uuid) IS NULL OR (f.submitted_at, f.feedback_id) "
    "< (CAST(:at AS timestamptz), CAST(:id AS uuid))) "
    "ORDER BY f.submitted_at DESC, f.feedback_id DESC LIMIT :limit"
)
_MINE: Final = text(
    _ITEM + "WHERE f.community_id = :community AND f.author_id = m.member_id " + _BEFORE
)
_BOARD_BY_DATE: Final = text(
    _ITEM
    + "WHERE f.community_id = :community AND f.status = ANY(CAST(:statuses AS text[])) "
    + _BEFORE
)
_BOARD_BY_SUPPORT: Final = text(
    """
    WITH ranked AS (
        SELECT f.feedback_id, coalesce(s.weight, 0) AS weight
        FROM feedback AS f
        LEFT JOIN LATERAL (
            SELECT sum(u.importance) AS weight
            FROM united_support AS u WHERE u.feedback_id = f.feedback_id
        ) AS s ON true
        WHERE f.community_id = :community AND f.status = ANY(CAST(:statuses AS text[]))
          AND (CAST(:id AS uuid) IS NULL OR (coalesce(s.weight, 0), f.feedback_id)
               < (CAST(:weight AS bigint), CAST(:id AS uuid)))
        ORDER BY weight DESC, feedback_id DESC LIMIT :limit
    )
    """  # noqa: S608 - constants
    + _ITEM
    + "JOIN ranked ON ranked.feedback_id = f.feedback_id "
    + "ORDER BY ranked.weight DESC, ranked.feedback_id DESC"
)
_COMMENTS: Final = text(
    """
    SELECT c.*, r.value AS my_rating, coalesce(a.appreciated, false) AS appreciated
    FROM comment AS c
    LEFT JOIN rating AS r ON r.contribution_id = c.comment_id AND r.rater_id = :me
    LEFT JOIN appreciation AS a ON a.contribution_id = c.comment_id
    WHERE c.feedback_id = :id ORDER BY c.posted_at, c.comment_id
    """
)
_COMMENT: Final = text(
    """
    SELECT c.*, r.value AS my_rating, coalesce(a.appreciated, false) AS appreciated,
           clock.brand_id, m.member_id AS me, m.status AS my_standing
    FROM comment AS c
    JOIN community_clock AS clock ON clock.community_id = c.community_id
    LEFT JOIN member_copy AS m ON m.community_id = c.community_id AND m.person_id = :person
    LEFT JOIN rating AS r ON r.contribution_id = c.comment_id AND r.rater_id = m.member_id
    LEFT JOIN appreciation AS a ON a.contribution_id = c.comment_id
    WHERE c.comment_id = :id
    """
)
_HISTORY: Final = text("SELECT * FROM feedback_change WHERE feedback_id = :id ORDER BY version")
_IMPLEMENTATIONS: Final = text(
    "SELECT * FROM implementation WHERE feedback_id = :id ORDER BY round"
)
_CHANGES: Final = text(
    """
    SELECT i.*, f.status, f.author_id, f.objective_id
    FROM implementation AS i
    JOIN feedback AS f ON f.implementation_id = i.implementation_id
    WHERE i.community_id = :community AND f.status NOT IN ('reopened', 'planned')
      AND (CAST(:id AS uuid) IS NULL OR (i.implemented_at, i.implementation_id)
           < (CAST(:at AS timestamptz), CAST(:id AS uuid)))
    ORDER BY i.implemented_at DESC, i.implementation_id DESC LIMIT :limit
    """
)
_LOOK: Final = """
    SELECT l.*, i.label, i.what_changed, i.see_it_at, i.release,
           f.implementation_id = l.implementation_id AS current, m.status AS my_standing
    FROM look_again AS l
    JOIN member_copy AS m ON m.member_id = l.member_id AND m.person_id = :person
    JOIN implementation AS i ON i.implementation_id = l.implementation_id
    JOIN feedback AS f ON f.feedback_id = l.feedback_id
"""
_LOOK_AGAINS: Final = text(
    _LOOK
    + "WHERE l.community_id = :community AND l.state IN ('requested', 'lapsed', 'not_askable') "
    + "AND f.implementation_id = l.implementation_id AND l.late_until >= :now "
    + "ORDER BY l.due_at, l.look_again_id"
)
_LOOK_AGAIN: Final = text(_LOOK + "WHERE l.look_again_id = :id")
RATING: Final = Hot(
    "rating",
    "SELECT r.* FROM rating AS r JOIN member_copy AS m ON m.member_id = r.rater_id "
    "WHERE r.rating_id = :id AND m.person_id = :person",
)
_STANDING: Final = text(
    "SELECT status, objective_id, count(*) AS suggestions FROM feedback "
    "WHERE community_id = :community GROUP BY status, objective_id ORDER BY status, objective_id"
)
_WAITING: Final = text(
    """
    SELECT 'decide' AS what, submitted_at AS since, feedback_id AS subject_id
    FROM feedback WHERE community_id = :community AND status = 'submitted'
    UNION ALL
    SELECT CASE status WHEN 'accepted' THEN 'plan' WHEN 'planned' THEN 'implement'
                       ELSE 'plan_again' END,
           changed_at, feedback_id
    FROM feedback WHERE community_id = :community AND status IN ('accepted', 'planned', 'reopened')
    UNION ALL
    SELECT 'reopen', l.answered_at, f.feedback_id
    FROM feedback AS f
    JOIN look_again AS l ON l.implementation_id = f.implementation_id
     AND l.asked_as = 'author' AND l.state = 'unsatisfied'
    WHERE f.community_id = :community AND f.status = 'unconfirmed'
    UNION ALL
    SELECT 'unmerge', l.answered_at, d.feedback_id
    FROM look_again AS l
    JOIN feedback AS d ON d.root_id = l.feedback_id AND d.author_id = l.member_id
    JOIN feedback AS f ON f.implementation_id = l.implementation_id
    WHERE l.community_id = :community
      AND l.asked_as = 'duplicate_author' AND l.state = 'unsatisfied'
    ORDER BY since, subject_id
    """
)
