"""Circles in the databases of the real services, put there by SQL: how much there is to read.

People have the ids that their tokens give them, so that real requests find them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from uuid import UUID, uuid4

import asyncpg

from coterie_chassis.decisions import member_id_of, person_id_of
from coterie_local.tokens import ISSUER
from coterie_notifications.store.notices import ledger_id_of

__all__ = [
    "Circle",
    "keep_circle",
    "keep_facts",
    "keep_notices",
    "keep_ratings",
    "keep_suggestions",
]

ZONE = "Europe/Berlin"
_COMMUNITY = (
    "INSERT INTO community_copy VALUES "
    "($1, $2, 'Bench', 'open', $3, $4, $5, 'wall', $6, '[]'::jsonb, 1)"
)
_CLOCK = (
    "INSERT INTO community_clock (community_id, brand_id, mode, now) VALUES ($1, $2, 'wall', now())"
)
_MEMBERS = (
    "INSERT INTO member_copy SELECT m, $3, p, 'active', $4, $5, 'en', 1 "
    "FROM unnest($1::uuid[], $2::uuid[]) AS people (m, p)"
)


@dataclass
class Circle:
    """A community with `size` members, who are called `name 0`, `name 1` and so on."""

    size: int
    name: str = "member"
    community_id: UUID = field(default_factory=uuid4)
    brand_id: UUID = field(default_factory=uuid4)

    def __post_init__(self) -> None:
        self.names = [f"{self.name} {number}" for number in range(self.size)]
        self.persons = [person_id_of(ISSUER, name) for name in self.names]
        self.members = [member_id_of(self.community_id, person) for person in self.persons]


async def keep_circle(connection: asyncpg.Connection, circle: Circle) -> None:
    """The copies that every service has of a community and its members."""
    id_, brand = circle.community_id, circle.brand_id
    await connection.execute(_COMMUNITY, id_, brand, ZONE, time(21), time(8), circle.size)
    await connection.execute(_CLOCK, id_, brand)
    admitted = datetime.now(UTC) - timedelta(days=200)
    await connection.execute(_MEMBERS, circle.members, circle.persons, id_, admitted, ZONE)


async def keep_suggestions(
    connection: asyncpg.Connection, circle: Circle, count: int, *, days: int, since: int = 0
) -> list[UUID]:
    """Accepted suggestions by the members in turn, over `days` that end `since` ago; their ids."""
    ids = [uuid4() for _ in range(count)]
    values = (ids, circle.members, circle.community_id, days, since)
    await connection.execute(_SUGGESTIONS, *values)
    await connection.execute(_WORDS, ids)
    return ids


async def keep_ratings(
    connection: asyncpg.Connection, circle: Circle, contributions: list[UUID]
) -> None:
    """Every member's rating of all that others wrote, in feedback's table."""
    await connection.execute(_RATINGS, contributions, circle.members, circle.community_id)


async def keep_facts(
    connection: asyncpg.Connection, circle: Circle, contributions: int, *, days_ago: int
) -> None:
    """Every member's rating of so many contributions of others, in recognition's table."""
    values = (contributions, circle.members, circle.community_id, days_ago)
    await connection.execute(_FACTS, *values)


async def keep_notices(
    connection: asyncpg.Connection, circle: Circle, each: int, *, days: int, since: int = 0
) -> None:
    """So many news that every member was told, over `days` that end `since` ago."""
    ledgers = [ledger_id_of(circle.brand_id, circle.community_id, p) for p in circle.persons]
    values = (each, circle.members, circle.persons, ledgers, circle.community_id, days, since)
    await connection.execute(_NOTICES, *values)


_SUGGESTIONS = """
    INSERT INTO feedback (feedback_id, community_id, author_id, status, label, round, submitted_at,
                          changed_at, version, sequence)
    SELECT id, $3, ($2::uuid[])[1 + (n - 1) % cardinality($2::uuid[])], 'accepted', 'A label', 0,
           at, at, 2, 2
    FROM (SELECT id, n, now() - make_interval(days => $5::int, hours => 1)
                 - n * make_interval(days => $4::int) / cardinality($1::uuid[]) AS at
          FROM unnest($1::uuid[]) WITH ORDINALITY AS given (id, n)) AS suggestion
"""
_WORDS = """
    INSERT INTO feedback_text
    SELECT feedback_id, community_id, author_id, 'What a member would like to see changed.'
    FROM feedback WHERE feedback_id = ANY($1::uuid[])
"""
_RATINGS = """
    INSERT INTO rating
    SELECT gen_random_uuid(), f.feedback_id, $3, rater, 0.7, f.submitted_at, gen_random_uuid(), 1
    FROM unnest($1::uuid[]) AS given (id) JOIN feedback AS f ON f.feedback_id = given.id
    CROSS JOIN unnest($2::uuid[]) AS rater WHERE rater <> f.author_id
"""
_FACTS = """
    INSERT INTO rating (contribution_id, rater_id, event_id, community_id, kind, author_id, value,
                        rated_at, contributed_at)
    SELECT c.id, rater, gen_random_uuid(), $3, 'feedback', c.author, (n + place) % 11 / 10.0,
           c.at, c.at
    FROM (SELECT gen_random_uuid() AS id, n,
                 ($2::uuid[])[1 + (n - 1) % cardinality($2::uuid[])] AS author,
                 now() - make_interval(days => $4::int) - n * interval '1 second' AS at
          FROM generate_series(1, $1::int) AS n) AS c
    CROSS JOIN unnest($2::uuid[]) WITH ORDINALITY AS raters (rater, place)
    WHERE rater <> c.author
"""
_NOTICES = """
    INSERT INTO notification (id, community_id, recipient_id, person_id, ledger_id,
                              notification_class, template, cause_id, priority, state, reason,
                              channel, decided_at, params, answers, policy_version, time_zone,
                              local_day, recipient_sequence, sequence)
    SELECT gen_random_uuid(), $5, m, p, l, 'community', 'news', gen_random_uuid(), 1, 'sent',
           'sent', 'inbox', at, '{"title": "News", "text": "Something happened."}', '[]', 1,
           'Europe/Berlin', at::date, n, 1
    FROM unnest($2::uuid[], $3::uuid[], $4::uuid[]) AS people (m, p, l)
    CROSS JOIN (SELECT n, now() - make_interval(days => $7::int)
                       - n * make_interval(days => $6::int) / $1::int AS at
                FROM generate_series(1, $1::int) AS n) AS told
"""
