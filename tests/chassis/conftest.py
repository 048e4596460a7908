"""The sample service on a database of its own, for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID, uuid4

import pytest

from coterie_chassis.service import Service
from coterie_chassis.testing import Harness, harness

from . import sample


@pytest.fixture
async def h(fresh_database: Callable[[Service], Awaitable[str]]) -> AsyncIterator[Harness]:
    sample.mend()
    async with harness(sample.service, await fresh_database(sample.service)) as running:
        yield running


@pytest.fixture
async def community(h: Harness) -> UUID:
    """A community on the wall clock that the service has heard of."""
    community_id = uuid4()
    await h.know(community_id)
    return community_id
