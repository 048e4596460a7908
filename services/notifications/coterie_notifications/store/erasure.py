"""Forgetting: one lock that every writer shares and an erasure takes alone.

Whoever writes about members shares the lock before asking who was erased. An erasure waits for
them, deletes what they wrote, and who comes after it sees that the member is gone. So no row about
an erased member outlives the erasure, whatever runs beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from sqlalchemy import text

from coterie_chassis.store import UnitOfWork

__all__ = ["forget", "give_way"]

_LOCK: Final = 7_203_571


async def give_way(uow: UnitOfWork, *, alone: bool = False) -> None:
    """Share the lock until the commit; an erasure takes it `alone`. Held already, it costs one
    statement."""
    await uow.execute(_ALONE if alone else _SHARED, {"lock": _LOCK})


async def forget(uow: UnitOfWork, people: Iterable[tuple[UUID, UUID, UUID]]) -> None:
    """Drop everything held about erased (community, person, member); constant statements."""
    wanted = sorted(set(people))
    if not wanted:
        return
    values = {
        "communities": [community_id for community_id, _, _ in wanted],
        "people": [person_id for _, person_id, _ in wanted],
        "members": [member_id for _, _, member_id in wanted],
    }
    ledgers = [row.ledger_id for row in await uow.rows(_FORGET_TOLD, values) if row.ledger_id]
    await uow.execute(_FORGET_LEDGER, {"ids": sorted(set(ledgers))})
    await uow.execute(_FORGET_APPLICATIONS, values)
    await uow.execute(_FORGET_PENDING, values)
    for statement in _FORGET_MEMBER:
        await uow.execute(statement, {"members": values["members"]})


_ALONE: Final = text("SELECT pg_advisory_xact_lock(:lock)")
_SHARED: Final = text("SELECT pg_advisory_xact_lock_shared(:lock)")
_FORGET_TOLD: Final = text(
    """
    DELETE FROM notification AS n
    USING unnest(CAST(:communities AS uuid[]), CAST(:people AS uuid[])) AS gone(community, person)
    WHERE n.community_id = gone.community AND n.person_id = gone.person
    RETURNING n.ledger_id
    """
)
_FORGET_LEDGER: Final = text(
    "DELETE FROM ledger WHERE id = ANY(CAST(:ids AS uuid[])) "
    "AND NOT EXISTS (SELECT FROM notification AS n WHERE n.ledger_id = ledger.id)"
)
_FORGET_APPLICATIONS: Final = text(
    """
    DELETE FROM application AS a
    USING unnest(CAST(:communities AS uuid[]), CAST(:people AS uuid[])) AS gone(community, person)
    WHERE a.community_id = gone.community AND a.person_id = gone.person
    """
)
_FORGET_MEMBER: Final = (
    text("DELETE FROM preference WHERE member_id = ANY(CAST(:members AS uuid[]))"),
    text("DELETE FROM contact WHERE member_id = ANY(CAST(:members AS uuid[]))"),
    text("DELETE FROM standing WHERE member_id = ANY(CAST(:members AS uuid[]))"),
    text("DELETE FROM member_fact WHERE member_id = ANY(CAST(:members AS uuid[]))"),
    text("DELETE FROM look_again WHERE member_id = ANY(CAST(:members AS uuid[]))"),
)
_FORGET_PENDING: Final = text(
    """
    DELETE FROM pending WHERE waits_for = ANY(CAST(:members AS uuid[]))
    OR CAST(notice ->> 'recipient_id' AS uuid) = ANY(CAST(:members AS uuid[]))
    OR (community_id, CAST(notice ->> 'recipient_id' AS uuid)) IN
        (SELECT * FROM unnest(CAST(:communities AS uuid[]), CAST(:people AS uuid[])))
    """
)
