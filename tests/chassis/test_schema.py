"""The migrated schema is the declared one, and an older one is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData, text

from coterie_chassis import tables
from coterie_chassis.errors import OlderSchema
from coterie_chassis.migrate import check_schema, upgrade
from coterie_chassis.service import Service
from coterie_chassis.store import Database
from coterie_chassis.testing import Harness

from . import sample


async def test_a_migrated_database_is_what_the_tables_declare(h: Harness) -> None:
    def differences(connection: Connection) -> list[object]:
        both = MetaData()
        for metadata in (tables.metadata, sample.metadata):
            for table in metadata.tables.values():
                table.to_metadata(both)
        context = MigrationContext.configure(connection, opts={"include_object": _not_a_partition})
        return list(compare_metadata(context, both))

    async with h.database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


def _not_a_partition(_o: object, name: str | None, type_: str, *_: object) -> bool:
    prefixes = ("inbox_2", "outbox_archive_2", "alembic")
    return type_ != "table" or not (name or "").startswith(prefixes)


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
