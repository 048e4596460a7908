"""Facts from other services, each kept by its own identity and merged in any order.

A time that began is the least seen, a time that ended too, the latest offer or lapse the greatest:
merging is commutative, so events may arrive in any order and any number of times. Rows about an
erased member are never made.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, Table, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB

from coterie_chassis.outbox import dump_json
from coterie_chassis.store import UnitOfWork, bulk_insert
from coterie_notifications.domain.notice import Notice
from coterie_notifications.store import tables
from coterie_notifications.store.notices import dump_notice, load_notice

__all__ = [
    "campaigns_since",
    "keep_campaigns",
    "merge_applications",
    "merge_contacts",
    "merge_invitations",
    "merge_look_agains",
    "merge_member_facts",
    "merge_rewards",
    "merge_standings",
    "merge_suggestions",
    "open_deadlines",
    "open_look_agains",
    "open_seat_offers",
    "save_seat_counts",
    "scheduled_briefs",
    "seat_offers",
    "unanswered",
    "unused_invitations",
]

Rows = Sequence[Mapping[str, Any]]
_HOW: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "least": min,
    "greatest": max,
    "last": lambda _, new: new,
}


async def merge_standings(uow: UnitOfWork, rows: Rows) -> None:
    """What a member was from when on; by (member, sequence)."""
    keys = ("member_id", "sequence")
    how = {"community_id": "last", "since": "least", "status": "last"}
    await _merge(uow, tables.standing, rows, keys, how, unless_erased=True)


async def merge_member_facts(uow: UnitOfWork, rows: Rows) -> None:
    """The latest activity and the latest bad news of members."""
    how = {"community_id": "last", "active_at": "greatest", "bad_news_at": "greatest"}
    await _merge(uow, tables.member_fact, rows, ("member_id",), how, unless_erased=True)


async def merge_look_agains(uow: UnitOfWork, rows: Rows) -> None:
    """Questions put to members, and when each was closed."""
    how = {
        "community_id": "last",
        "member_id": "last",
        "requested_at": "least",
        "closed_at": "least",
        "due_at": "last",
        "params": "last",
    }
    await _merge(uow, tables.look_again, rows, ("id",), how, unless_erased=True)


async def merge_applications(uow: UnitOfWork, rows: Rows) -> None:
    """Who waits for a seat, and whether one is offered."""
    how = {
        "community_id": "last",
        "person_id": "last",
        "waitlisted_at": "least",
        "offered_at": "greatest",
        "offer_expires_at": "greatest",
        "lapsed_at": "greatest",
        "ended_at": "least",
    }
    await _merge(uow, tables.application, rows, ("id",), how)


async def merge_invitations(uow: UnitOfWork, rows: Rows) -> None:
    """Invitations, and when each was first used or ended."""
    how = {
        "community_id": "last",
        "issued_at": "least",
        "expires_at": "last",
        "settled_at": "least",
    }
    await _merge(uow, tables.invitation, rows, ("id",), how)


async def merge_suggestions(uow: UnitOfWork, rows: Rows) -> None:
    """When suggestions came, were answered, were confirmed."""
    how = {
        "community_id": "last",
        "label": "last",
        "submitted_at": "least",
        "answered_at": "least",
        "verified_at": "least",
        "verified_by": "last",
    }
    await _merge(uow, tables.suggestion, rows, ("id",), how)


async def merge_rewards(uow: UnitOfWork, rows: Rows) -> None:
    """Which rewards wait for an approval, or for money, codes or time."""
    how = {
        "community_id": "last",
        "item_name": "last",
        "needs_approval": "last",
        "proposed_at": "least",
        "held_at": "least",
        "settled_at": "least",
    }
    await _merge(uow, tables.reward_case, rows, ("id",), how)


async def merge_contacts(uow: UnitOfWork, rows: Rows) -> None:
    """Addresses. Their topic keeps the last of each key and counts none, so the last one stands."""
    how = {"community_id": "last", "email": "replace", "sequence": "last"}
    newer = "excluded.sequence >= contact.sequence"
    await _merge(uow, tables.contact, rows, ("member_id",), how, unless_erased=True, where=newer)


async def save_seat_counts(uow: UnitOfWork, rows: Rows) -> None:
    """Seats held after each change, by the community's own sequence."""
    await bulk_insert(uow, tables.seat_count, rows, on_conflict_do_nothing=True)


async def keep_campaigns(uow: UnitOfWork, rows: Sequence[tuple[Notice, int]]) -> None:
    """Keep (notice, audience size) of campaigns for members who become known later."""
    values = [
        {
            "id": notice.cause_id,
            "community_id": notice.community_id,
            "kind": "campaign",
            "at": notice.at,
            "author": notice.cause.actor,
            "title": notice.params["title"],
            "text": "",
            "member_benefit": notice.params["member_benefit"],
            "expires_at": notice.expires_at,
            "audience_size": size,
            "notice": dump_notice(notice),
        }
        for notice, size in rows
    ]
    await bulk_insert(uow, tables.broadcast, values, on_conflict_do_nothing=True)


async def campaigns_since(
    uow: UnitOfWork, admitted: Sequence[tuple[UUID, UUID, datetime]]
) -> list[tuple[UUID, Notice]]:
    """For (member, community, admitted_at): (member, campaign launched since while active)."""
    if not admitted:
        return []
    members, communities, moments = zip(*sorted(admitted), strict=True)
    values = {
        "members": list(members),
        "communities": list(communities),
        "moments": list(moments),
    }
    return [(row.member_id, load_notice(row.notice)) for row in await uow.rows(_CAMPAIGNS, values)]


async def open_deadlines(
    uow: UnitOfWork, community_ids: Collection[UUID]
) -> dict[str, list[Row[Any]]]:
    """What these communities' deadlines are about, by kind."""
    found: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in await uow.rows(_DEADLINES, {"communities": sorted(community_ids)}):
        found[row.kind].append(row)
    return found


async def open_look_agains(uow: UnitOfWork, ids: Sequence[UUID]) -> dict[UUID, Any]:
    """Look-agains by id, with what was asked and when each was closed."""
    rows = await uow.rows(_LOOK_AGAINS, {"ids": sorted(ids)})
    return {row.id: row for row in rows}


async def open_seat_offers(uow: UnitOfWork, ids: Sequence[UUID], at: datetime) -> dict[UUID, Any]:
    """Applications by id whose seat offer was open at `at`."""
    rows = await uow.rows(_SEAT_OFFERS, {"ids": sorted(ids), "at": at})
    return {row.id: row for row in rows}


async def seat_offers(uow: UnitOfWork, ids: Sequence[UUID]) -> dict[UUID, Any]:
    """Applications by id to which a seat was offered, with when and until when."""
    rows = await uow.rows(_OFFERED, {"ids": sorted(ids)})
    return {row.id: row for row in rows}


async def unanswered(uow: UnitOfWork, ids: Sequence[UUID]) -> dict[UUID, Any]:
    """Suggestions by id with `closed_at`, when the staff answered or the author took it back."""
    rows = await uow.rows(_SUGGESTIONS, {"ids": sorted(ids)})
    return {row.id: row for row in rows}


async def unused_invitations(uow: UnitOfWork, ids: Sequence[UUID]) -> dict[UUID, Any]:
    """Invitations by id with `expires_at`, and `closed_at`, when they were used or ended."""
    rows = await uow.rows(_INVITATIONS, {"ids": sorted(ids)})
    return {row.id: row for row in rows}


async def scheduled_briefs(uow: UnitOfWork, ids: Collection[UUID]) -> dict[UUID, datetime]:
    """When the next brief of each community is due, of those that have one."""
    rows = await uow.rows(_SCHEDULED, {"ids": sorted(ids)})
    return {row.aggregate_id: row.due_at for row in rows}


async def _merge(
    uow: UnitOfWork,
    table: Table,
    rows: Rows,
    keys: tuple[str, ...],
    how: Mapping[str, str],
    *,
    unless_erased: bool = False,
    where: str | None = None,
) -> None:
    """Merge `rows` into `table` in one statement, in key order; absent columns say nothing."""
    merged: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        key = tuple(row[name] for name in keys)
        known = merged.setdefault(key, dict.fromkeys((*keys, *how)))
        for name, value in row.items():
            if value is None:
                continue
            old, rule = known[name], _HOW.get(how.get(name, "last"), _HOW["last"])
            known[name] = value if old is None else rule(old, value)
    if not merged:
        return
    ordered = [merged[key] for key in sorted(merged)]
    statement = text(_upsert(table, keys, tuple(how.items()), unless_erased, where))
    arrays = {name: [_plain(table, name, row[name]) for row in ordered] for name in (*keys, *how)}
    await uow.execute(statement, arrays)


@lru_cache(maxsize=64)
def _upsert(
    table: Table,
    keys: tuple[str, ...],
    how: tuple[tuple[str, str], ...],
    unless_erased: bool,
    where: str | None,
) -> str:
    names = [*keys, *(name for name, _ in how)]
    arrays = ", ".join(f"CAST(:{name} AS {_type(table, name)}[])" for name in names)
    values = ", ".join(
        f"CAST(input.{name} AS jsonb)" if _is_json(table, name) else f"input.{name}"
        for name in names
    )
    sets = ", ".join(f"{name} = {_merged(table.name, name, rule)}" for name, rule in how)
    erased = "SELECT FROM erased_member AS e WHERE e.member_id = input.member_id"
    return (
        f"INSERT INTO {table.name} ({', '.join(names)}) "  # noqa: S608 - names of our own tables
        f"SELECT {values} FROM unnest({arrays}) AS input({', '.join(names)}) "
        f"{f'WHERE NOT EXISTS ({erased}) ' if unless_erased else ''}"
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {sets}"
        f"{f' WHERE {where}' if where else ''}"
    )


def _merged(table: str, name: str, rule: str) -> str:
    if rule == "replace":
        return f"excluded.{name}"
    if rule == "last":
        return f"coalesce(excluded.{name}, {table}.{name})"
    return f"{rule}({table}.{name}, excluded.{name})"


def _is_json(table: Table, name: str) -> bool:
    return isinstance(table.c[name].type, JSONB)


def _type(table: Table, name: str) -> str:
    if _is_json(table, name):
        return "text"
    return str(table.c[name].type.compile(postgresql.dialect()))  # type: ignore[no-untyped-call]


def _plain(table: Table, name: str, value: Any) -> Any:
    return dump_json(value) if _is_json(table, name) and value is not None else value


_CAMPAIGNS: Final = text(
    """
    SELECT who.member_id, b.notice
    FROM unnest(
        CAST(:members AS uuid[]), CAST(:communities AS uuid[]), CAST(:moments AS timestamptz[])
    ) AS who(member_id, community_id, admitted_at)
    JOIN broadcast AS b ON b.community_id = who.community_id
        AND b.kind = 'campaign' AND b.at >= who.admitted_at
    JOIN LATERAL (
        SELECT s.status FROM standing AS s
        WHERE s.member_id = who.member_id AND s.since <= b.at
        ORDER BY s.sequence DESC LIMIT 1
    ) AS standing ON standing.status = 'active'
    ORDER BY b.at, b.id, who.member_id
    """
)
_SEAT_OFFERS: Final = text(
    """
    SELECT id, community_id, person_id, offer_expires_at FROM application
    WHERE id = ANY(CAST(:ids AS uuid[])) AND offered_at <= :at AND offer_expires_at > :at
    AND (lapsed_at IS NULL OR lapsed_at < offered_at) AND ended_at IS NULL
    """
)
_OFFERED: Final = text(
    "SELECT id, community_id, offered_at, offer_expires_at FROM application "
    "WHERE id = ANY(CAST(:ids AS uuid[])) AND offered_at IS NOT NULL"
)
_DEADLINES: Final = text(
    "SELECT kind, aggregate_id, community_id FROM deadline "
    "WHERE community_id = ANY(CAST(:communities AS uuid[])) ORDER BY kind, aggregate_id"
)
_SCHEDULED: Final = text(
    "SELECT aggregate_id, due_at FROM deadline "
    "WHERE kind = 'brief.send' AND aggregate_id = ANY(CAST(:ids AS uuid[]))"
)
_SUGGESTIONS: Final = text(
    "SELECT id, community_id, answered_at AS closed_at FROM suggestion "
    "WHERE id = ANY(CAST(:ids AS uuid[])) AND submitted_at IS NOT NULL"
)
_INVITATIONS: Final = text(
    "SELECT id, community_id, issued_at, expires_at, settled_at AS closed_at FROM invitation "
    "WHERE id = ANY(CAST(:ids AS uuid[])) AND issued_at IS NOT NULL"
)
_LOOK_AGAINS: Final = text(
    "SELECT id, community_id, member_id, requested_at, closed_at, due_at, params "
    "FROM look_again WHERE id = ANY(CAST(:ids AS uuid[]))"
)
