"""Who somebody is in a community, who is asked first, and how people are forgotten."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import text

from coterie_chassis.store import UnitOfWork
from coterie_contracts.member import MemberStatus

__all__ = [
    "Presence",
    "duplicate_authors",
    "forget",
    "presence_in",
    "ranked_supporters",
]


@dataclass(frozen=True, slots=True)
class Presence:
    """What a person is in a community; `standing` is absent for a stranger."""

    brand_id: UUID | None
    member_id: UUID | None
    standing: MemberStatus | None
    time_zone: str | None


async def presence_in(
    uow: UnitOfWork, community_id: UUID, person_id: UUID, *, acting: bool = False
) -> Presence | None:
    """A person's presence; None for an unknown community.

    An erasure waits for who is `acting`, and finds what they have done; who acts waits for an
    erasure under way, and is a stranger afterwards.
    """
    values = {"community": community_id, "person": person_id}
    row = await uow.one_or_none(_ACTING if acting else _PRESENCE, values)
    if row is None:
        return None
    standing = None if row.status is None else MemberStatus(row.status)
    return Presence(row.brand_id, row.member_id, standing, row.time_zone)


async def ranked_supporters(uow: UnitOfWork, feedback_id: UUID) -> list[UUID]:
    """Active members who want a suggestion or one of its duplicates, the keenest first."""
    return [row.member_id for row in await uow.rows(_SUPPORTERS, {"id": feedback_id})]


async def duplicate_authors(uow: UnitOfWork, root_id: UUID, author_id: UUID) -> list[UUID]:
    """The authors of a root's duplicates, each once, without the root's own and the erased."""
    values = {"id": root_id, "author": author_id}
    return [row.author_id for row in await uow.rows(_DUPLICATE_AUTHORS, values)]


async def forget(uow: UnitOfWork, member_ids: Collection[UUID]) -> None:
    """Drop what people wrote, wanted and rated; their contributions stay without words."""
    values = {"ids": sorted(member_ids)}
    for statement in _FORGET:
        await uow.execute(statement, values)


_PRESENT: Final = (
    "WITH m AS (SELECT member_id, status, time_zone FROM member_copy "
    "WHERE community_id = :community AND person_id = :person {held}) "
    "SELECT clock.brand_id, m.* FROM community_clock AS clock LEFT JOIN m ON true "
    "WHERE clock.community_id = :community"
)
_PRESENCE: Final = text(_PRESENT.format(held=""))
_ACTING: Final = text(_PRESENT.format(held="FOR KEY SHARE"))
_SUPPORTERS: Final = text(
    "SELECT u.member_id FROM united_support AS u "
    "JOIN member_copy AS m ON m.member_id = u.member_id AND m.status = 'active' "
    "WHERE u.feedback_id = :id ORDER BY u.importance DESC, u.since, u.member_id"
)
_DUPLICATE_AUTHORS: Final = text(
    "SELECT DISTINCT author_id FROM feedback WHERE star_id = :id AND root_id IS NOT NULL "
    "AND author_id <> :author AND author_id NOT IN (SELECT member_id FROM erased_member) "
    "ORDER BY author_id"
)
_FORGET: Final = (
    text("DELETE FROM feedback_text WHERE author_id = ANY(CAST(:ids AS uuid[]))"),
    text("UPDATE comment SET text = NULL WHERE author_id = ANY(CAST(:ids AS uuid[]))"),
    text("DELETE FROM support WHERE member_id = ANY(CAST(:ids AS uuid[]))"),
    text("DELETE FROM rating WHERE rater_id = ANY(CAST(:ids AS uuid[]))"),
    text("DELETE FROM submission_day WHERE member_id = ANY(CAST(:ids AS uuid[]))"),
    text(
        "UPDATE campaign SET audience = ARRAY(SELECT who FROM unnest(audience) AS who "
        "WHERE who <> ALL(CAST(:ids AS uuid[]))) WHERE audience && CAST(:ids AS uuid[])"
    ),
)
