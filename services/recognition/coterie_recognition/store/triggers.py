"""Events that refer to a member or community not heard of yet wait here, and keep their cause."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import text

from coterie_chassis.store import UnitOfWork, bulk_insert
from coterie_recognition.domain.rewards import Trigger
from coterie_recognition.store import tables

__all__ = ["keep_waiting", "take_waiting"]

_TRIGGER: Final = TypeAdapter(Trigger)


async def keep_waiting(uow: UnitOfWork, waiting: Iterable[tuple[Trigger, UUID]]) -> None:
    """Keep triggers with the member or community that each waits for; one statement."""
    rows: list[dict[str, Any]] = [
        {
            "event_id": trigger.cause.id,
            "waits_for": waits_for,
            "trigger": _TRIGGER.dump_python(trigger, mode="json"),
        }
        for trigger, waits_for in waiting
    ]
    await bulk_insert(uow, tables.waiting_trigger, rows, on_conflict_do_nothing=True)


async def take_waiting(uow: UnitOfWork, arrived: Collection[UUID]) -> list[Trigger]:
    """What waited for these, in the order of what happened; one statement."""
    rows = await uow.rows(_TAKE, {"ids": sorted(arrived)})
    triggers = {row.event_id: _TRIGGER.validate_python(row.trigger) for row in rows}
    return sorted(triggers.values(), key=lambda t: (t.cause.at, t.cause.id))


_TAKE: Final = text(
    "DELETE FROM waiting_trigger WHERE waits_for = ANY(CAST(:ids AS uuid[])) "
    "RETURNING event_id, trigger"
)
