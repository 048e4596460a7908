"""Migrating is repeatable, and an older schema is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import text

from coterie_chassis.errors import OlderSchema
from coterie_chassis.migrate import check_schema, upgrade
from coterie_chassis.service import Service
from coterie_chassis.store import Database
from coterie_chassis.testing import Harness

from . import sample


async def test_migrating_twice_changes_nothing(h: Harness) -> None:
    await upgrade(h.database, sample.service)
    await check_schema(h.database, sample.service)


async def test_an_older_schema_is_refused_with_what_to_do(
    fresh_database: Callable[[Service], Awaitable[str]],
) -> None:
    database = Database(await fresh_database(sample.service), service="sample")
    async with database.begin() as uow:
        await uow.execute(text("DELETE FROM alembic_version WHERE version_num = 'sample_0001'"))

    with pytest.raises(OlderSchema, match=r"coterie-sample migrate"):
        await check_schema(database, sample.service)
    await database.close()
