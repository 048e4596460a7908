"""What was sent, what was withheld, and what waits for somebody not seen yet.

A person's ledger row is locked while the guard decides on anything that counts, so that two
decisions about one person never see the same count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import Row, text

from coterie_chassis.decisions import derived_id
from coterie_chassis.store import UnitOfWork, bulk_insert, bulk_upsert
from coterie_contracts.notification import NotificationClass
from coterie_notifications.domain.decision import Decision
from coterie_notifications.domain.ledger import Entry, Ledger
from coterie_notifications.domain.notice import Notice
from coterie_notifications.domain.quiet_hours import local_day
from coterie_notifications.store import tables

__all__ = [
    "known_among",
    "ledger_id_of",
    "load_ledgers",
    "postpone",
    "save_decisions",
    "take_postponed",
]

_NOTICE: Final[TypeAdapter[Notice]] = TypeAdapter(Notice)


def ledger_id_of(brand_id: UUID | None, community_id: UUID, person_id: UUID) -> UUID:
    """One ledger for a person in all communities of a brand."""
    return derived_id("ledger", brand_id or community_id, person_id)


async def load_ledgers(
    uow: UnitOfWork, ids: Collection[UUID], since: datetime, *, lock: bool = True
) -> dict[UUID, Ledger]:
    """The ledgers with their entries after `since`, locked in id order; three statements."""
    if not ids:
        return {}
    values = {"ids": sorted(ids)}
    if lock:
        await uow.execute(_ENSURE, values)
    sequences = {row.id: row.sequence for row in await uow.rows(_LOCK if lock else _PEEK, values)}
    entries: dict[UUID, list[Entry]] = defaultdict(list)
    for row in await uow.rows(_ENTRIES, {**values, "since": since}):
        entries[row.ledger_id].append(_entry(row))
    return {id_: Ledger(id_, tuple(entries[id_]), sequences.get(id_, 0)) for id_ in ids}


async def known_among(uow: UnitOfWork, ids: Collection[UUID]) -> set[UUID]:
    """Those notifications that were decided before."""
    if not ids:
        return set()
    return {row.id for row in await uow.rows(_KNOWN, {"ids": sorted(ids)})}


async def save_decisions(
    uow: UnitOfWork,
    decisions: Sequence[tuple[Decision, UUID | None, int | None]],
    ledgers: Mapping[UUID, Ledger],
) -> set[UUID]:
    """Save (decision, ledger, sequence in it); returns the notifications that are new."""
    rows = [_row(*one) for one in decisions]
    saved = await bulk_insert(
        uow, tables.notification, rows, on_conflict_do_nothing=True, returning=("id",)
    )
    touched = sorted({ledger for _, ledger, number in decisions if ledger and number})
    await bulk_upsert(
        uow,
        tables.ledger,
        [{"id": id_, "sequence": ledgers[id_].sequence} for id_ in touched],
        keys=("id",),
    )
    return {row.id for row in saved}


async def postpone(uow: UnitOfWork, waiting: Sequence[tuple[UUID, Notice]]) -> None:
    """Keep (what it waits for, notice) until that is seen; one statement."""
    rows = [
        {
            "id": notice.id,
            "waits_for": waits_for,
            "community_id": notice.community_id,
            "notice": dump_notice(notice),
        }
        for waits_for, notice in waiting
    ]
    await bulk_insert(uow, tables.pending, rows, on_conflict_do_nothing=True)


async def take_postponed(uow: UnitOfWork, seen: Collection[UUID]) -> list[Notice]:
    """The notices that waited for what has been seen now, in their order of arrival."""
    if not seen:
        return []
    rows = await uow.rows(_TAKE, {"ids": sorted(seen)})
    return [load_notice(row.notice) for row in sorted(rows, key=lambda row: row.position)]


def dump_notice(notice: Notice) -> Any:
    """The notice with its cause as JSON, so that a late decision is the same decision."""
    return _NOTICE.dump_python(notice, mode="json")


def load_notice(raw: Any) -> Notice:
    return _NOTICE.validate_python(raw)


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        notification_id=row.id,
        recipient_id=row.recipient_id,
        notification_class=NotificationClass(row.notification_class),
        sent_at=row.decided_at,
        local_day=row.local_day,
        advert_at=row.advert_at,
    )


def _row(decision: Decision, ledger_id: UUID | None, number: int | None) -> dict[str, Any]:
    notice = decision.notice
    return {
        "id": notice.id,
        "community_id": notice.community_id,
        "recipient_id": notice.recipient_id,
        "person_id": notice.person_id,
        "ledger_id": ledger_id,
        "notification_class": notice.notification_class.value,
        "template": notice.template,
        "cause_id": notice.cause_id,
        "about": notice.about,
        "priority": notice.priority.value,
        "state": "sent" if decision.sent else "suppressed",
        "reason": decision.reason.value,
        "channel": decision.deliveries[0].channel.value if decision.sent else None,
        "decided_at": notice.at,
        "params": notice.params,
        "answers": [
            {"step": answer.step.value, "passed": answer.passed, "says": answer.says}
            for answer in decision.answers
        ],
        "policy_version": decision.policy_version,
        "time_zone": decision.zone.name,
        "local_day": local_day(notice.at, decision.zone),
        "recipient_sequence": number,
        "sequence": 1,
    }


_ENSURE: Final = text(
    "INSERT INTO ledger (id) SELECT unnest(CAST(:ids AS uuid[])) ON CONFLICT DO NOTHING"
)
_LOCK: Final = text(
    "SELECT id, sequence FROM ledger WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE"
)
_PEEK: Final = text("SELECT id, sequence FROM ledger WHERE id = ANY(CAST(:ids AS uuid[]))")
_ENTRIES: Final = text(
    "SELECT id, ledger_id, recipient_id, notification_class, decided_at, local_day, advert_at "
    "FROM notification WHERE ledger_id = ANY(CAST(:ids AS uuid[])) AND state = 'sent' "
    "AND decided_at > :since ORDER BY ledger_id, recipient_sequence"
)
_KNOWN: Final = text("SELECT id FROM notification WHERE id = ANY(CAST(:ids AS uuid[]))")
_TAKE: Final = text(
    "DELETE FROM pending WHERE waits_for = ANY(CAST(:ids AS uuid[])) RETURNING position, notice"
)
