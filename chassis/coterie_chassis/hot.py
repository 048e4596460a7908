"""Statements that are worth a call of the driver's own: named, few, and counted by a test.

SQLAlchemy takes longer to send a short statement than PostgreSQL to answer it. A hot statement
goes to the driver's connection below SQLAlchemy's pool, inside the unit of work's transaction, so
it commits and rolls back with everything else. Whoever counts statements sees it like any other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["Hot", "run_hot"]

_NAME: Final = re.compile(r"(?<![:\w]):([a-z_]+)")


@dataclass(frozen=True, slots=True)
class Hot:
    """A statement with `:names`, one row at most; PostgreSQL infers what each value is."""

    name: str
    sql: str
    driver_sql: str = field(init=False)
    parameters: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        names = tuple(dict.fromkeys(_NAME.findall(self.sql)))
        numbered = _NAME.sub(lambda found: f"${names.index(found[1]) + 1}", self.sql)
        object.__setattr__(self, "parameters", names)
        object.__setattr__(self, "driver_sql", numbered)


async def run_hot(connection: AsyncConnection, hot: Hot, values: Mapping[str, Any]) -> Any:
    """The row that a hot statement returns, by attributes, or None.

    The transaction must have begun. Raises `asyncpg.PostgresError`, and `ConnectionError` where
    the connection is gone.
    """
    given = [values[name] for name in hot.parameters]
    for note in connection.sync_connection.dispatch.before_cursor_execute:  # type: ignore[union-attr]
        note(connection.sync_connection, None, hot.driver_sql, given, None, False)
    raw = await connection.get_raw_connection()
    driver = raw.driver_connection
    if driver is None:
        raise ConnectionError("the database was lost")
    try:
        found = await driver.fetchrow(hot.driver_sql, *given)
    except asyncpg.InterfaceError as error:
        raise ConnectionError("the database was lost") from error
    return None if found is None else SimpleNamespace(**found)
