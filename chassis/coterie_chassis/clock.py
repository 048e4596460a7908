"""A community's clock as a command reads it, alone or with what the command is about.

A command that decides on one row joins `COLUMNS` to its query and so asks the database once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self
from uuid import UUID

from sqlalchemy import Row, text

from coterie_chassis.store import UnitOfWork
from coterie_contracts.community import ClockMode

__all__ = ["COLUMNS", "Clock", "read_clock"]

COLUMNS: Final = (
    "clock.brand_id, clock.mode, clock.now, clock.mode = 'driven' AND EXISTS ("
    "SELECT FROM deadline AS d WHERE d.community_id = clock.community_id AND d.due_at <= clock.now"
    ") AS is_behind"
)
"""For a query that joins `community_clock AS clock`."""


@dataclass(frozen=True, slots=True)
class Clock:
    """`now` is a driven clock's; `is_behind` says that a deadline is due by then."""

    brand_id: UUID | None
    mode: ClockMode
    now: datetime
    is_behind: bool

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """What a row says that has `COLUMNS`."""
        return cls(row.brand_id, ClockMode(row.mode), row.now, row.is_behind)


async def read_clock(uow: UnitOfWork, community_id: UUID) -> Clock | None:
    """The clock of a community that is known here; one statement."""
    row = await uow.one_or_none(_CLOCK, {"community": community_id})
    return None if row is None else Clock.of(row)


_CLOCK: Final = text(
    f"SELECT {COLUMNS} FROM community_clock AS clock "  # noqa: S608 - a constant
    "WHERE clock.community_id = :community"
)
