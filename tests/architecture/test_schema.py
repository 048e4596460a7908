"""A migrated database is what the service's tables declare."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData

from coterie_chassis.service import Service
from coterie_chassis.store import Database
from tests.architecture.test_shape import SERVICES, service_of
from tests.chassis import sample

ALL = {name: service_of(name) for name in SERVICES} | {"sample": sample.service}


@pytest.mark.parametrize("name", ALL)
async def test_a_migrated_database_is_what_the_tables_declare(
    name: str, fresh_database: Callable[[Service], Awaitable[str]]
) -> None:
    service = ALL[name]
    declared = MetaData()
    for table in service.tables().values():
        table.to_metadata(declared)

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"include_object": _not_a_partition})
        return list(compare_metadata(context, declared))

    database = Database(await fresh_database(service), service=name)
    try:
        async with database.engine.connect() as connection:
            assert await connection.run_sync(differences) == []
    finally:
        await database.close()


def _not_a_partition(_o: object, name: str | None, type_: str, *_: object) -> bool:
    prefixes = ("inbox_2", "outbox_archive_2", "alembic")
    return type_ != "table" or not (name or "").startswith(prefixes)
