"""The facts that merit is made of: kept for ever as a set, each by its event's id.

A later rating of the same contribution does not replace the earlier one's row, because a closed
season still sees the earlier.

Who adds what members said shares a lock that an erasure takes alone (`give_way`), and is told only
then who is erased: so no row about an erased member outlives the erasure, whatever runs beside it.
Outcomes need no such lock, since they and erasures come one after another at a community's desk.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from coterie_chassis.store import UnitOfWork, bulk_insert
from coterie_contracts.envelope import Event
from coterie_contracts.feedback import (
    ContributionAppreciated,
    ContributionRated,
    FeedbackFacts,
    FeedbackImplemented,
    RoundFacts,
)
from coterie_recognition.domain.outcomes import OutcomeKind
from coterie_recognition.domain.seasons import quarter_hour_of
from coterie_recognition.store import tables

__all__ = [
    "add_appreciations",
    "add_outcomes",
    "add_ratings",
    "authors_of",
    "erased_among",
    "forget",
    "give_way",
    "mark_dirty",
]

_ERASURES: Final = 7_203_572


async def erased_among(uow: UnitOfWork, member_ids: Iterable[UUID]) -> set[UUID]:
    """Those of `member_ids` who were erased; one statement."""
    rows = await uow.rows(_ERASED, {"ids": sorted(set(member_ids))})
    return {row.member_id for row in rows}


async def give_way(uow: UnitOfWork) -> None:
    """Let an erasure under way finish, and hold later ones up until the commit; one statement."""
    await uow.execute(_SHARED, {"lock": _ERASURES})


async def add_ratings(uow: UnitOfWork, events: Iterable[Event[ContributionRated]]) -> None:
    """Add ratings to the set, those of and about the erased left out; one statement."""
    rows = [
        {
            "contribution_id": event.data.contribution_id,
            "rater_id": event.data.rater_id,
            "event_id": event.id,
            "community_id": event.data.community_id,
            "kind": event.data.contribution_kind.value,
            "author_id": event.data.author_id,
            "value": event.data.value,
            "rated_at": event.data.rated_at,
            "contributed_at": event.data.contributed_at,
        }
        for event in events
    ]
    await bulk_insert(
        uow,
        tables.rating,
        rows,
        on_conflict_do_nothing=True,
        where=_NOT_ERASED.format(who="input.rater_id, input.author_id"),
    )


async def add_appreciations(
    uow: UnitOfWork, events: Iterable[Event[ContributionAppreciated]]
) -> None:
    """Add appreciations and their withdrawals, those of the erased left out; one statement."""
    rows = [
        {
            "contribution_id": event.data.contribution_id,
            "event_id": event.id,
            "community_id": event.data.community_id,
            "kind": event.data.contribution_kind.value,
            "author_id": event.data.author_id,
            "appreciated": event.data.appreciated,
            "sequence": event.sequence or 0,
            "at": event.time,
            "contributed_at": event.data.contributed_at,
        }
        for event in events
    ]
    await bulk_insert(
        uow,
        tables.appreciation,
        rows,
        on_conflict_do_nothing=True,
        where=_NOT_ERASED.format(who="input.author_id"),
    )


async def add_outcomes(
    uow: UnitOfWork, events: Iterable[tuple[OutcomeKind, Event[FeedbackImplemented | RoundFacts]]]
) -> None:
    """Add facts about rounds, the erased left out; mark every season dirty that their items touch.

    Two statements.
    """
    rows = [
        {
            "implementation_id": event.data.implementation_id,
            "kind": kind.value,
            "event_id": event.id,
            "community_id": event.data.community_id,
            "feedback_id": event.data.feedback_id,
            "round": event.data.round,
            "sequence": event.sequence or 0,
            "at": event.time,
            "members": list(authors_of(event.data)),
            "label": event.data.label if isinstance(event.data, FeedbackImplemented) else None,
        }
        for kind, event in events
    ]
    await bulk_insert(uow, tables.outcome, rows, on_conflict_do_nothing=True)
    await uow.execute(_TOUCHED, {"ids": sorted({row["feedback_id"] for row in rows})})


def authors_of(data: FeedbackFacts) -> tuple[UUID, ...]:
    """The author and the authors of duplicates, each once."""
    duplicates: tuple[UUID, ...] = getattr(data, "duplicate_author_ids", ())
    return tuple(dict.fromkeys((data.author_id, *duplicates)))


async def mark_dirty(uow: UnitOfWork, seasons: Iterable[tuple[UUID, datetime]]) -> None:
    """Have the seasons around these instants read again, by community; one statement.

    Instants of the same quarter of an hour are one.
    """
    marks = {(community_id, quarter_hour_of(at)) for community_id, at in seasons}
    rows: list[dict[str, Any]] = [{"community_id": c, "at": at} for c, at in sorted(marks)]
    await bulk_insert(uow, tables.merit_dirty, rows)


async def forget(uow: UnitOfWork, member_ids: Collection[UUID]) -> None:
    """Drop what these members said, wrote and earned, money's history aside.

    The ledger and the rewards' rows keep pseudonyms, since a budget's sums rest on them; codes
    are wiped. A constant number of statements, after waiting for those who add facts.
    """
    await uow.execute(_ALONE, {"lock": _ERASURES})
    values = {"ids": sorted(member_ids)}
    for statement in _FORGET:
        await uow.execute(statement, values)


_IDS: Final = "ANY(CAST(:ids AS uuid[]))"
_ERASED: Final = text(f"SELECT member_id FROM erased_member WHERE member_id = {_IDS}")  # noqa: S608 - a constant
_NOT_ERASED: Final = "NOT EXISTS (SELECT FROM erased_member AS e WHERE e.member_id IN ({who}))"
_SHARED: Final = text("SELECT pg_advisory_xact_lock_shared(:lock)")
_ALONE: Final = text("SELECT pg_advisory_xact_lock(:lock)")
_TOUCHED: Final = text(
    f"""
    WITH cleared AS (
        UPDATE outcome SET members = ARRAY(
            SELECT m FROM unnest(members) AS m
            WHERE NOT EXISTS (SELECT FROM erased_member AS e WHERE e.member_id = m)
        )
        WHERE feedback_id = {_IDS}
            AND EXISTS (SELECT FROM erased_member AS e WHERE e.member_id = ANY(members))
    )
    INSERT INTO merit_dirty (community_id, at)
    SELECT DISTINCT community_id, at FROM outcome WHERE feedback_id = {_IDS}
    """  # noqa: S608 - a constant
)
_FORGET: Final = tuple(
    text(statement.format(ids=_IDS))
    for statement in (
        "DELETE FROM rating WHERE rater_id = {ids} OR author_id = {ids}",
        "DELETE FROM appreciation WHERE author_id = {ids}",
        (
            "UPDATE outcome SET members = ARRAY(SELECT m FROM unnest(members) AS m "
            "WHERE NOT m = {ids}) WHERE members && CAST(:ids AS uuid[])"
        ),
        "DELETE FROM merit_standing WHERE member_id = {ids}",
        "DELETE FROM badge WHERE member_id = {ids}",
        "DELETE FROM badge_evidence WHERE member_id = {ids}",
        "DELETE FROM waiting_trigger WHERE waits_for = {ids}",
        (
            "DELETE FROM reveal USING reward WHERE reveal.reward_id = reward.reward_id "
            "AND reward.member_id = {ids}"
        ),
        (
            "UPDATE gift_code SET sealed = NULL FROM reward "
            "WHERE gift_code.reward_id = reward.reward_id AND reward.member_id = {ids}"
        ),
    )
)
