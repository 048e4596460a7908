"""What routes read and change of single notifications, wishes and broadcasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, Select, select, text

from coterie_chassis.store import UnitOfWork, bulk_insert
from coterie_notifications.store import tables

__all__ = [
    "decisions_page",
    "inbox_page",
    "load_notification",
    "load_preference",
    "mark",
    "not_useful_marks",
    "outcomes_of",
    "publish_broadcast",
    "save_preference",
    "secrets",
    "set_read",
    "unread_by_staff",
]


async def inbox_page(
    uow: UnitOfWork,
    community_id: UUID,
    person_id: UUID | None,
    *,
    limit: int,
    before: tuple[Any, ...] | None,
) -> Sequence[Row[Any]]:
    """Up to `limit` sent notifications of a person, or of the staff, newest first."""
    n = tables.notification.c
    statement = _newest_first(community_id, limit, before).where(n.state == "sent")
    statement = statement.where(
        n.recipient_id == community_id if person_id is None else n.person_id == person_id
    )
    return await uow.rows(statement)


async def decisions_page(
    uow: UnitOfWork,
    community_id: UUID,
    outcome: str | None,
    *,
    limit: int,
    before: tuple[Any, ...] | None,
) -> Sequence[Row[Any]]:
    """Up to `limit` decisions of the guard, newest first; `outcome` is sent or suppressed."""
    statement = _newest_first(community_id, limit, before)
    if outcome is not None:
        statement = statement.where(tables.notification.c.state == outcome)
    return await uow.rows(statement)


def _newest_first(community_id: UUID, limit: int, before: tuple[Any, ...] | None) -> Select[Any]:
    n = tables.notification.c
    statement = (
        select(tables.notification)
        .where(n.community_id == community_id)
        .order_by(n.decided_at.desc(), n.id.desc())
        .limit(limit)
    )
    if before is None:
        return statement
    at, id_ = before
    return statement.where((n.decided_at < at) | ((n.decided_at == at) & (n.id < id_)))


async def unread_by_staff(uow: UnitOfWork, community_id: UUID, limit: int) -> Sequence[Row[Any]]:
    """Notices to the staff that nobody has read yet, oldest first.

    A brief asks for nothing, and what a reminder reminds of waits in its own service's list.
    """
    n = tables.notification.c
    statement = (
        select(tables.notification)
        .where(n.community_id == community_id, n.recipient_id == community_id)
        .where(n.state == "sent", n.read_at.is_(None), n.template.not_in(_NOT_WAITING))
        .order_by(n.decided_at, n.id)
        .limit(limit)
    )
    return await uow.rows(statement)


async def load_notification(
    uow: UnitOfWork, notification_id: UUID, *, lock: bool = False
) -> Row[Any] | None:
    """One notification; `lock` takes its ledger's row first, as every writer does."""
    if lock:
        await uow.execute(_LOCK_LEDGER, {"id": notification_id})
    statement = select(tables.notification).where(tables.notification.c.id == notification_id)
    return await uow.one_or_none(statement.with_for_update() if lock else statement)


async def mark(
    uow: UnitOfWork, notification_id: UUID, column: str, at: datetime, ledger_id: UUID
) -> int:
    """Set `advert_at` or `not_useful_at`; the notification's new sequence.

    The ledger takes up a message of class `account` too, once its reader called it an advert.
    """
    n = tables.notification
    statement = (
        n.update()
        .where(n.c.id == notification_id)
        .values({column: at, "ledger_id": ledger_id, "sequence": n.c.sequence + 1})
        .returning(n.c.sequence)
    )
    return int((await uow.execute(statement)).scalar_one())


async def set_read(uow: UnitOfWork, notification_id: UUID, at: datetime) -> None:
    """The first reading stands."""
    await uow.execute(_READ, {"id": notification_id, "at": at})


async def load_preference(
    uow: UnitOfWork, member_id: UUID, *, lock: bool = False
) -> Row[Any] | None:
    statement = select(tables.preference).where(tables.preference.c.member_id == member_id)
    return await uow.one_or_none(statement.with_for_update() if lock else statement)


async def save_preference(
    uow: UnitOfWork,
    member_id: UUID,
    community_id: UUID,
    unsubscribed: Sequence[str],
    resumed_at: datetime | None,
) -> int:
    """Save a member's wishes; the preference's new sequence."""
    values = {
        "member": member_id,
        "community": community_id,
        "unsubscribed": list(unsubscribed),
        "resumed_at": resumed_at,
    }
    return int((await uow.execute(_PREFER, values)).scalar_one())


async def not_useful_marks(uow: UnitOfWork, member_id: UUID) -> tuple[datetime, ...]:
    """When a member called offers not useful."""
    rows = await uow.rows(_NOT_USEFUL, {"member": member_id})
    return tuple(row.not_useful_at for row in rows)


async def publish_broadcast(uow: UnitOfWork, row: Mapping[str, Any]) -> bool:
    """Keep an offer or news; false if it was published before."""
    return bool(
        await bulk_insert(
            uow, tables.broadcast, [row], on_conflict_do_nothing=True, returning=("id",)
        )
    )


async def outcomes_of(uow: UnitOfWork, cause_id: UUID) -> dict[str, int]:
    """How many notifications of one cause ended for which reason."""
    rows = await uow.rows(_OUTCOMES, {"cause": cause_id})
    return {row.reason: row.total for row in rows}


async def secrets(uow: UnitOfWork) -> list[bytes]:
    """The keys of unsubscribe links, the one to sign with first."""
    return [bytes(row.secret) for row in await uow.rows(_SECRETS)]


_NOT_WAITING: Final = ("monday_brief", "suggestion_waits", "invitation_waits")
_LOCK_LEDGER: Final = text(
    "SELECT 1 FROM ledger WHERE id = (SELECT ledger_id FROM notification WHERE id = :id) FOR UPDATE"
)
_READ: Final = text("UPDATE notification SET read_at = coalesce(read_at, :at) WHERE id = :id")
_PREFER: Final = text(
    """
    INSERT INTO preference (member_id, community_id, unsubscribed, resumed_at, sequence)
    VALUES (:member, :community, CAST(:unsubscribed AS text[]), CAST(:resumed_at AS timestamptz), 1)
    ON CONFLICT (member_id) DO UPDATE SET unsubscribed = excluded.unsubscribed,
        resumed_at = coalesce(excluded.resumed_at, preference.resumed_at),
        sequence = preference.sequence + 1
    RETURNING sequence
    """
)
_NOT_USEFUL: Final = text(
    "SELECT not_useful_at FROM notification "
    "WHERE recipient_id = :member AND not_useful_at IS NOT NULL ORDER BY not_useful_at"
)
_OUTCOMES: Final = text(
    "SELECT reason, count(*) AS total FROM notification WHERE cause_id = :cause "
    "GROUP BY reason ORDER BY reason"
)
_SECRETS: Final = text("SELECT secret FROM unsubscribe_key ORDER BY id DESC")
