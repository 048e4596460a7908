"""The migrated schema is the declared one."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData

from coterie_chassis import tables
from coterie_chassis.testing import Harness
from coterie_membership import store


async def test_a_migrated_database_is_what_the_tables_declare(h: Harness) -> None:
    def differences(connection: Connection) -> list[object]:
        both = MetaData()
        for metadata in (tables.metadata, store.metadata):
            for table in metadata.tables.values():
                table.to_metadata(both)
        context = MigrationContext.configure(connection, opts={"include_object": _declared})
        return list(compare_metadata(context, both))

    async with h.database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


def _declared(_o: object, name: str | None, type_: str, *_: object) -> bool:
    prefixes = ("inbox_2", "outbox_archive_2", "alembic")
    return type_ != "table" or not (name or "").startswith(prefixes)
