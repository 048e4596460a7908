"""Every table of suggestions belongs to a community."""

from __future__ import annotations

from sqlalchemy import Connection, inspect

from coterie_chassis.testing import Harness
from coterie_feedback.store import tables


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
