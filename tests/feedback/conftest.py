"""A feedback service on a database of its own, for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from coterie_chassis.service import Service
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
