"""Migrating is repeatable, and an older schema is refused."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest
from alembic import command
from sqlalchemy import Connection, make_url, select, text

from coterie_chassis import migrate
from coterie_chassis.errors import OlderSchema
from coterie_chassis.migrate import check_schema, upgrade
from coterie_chassis.outbox import message_of
from coterie_chassis.service import Service
from coterie_chassis.store import Database
from coterie_chassis.tables import outbox
from coterie_chassis.testing import Harness

from . import sample


async def test_migrating_twice_changes_nothing(h: Harness) -> None:
    await upgrade(h.database, sample.service)
    await check_schema(h.database, sample.service)


async def test_rows_of_an_older_outbox_are_sent_with_the_headers_that_they_had(
    postgres_url: str,
) -> None:
    headers = [["ce_id", "1"], ["ce_actor", "Zoë\\ \n"], ["traceparent", "00-1"]]
    name = f"test_older_{uuid4().hex[:12]}"
    admin = Database(postgres_url, service="admin")
    async with admin.engine.connect() as connection:
        alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await alone.execute(text(f'CREATE DATABASE "{name}"'))
    await admin.close()
    url = make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    database = Database(url, service="sample")
    async with database.engine.begin() as connection:
        await connection.run_sync(_upgrade_to, "chassis_0002")
        await connection.execute(text(OLDER_ROW), {"headers": json.dumps(headers)})

    await upgrade(database, sample.service)

    async with database.begin() as uow:
        (row,) = await uow.rows(select(outbox))
    await database.close()
    told = message_of(row.topic, row.key, row.headers, row.value)
    assert [[name, value.decode()] for name, value in told.headers] == headers


OLDER_ROW = """
INSERT INTO outbox (event_id, topic, key, headers, value)
VALUES (uuidv7(), 't', 'k', CAST(:headers AS jsonb), NULL)
"""


def _upgrade_to(connection: Connection, revision: str) -> None:
    config = migrate._config(sample.service)
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


async def test_an_older_schema_is_refused_with_what_to_do(
    fresh_database: Callable[[Service], Awaitable[str]],
) -> None:
    database = Database(await fresh_database(sample.service), service="sample")
    async with database.begin() as uow:
        await uow.execute(text("DELETE FROM alembic_version WHERE version_num = 'sample_0001'"))

    with pytest.raises(OlderSchema, match=r"coterie-sample migrate"):
        await check_schema(database, sample.service)
    await database.close()
