"""A feedback service on a database of its own, for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from coterie_chassis.service import Service
from coterie_chassis.tables import idempotency
from coterie_chassis.testing import Harness, harness
from coterie_feedback.service import service

from .world import World


@pytest.fixture
async def h(fresh_database: Callable[[Service], Awaitable[str]]) -> AsyncIterator[Harness]:
    async with harness(service, await fresh_database(service)) as running:
        yield running


@pytest.fixture
async def world(h: Harness) -> World:
    """A community with four members."""
    made = World(h)
    await made.begin("ann", "bob", "cem", "dee")
    return made


@pytest.fixture
def forget_keys(h: Harness) -> Callable[[], Awaitable[None]]:
    """Drops the stored outcomes of commands, as their retention does."""

    async def drop() -> None:
        async with h.database.begin() as uow:
            await uow.execute(idempotency.delete())

    return drop
