"""What two runs of one history must have in common: every table, compared or excluded by name.

Rows are compared whole but for columns that hold the wall clock, a secret drawn at random or a
count of deliveries; each of those stands here with its reason. Ids that are derived from an event
have that event's recorded time in them, so they are replaced by what they stand for before rows
are ordered by their text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from coterie_chassis.service import Service
from coterie_contracts.envelope import Unreadable, decode
from coterie_feedback.service import service as feedback
from coterie_local.log import Record
from coterie_local.platform import SERVICES, Platform
from coterie_membership.service import service as membership
from coterie_notifications.service import service as notifications
from coterie_recognition.service import service as recognition

__all__ = ["LISTED", "Canonical", "Compared", "Excluded", "canonical", "differences", "tables_of"]

Canonical: TypeAlias = dict[str, list[str]]
"""Rows as text, ordered, by `service.table`."""


@dataclass(frozen=True, slots=True)
class Case:
    """Rows whose `column` has `value` leave more columns apart, each with its reason."""

    column: str
    value: Any
    apart: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Compared:
    """Compared in all columns but those of `apart`, each with its reason.

    `left_out`: rows that are not compared at all, by a column and its value, each with its reason.
    """

    apart: Mapping[str, str] = field(default_factory=dict)
    cases: tuple[Case, ...] = ()
    left_out: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def compares(self, row: Mapping[str, Any]) -> bool:
        return all(row[column] != value for column, value in self.left_out)


@dataclass(frozen=True, slots=True)
class Excluded:
    reason: str


Listed: TypeAlias = Mapping[str, Compared | Excluded]

_WHOLE: Final = Compared()
_WALL: Final = "the wall clock"
_DRAWN: Final = "drawn at random"
_LAST: Final = "the fact that makes up the number is the last to come, from several partitions"
_COUNTED: Final = ("helpful_tester", "helpful_rater")
"""Badges that several facts of one member earn together."""
_TOLD: Final = "what a person is told of comes from several topics, in the order of arrival"
_THEN: Final = "tells what had arrived from other services when it was due"
_SUMMARY: Final = "summaries are published as often as the refold finds a difference"

CHASSIS: Final[Listed] = {
    "outbox": _WHOLE,
    "outbox_archive": Excluded("the log, whose whole content the audit and `inbox` judge"),
    "inbox": _WHOLE,
    "dead_letter": Compared(
        {
            "id": "an identity column, which an undone attempt also counts",
            "kind": "of two events of one key on two topics, the one that arrives first fails",
            "error": "as of `kind`",
            "offset": "counts repeated deliveries too",
            "headers": "hold the recorded time and the trace",
            "digest": "of the headers",
            "stored_at": _WALL,
            "settled_at": _WALL,
        }
    ),
    "idempotency": Compared({"stored_at": _WALL}),
    "community_clock": _WHOLE,
    "deadline": _WHOLE,
    "failed_deadline": Compared(
        {"id": "an identity column", "stored_at": _WALL, "settled_at": _WALL}
    ),
    "applied_position": _WHOLE,
    "republish_request": Excluded("what operators asked for, and no effect of events"),
}
CIRCLE: Final[Listed] = {
    "member_copy": _WHOLE,
    "erased_member": _WHOLE,
    "community_copy": _WHOLE,
}
LISTED: Final[Mapping[str, Listed]] = {
    "membership": {
        **CHASSIS,
        "community": _WHOLE,
        "requirements": _WHOLE,
        "application": _WHOLE,
        "member": _WHOLE,
        "invitation": Compared({"token_hash": f"of a token {_DRAWN}"}),
        "erased": _WHOLE,
        "erased_application": _WHOLE,
        "incarnation": _WHOLE,
    },
    "feedback": {
        **CHASSIS,
        **CIRCLE,
        "feedback": _WHOLE,
        "feedback_text": _WHOLE,
        "feedback_change": _WHOLE,
        "implementation": _WHOLE,
        "look_again": _WHOLE,
        "comment": _WHOLE,
        "support": _WHOLE,
        "rating": _WHOLE,
        "appreciation": _WHOLE,
        "submission_day": _WHOLE,
        "campaign": _WHOLE,
    },
    "recognition": {
        **CHASSIS,
        **CIRCLE,
        "rating": _WHOLE,
        "appreciation": _WHOLE,
        "outcome": _WHOLE,
        "merit_dirty": Compared({"id": "an identity column"}),
        "merit_season": _WHOLE,
        "merit_standing": Compared({"sequence": _SUMMARY}),
        "badge": Compared(
            cases=tuple(Case("badge", name, {"changed_at": _LAST}) for name in _COUNTED)
        ),
        "badge_evidence": _WHOLE,
        "catalogue_item": _WHOLE,
        "reward_policy": _WHOLE,
        "reward_desk": _WHOLE,
        "budget": _WHOLE,
        "ledger_entry": Compared(
            {"cause_id": "of a deadline too, which has a reward's id and so a recorded time in it"}
        ),
        "code_pool": _WHOLE,
        "gift_code": Compared({"sealed": f"under a nonce {_DRAWN}"}),
        "reward": _WHOLE,
        "reveal": Compared({"id": "an identity column"}),
        "waiting_trigger": _WHOLE,
    },
    "notifications": {
        **CHASSIS,
        **CIRCLE,
        "notification": Compared(
            cases=(
                Case(
                    "notification_class",
                    "personal",
                    {"recipient_sequence": _TOLD, "answers": f"quote counts: {_TOLD}"},
                ),
                *(
                    Case("params", {"badge": name}, {"decided_at": _LAST, "local_day": _LAST})
                    for name in _COUNTED
                ),
                Case("template", "monday_brief", {"params": _THEN}),
            ),
            left_out={("template", "suggestion_waits"): _THEN},
        ),
        "ledger": _WHOLE,
        "preference": _WHOLE,
        "contact": _WHOLE,
        "unsubscribe_key": Excluded(f"a secret {_DRAWN}"),
        "guard_policy": _WHOLE,
        "broadcast": _WHOLE,
        "pending": Compared({"position": "an identity column"}),
        "standing": _WHOLE,
        "member_fact": _WHOLE,
        "look_again": _WHOLE,
        "seat_count": _WHOLE,
        "application": _WHOLE,
        "invitation": _WHOLE,
        "suggestion": _WHOLE,
        "reward_case": _WHOLE,
    },
}

_SERVICES: Final[Mapping[str, Service]] = {
    one.name: one for one in (membership, feedback, recognition, notifications)
}
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def tables_of(service: str) -> dict[str, Table]:
    """Every table that a service's code declares, the chassis's included."""
    return _SERVICES[service].tables()


async def canonical(platform: Platform, records: Iterable[Record]) -> Canonical:
    """The compared content of all four databases; `records` is the log, which names events."""
    rows = {service: await _read(platform, service) for service in SERVICES}
    names = _Names(records, rows)
    return {
        f"{service}.{name}": sorted(
            _text_of(row, listed, names) for row in rows[service][name] if listed.compares(row)
        )
        for service in SERVICES
        for name in rows[service]
        if isinstance(listed := LISTED[service][name], Compared)
    }


def differences(one: Canonical, other: Canonical, *, most: int = 4) -> list[str]:
    """Each table that differs with the first rows that only one side has; empty when equal."""
    found = []
    for name in sorted(one.keys() | other.keys()):
        left, right = one.get(name, []), other.get(name, [])
        if left == right:
            continue
        missing = [row for row in left if row not in right][:most]
        added = [row for row in right if row not in left][:most]
        told = [f"  - {row}" for row in missing] + [f"  + {row}" for row in added]
        found.append("\n".join([f"{name}: {len(left)} rows, then {len(right)}", *told]))
    return found


class _Names:
    """What stands for an id that has a recorded time somewhere in its derivation."""

    def __init__(
        self, records: Iterable[Record], rows: Mapping[str, Mapping[str, list[dict[str, Any]]]]
    ) -> None:
        self._described: dict[str, str] = {}
        self._resolved: dict[str, str] = {}
        for record in records:
            try:
                event = decode(record.topic, record.headers, record.value)
            except Unreadable:
                continue
            about = f"{event.topic} of {event.subject} #{event.sequence}"
            self._described[str(event.id)] = f"<{about}>"
        for row in rows["recognition"]["reward"]:
            about = f"{row['policy_id']} {row['member_id']} {row['cause_id']}"
            self._described[str(row["reward_id"])] = f"<reward {about}>"
        for row in rows["notifications"]["notification"]:
            about = f"{row['recipient_id']} {row['template']} {row['cause_id']}"
            self._described[str(row["id"])] = f"<notice {about}>"

    def applied_to(self, text: str) -> str:
        return _UUID.sub(lambda found: self._name(found[0]), text)

    def _name(self, one: str) -> str:
        if one not in self._resolved:
            self._resolved[one] = one
            if one in self._described:
                self._resolved[one] = self.applied_to(self._described[one])
        return self._resolved[one]


async def _read(platform: Platform, service: str) -> dict[str, list[dict[str, Any]]]:
    url = platform.environment(service)["COTERIE_DATABASE_URL"]
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1))
    try:
        async with engine.connect() as connection:
            return {
                name: await _rows(connection, table)
                for name, table in tables_of(service).items()
                if isinstance(LISTED[service][name], Compared)
            }
    finally:
        await engine.dispose()


async def _rows(connection: AsyncConnection, table: Table) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in await connection.execute(select(table))]


def _text_of(row: Mapping[str, Any], listed: Compared, names: _Names) -> str:
    apart = set(listed.apart)
    for case in listed.cases:
        if row[case.column] == case.value:
            apart |= set(case.apart)
    shown = {name: _plain(value) for name, value in row.items() if name not in apart}
    return names.applied_to(repr(shown))


def _plain(value: Any) -> Any:
    if isinstance(value, UUID | datetime):
        return str(value)
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in sorted(value.items())}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value
