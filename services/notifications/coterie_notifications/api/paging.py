"""Cursors over notifications, newest first: the time and id of the last one seen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from coterie_chassis.http import Call


def position(call: Call) -> tuple[Any, ...] | None:
    """Where the page begins, a time and an id. Raises `Refusal` for a cursor that is not ours."""
    return call.page.after(at=datetime, id=UUID)


def following(rows: Sequence[Row[Any]], limit: int) -> dict[str, str] | None:
    """The cursor after `limit` rows, where there is one row more."""
    if len(rows) <= limit:
        return None
    last = rows[limit - 1]
    return {"at": last.decided_at.isoformat(), "id": str(last.id)}
