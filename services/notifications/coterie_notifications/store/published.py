"""The guard's ledger as its own events tell it, for making it again.

A mark is published after what it marks, so it finds its row.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from coterie_chassis.decisions import member_id_of
from coterie_chassis.store import UnitOfWork, bulk_insert, bulk_upsert
from coterie_contracts.envelope import Event
from coterie_contracts.notification import (
    NotificationClass,
    NotificationFacts,
    NotificationMarked,
    NotificationSent,
    NotificationSuppressed,
)
from coterie_notifications.domain.quiet_hours import Zone, local_day
from coterie_notifications.store import tables
from coterie_notifications.store.notices import ledger_id_of
from coterie_notifications.store.recipients import erased_among

__all__ = ["enter", "mark"]

_NOT_TOLD: Final = ("", date(1970, 1, 1))


async def enter(uow: UnitOfWork, events: Iterable[Event[NotificationFacts]]) -> None:
    """Rows of what was sent and withheld, and the highest number of each ledger."""
    told = {event.data.notification_id: event for event in events}
    people = {id_: _member_of(event.data) for id_, event in told.items()}
    erased = await erased_among(uow, [id_ for id_ in people.values() if id_ is not None])
    rows = [_row(event) for id_, event in sorted(told.items()) if people[id_] not in erased]
    await bulk_insert(uow, tables.notification, rows, on_conflict_do_nothing=True)
    highest: dict[UUID, int] = {}
    for row in rows:
        if (ledger_id := row["ledger_id"]) is not None:
            number = row["recipient_sequence"] or 0
            highest[ledger_id] = max(number, highest.get(ledger_id, 0))
    await _raise_ledgers(uow, highest)


async def mark(uow: UnitOfWork, events: Iterable[Event[NotificationMarked]]) -> None:
    """What readers said of messages; their ledger takes up one of class `account` too."""
    told = list(events)
    ids = sorted({event.data.notification_id for event in told})
    rows = await uow.rows(_PEOPLE, {"ids": ids})
    people = {row.id: row.person_id for row in rows}
    marks = [event for event in told if event.data.notification_id in people]
    if not marks:
        return
    ledgers = [
        ledger_id_of(e.brand_id, e.data.community_id, people[e.data.notification_id]) for e in marks
    ]
    await _raise_ledgers(uow, dict.fromkeys(ledgers, 0))
    await uow.execute(
        _MARK,
        {
            "ids": [event.data.notification_id for event in marks],
            "marks": [event.data.mark for event in marks],
            "moments": [event.time for event in marks],
            "ledgers": ledgers,
            "sequences": [event.sequence or 0 for event in marks],
        },
    )


def _member_of(data: NotificationFacts) -> UUID | None:
    """The member that a message is about; none of one to the staff."""
    return None if data.person_id is None else member_id_of(data.community_id, data.person_id)


def _row(event: Event[NotificationFacts]) -> dict[str, Any]:
    data = event.data
    counted = (
        data.person_id is not None and data.notification_class is not NotificationClass.ACCOUNT
    )
    row: dict[str, Any] = {
        "id": data.notification_id,
        "community_id": data.community_id,
        "recipient_id": data.recipient_id,
        "person_id": data.person_id,
        "ledger_id": (
            ledger_id_of(event.brand_id, data.community_id, data.person_id)
            if counted and data.person_id is not None
            else None
        ),
        "notification_class": data.notification_class.value,
        "template": data.template,
        "cause_id": data.cause_id,
        "priority": 0,
        "state": "suppressed",
        "reason": "",
        "channel": None,
        "decided_at": event.time,
        "params": {},
        "answers": [],
        "policy_version": data.policy_version,
        "time_zone": _NOT_TOLD[0],
        "local_day": _NOT_TOLD[1],
        "recipient_sequence": None,
        "sequence": event.sequence or 0,
    }
    if isinstance(data, NotificationSuppressed):
        row["reason"] = data.reason.value
    elif isinstance(data, NotificationSent):
        row |= {
            "state": "sent",
            "reason": data.reason.value,
            "channel": data.channel.value,
            "decided_at": data.sent_at,
            "time_zone": data.time_zone,
            "local_day": local_day(data.sent_at, Zone(data.time_zone)),
            "recipient_sequence": data.recipient_sequence,
        }
    return row


async def _raise_ledgers(uow: UnitOfWork, highest: dict[UUID, int]) -> None:
    rows = [{"id": id_, "sequence": number} for id_, number in sorted(highest.items())]
    await bulk_upsert(
        uow, tables.ledger, rows, keys=("id",), where="excluded.sequence > ledger.sequence"
    )


_PEOPLE: Final = text(
    "SELECT id, person_id FROM notification "
    "WHERE id = ANY(CAST(:ids AS uuid[])) AND person_id IS NOT NULL"
)
_MARK: Final = text(
    """
    UPDATE notification AS n SET
        ledger_id = told.ledger_id,
        advert_at = coalesce(n.advert_at, told.advert_at),
        not_useful_at = coalesce(n.not_useful_at, told.not_useful_at),
        sequence = greatest(n.sequence, told.sequence)
    FROM (
        SELECT id, CAST(min(CAST(ledger_id AS text)) AS uuid) AS ledger_id,
            max(sequence) AS sequence,
            min(at) FILTER (WHERE mark = 'advert') AS advert_at,
            min(at) FILTER (WHERE mark = 'not_useful') AS not_useful_at
        FROM unnest(
            CAST(:ids AS uuid[]), CAST(:marks AS text[]), CAST(:moments AS timestamptz[]),
            CAST(:ledgers AS uuid[]), CAST(:sequences AS bigint[])
        ) AS one(id, mark, at, ledger_id, sequence)
        GROUP BY id
    ) AS told
    WHERE n.id = told.id
    """
)
