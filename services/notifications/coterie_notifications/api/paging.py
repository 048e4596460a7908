"""Cursors over notifications, newest first: the time and id of the last one seen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from coterie_chassis.decisions import Refusal
from coterie_chassis.http import Call


def position(call: Call) -> tuple[datetime, UUID] | None:
    """Where the page begins. Raises `Refusal` for a cursor that this service did not make."""
    if (cursor := call.page.cursor) is None:
        return None
    try:
        return datetime.fromisoformat(cursor["at"]), UUID(cursor["id"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Refusal("invalid-cursor", "Send the cursor that a page gave.", status=400) from None


def following(rows: Sequence[Row[Any]], limit: int) -> dict[str, str] | None:
    """The cursor after `limit` rows, where there is one row more."""
    if len(rows) <= limit:
        return None
    last = rows[limit - 1]
    return {"at": last.decided_at.isoformat(), "id": str(last.id)}
