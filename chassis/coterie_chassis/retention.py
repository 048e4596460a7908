"""What is kept for a while and then deleted, in small batches that hold no lock for long.

Idempotency keys outlive any client's retries; ids are derived from the key, so a later repeat meets
the natural keys of what it made. Settled dead letters and deadlines stay for whoever asks why.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from coterie_chassis.store import Database

if TYPE_CHECKING:
    from coterie_chassis.settings import ChassisSettings

__all__ = ["prune"]

_BATCH: Final = 5_000


async def prune(database: Database, settings: ChassisSettings) -> int:
    """Delete what is older than its retention; returns how many rows. One transaction a batch."""
    deleted = 0
    for table, column, settled, days in (
        ("idempotency", "stored_at", "", settings.idempotency_retention_days),
        ("dead_letter", "settled_at", _SETTLED, settings.settled_retention_days),
        ("failed_deadline", "settled_at", _SETTLED, settings.settled_retention_days),
        ("republish_request", "served_at", "", settings.settled_retention_days),
    ):
        statement = text(
            f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} "  # noqa: S608 - names of ours
            f"WHERE {column} < :horizon {settled} LIMIT :batch FOR UPDATE SKIP LOCKED)"
        )
        while True:
            async with database.begin() as uow:
                values = {"horizon": uow.now - timedelta(days=days), "batch": _BATCH}
                gone = (await uow.execute(statement, values)).rowcount
            deleted += gone
            if gone < _BATCH:
                break
    return deleted


_SETTLED: Final = "AND state <> 'open'"
