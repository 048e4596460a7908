"""Recognition on a database of its own, with one community and its people."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from math import inf

import pytest

from coterie_chassis.service import Service
from coterie_chassis.testing import harness
from coterie_recognition.handlers import refold
from coterie_recognition.service import service

from .circle import Circle

NOON = datetime(2026, 5, 20, 12, tzinfo=UTC)
KEYS = {"new": base64.b64encode(b"n" * 32).decode(), "old": base64.b64encode(b"o" * 32).decode()}


@pytest.fixture(autouse=True)
def _all_in_one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine, one turn reads everything again that is dirty."""
    monkeypatch.setattr(refold, "_TURN_S", inf)


@pytest.fixture
async def circle(
    fresh_database: Callable[[Service], Awaitable[str]],
) -> AsyncIterator[Circle]:
    """An open community on a driven clock, known to the service; nobody is in it yet.

    After each test the platform's auditor judges what was published.
    """
    settings = {"code_keys": KEYS, "refold_interval": 0}
    async with harness(service, await fresh_database(service), settings) as running:
        made = Circle(running, NOON)
        await made.open()
        yield made
        await made.audited()
