"""The migrated schema is the declared one."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData, inspect

from coterie_chassis import tables as chassis_tables
from coterie_chassis.testing import Harness
from coterie_feedback.store import tables


async def test_a_migrated_database_is_what_the_tables_declare(h: Harness) -> None:
    def differences(connection: Connection) -> list[object]:
        both = MetaData()
        for metadata in (chassis_tables.metadata, tables.metadata):
            for table in metadata.tables.values():
                table.to_metadata(both)
        context = MigrationContext.configure(connection, opts={"include_object": _not_a_partition})
        return list(compare_metadata(context, both))

    async with h.database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_every_table_that_a_route_reads_has_its_community(h: Harness) -> None:
    def columns(connection: Connection) -> dict[str, set[str]]:
        inspector = inspect(connection)
        return {
            name: {column["name"] for column in inspector.get_columns(name)}
            for name in tables.metadata.tables
        }

    async with h.database.engine.connect() as connection:
        found = await connection.run_sync(columns)

    assert len(found) == 11
    assert {name for name, names in found.items() if "community_id" not in names} == set()


def _not_a_partition(_o: object, name: str | None, type_: str, *_: object) -> bool:
    prefixes = ("inbox_2", "outbox_archive_2", "alembic")
    return type_ != "table" or not (name or "").startswith(prefixes)
