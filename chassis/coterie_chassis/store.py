"""One transaction at a time, and nothing else commits.

A `UnitOfWork` gathers what a decision publishes and schedules; both reach the database in one
statement each just before the commit, so state and events stand or fall together.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import lru_cache
from ssl import SSLContext
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy import Column, Executable, Row, Table, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import CursorResult, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from coterie_chassis import outbox, tables
from coterie_chassis.decisions import Cause, Draft, Refusal
from coterie_chassis.errors import CommitUncertain, is_lost_connection, is_transient
from coterie_chassis.hot import Hot, run_hot

__all__ = [
    "SESSION",
    "Database",
    "Opening",
    "SilentUnitOfWork",
    "UnitOfWork",
    "bulk_insert",
    "bulk_upsert",
]

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None
Opening = tuple[Executable, Mapping[str, Any]]

SESSION: Final = {
    "idle_in_transaction_session_timeout": "10s",
    "lock_timeout": "5s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "jit": "off",
    "work_mem": "16MB",
    "timezone": "UTC",
}


async def _connect(*arguments: Any, **options: Any) -> asyncpg.Connection[Any]:
    """Connect. A network without a way, or a socket that is gone, is a database that is away."""
    try:
        connection: asyncpg.Connection[Any] = await asyncpg.connect(*arguments, **options)
    except OSError as error:
        if is_transient(error):
            raise
        raise ConnectionError(f"the database is away: {error}") from error
    return connection


class UnitOfWork:
    """One transaction. Handlers and commands receive it; the chassis opens and commits it."""

    def __init__(
        self,
        connection: AsyncConnection,
        service: str,
        now: datetime,
        opened: Row[Any] | None = None,
    ) -> None:
        self.now = now
        self.opened = opened
        self.service = service
        self.connection = connection
        self.refusals: list[tuple[UUID, Refusal]] = []
        self._outgoing: list[dict[str, Any]] = []
        self._scheduled: dict[tuple[str, UUID], dict[str, Any] | None] = {}
        self._outcome: dict[str, Any] | None = None
        self._published = False

    async def execute(
        self, statement: Executable, parameters: Parameters = None
    ) -> CursorResult[Any]:
        return await self.connection.execute(statement, parameters)

    async def rows(
        self, statement: Executable, parameters: Parameters = None
    ) -> Sequence[Row[Any]]:
        return (await self.execute(statement, parameters)).all()

    async def one_or_none(
        self, statement: Executable, parameters: Parameters = None
    ) -> Row[Any] | None:
        return (await self.execute(statement, parameters)).one_or_none()

    async def hot(self, statement: Hot, values: Mapping[str, Any]) -> Any:
        """The one row of a hot statement, by attributes, or None."""
        return await run_hot(self.connection, statement, values)

    def publish(self, cause: Cause, *drafts: Draft) -> None:
        """Publish `drafts` with this transaction; raises `Refusal` for an oversize event."""
        self._outgoing.extend(
            outbox.row_of(draft, cause, service=self.service, now=self.now) for draft in drafts
        )

    def schedule(self, kind: str, aggregate_id: UUID, community_id: UUID, due_at: datetime) -> None:
        """Set the deadline of `kind` for an aggregate, replacing an earlier one."""
        self._scheduled[kind, aggregate_id] = {
            "kind": kind,
            "aggregate_id": aggregate_id,
            "community_id": community_id,
            "due_at": due_at,
        }

    def cancel(self, kind: str, aggregate_id: UUID) -> None:
        """Drop the deadline of `kind` for an aggregate, if there is one."""
        self._scheduled[kind, aggregate_id] = None

    def settle(self, outcome: Mapping[str, Any]) -> None:
        """Store what came of a command beside its key, with what is published; the last stands.

        `outcome` has the columns of `idempotency` but `digest` and `stored_at`.
        """
        self._outcome = dict(outcome)

    def refuse(self, event: Any, refusal: Refusal) -> None:
        """Make a consumed event a dead letter; its neighbours in the batch are untouched."""
        self.refusals.append((event.id, refusal))

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo what happens inside, published and scheduled included, when it raises."""
        outgoing, scheduled = list(self._outgoing), dict(self._scheduled)
        refusals, published = len(self.refusals), self._published
        try:
            async with self.connection.begin_nested():
                yield
        except BaseException:
            self._outgoing, self._scheduled = outgoing, scheduled
            self._published = published
            del self.refusals[refusals:]
            raise

    async def flush_deadlines(self) -> None:
        """Write what was scheduled and cancelled so far, one statement each."""
        if cancelled := [key for key, row in self._scheduled.items() if row is None]:
            await self.execute(
                _CANCEL,
                {"kinds": [kind for kind, _ in cancelled], "ids": [id_ for _, id_ in cancelled]},
            )
        rows = [row for row in self._scheduled.values() if row is not None]
        self._scheduled = {}
        await bulk_upsert(self, tables.deadline, rows, keys=("kind", "aggregate_id"))

    async def flush(self) -> bool:
        """Write all that waits for the commit; true if this transaction has published."""
        if self._scheduled:
            await self.flush_deadlines()
        rows, self._outgoing = self._outgoing, []
        outcome, self._outcome = self._outcome, None
        if outcome is not None and not rows:
            await self.execute(_SETTLE, outcome)
        else:
            await bulk_insert(self, tables.outbox, rows, beside=_SETTLED, values=outcome)
        self._published |= bool(rows)
        return self._published


class SilentUnitOfWork(UnitOfWork):
    """Writes state and has no outbox: what it is told to publish is dropped."""

    def publish(self, cause: Cause, *drafts: Draft) -> None:
        """Drop `drafts`."""


class Database:
    """A service's own PostgreSQL. `on_publish` is rung after a commit that published.

    With `shadow` it works in that schema alone and publishes nothing; a crash may cost its latest
    commits.
    """

    def __init__(
        self,
        url: str,
        *,
        service: str,
        pool_size: int = 12,
        tls: SSLContext | None = None,
        shadow: str | None = None,
    ) -> None:
        self.service = service
        self.tls_options: dict[str, Any] = {} if tls is None else {"ssl": tls}
        self._unit_of_work = UnitOfWork if shadow is None else SilentUnitOfWork
        apart = {} if shadow is None else {"search_path": shadow, "synchronous_commit": "off"}
        self.url = make_url(url).set(drivername="postgresql+asyncpg")
        self.engine: AsyncEngine = create_async_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=10,
            pool_pre_ping=False,
            hide_parameters=True,
            connect_args={
                "server_settings": {**SESSION, **apart, "application_name": f"coterie-{service}"},
                "timeout": 10,
                "async_creator_fn": _connect,
                **self.tls_options,
            },
        )
        self.on_publish: Callable[[], None] = lambda: None

    @asynccontextmanager
    async def begin(self, opening: Opening | None = None) -> AsyncIterator[UnitOfWork]:
        """A unit of work that commits at the end of the block and rolls back on an error.

        `opening` is its first statement with parameters, one that returns one row with the
        database's `now`; the row is the unit's `opened`. Raises `CommitUncertain` where the
        connection is lost while it commits.
        """
        committing = False
        async with self.engine.connect() as connection:
            try:
                async with connection.begin():
                    opened = (await connection.execute(*(opening or (_NOW, None)))).one()
                    work = self._unit_of_work(connection, self.service, opened.now, opened)
                    yield work
                    published = await work.flush()
                    committing = True
            except (DBAPIError, OSError) as error:
                if committing and is_lost_connection(error):
                    raise CommitUncertain("the database was lost during a commit") from error
                raise
            if published:
                self.on_publish()

    async def ping(self) -> None:
        """Raise if the database does not answer."""
        async with asyncio.timeout(2), self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        await self.engine.dispose()


_NOW: Final = text("SELECT now()")
_SETTLED: Final = (
    "UPDATE idempotency SET status = :status, aggregate_id = :aggregate_id, "
    "version = :version, sequence = :sequence WHERE id = :id"
)
_SETTLE: Final = text(_SETTLED)
# Skips a deadline that a sweep has taken: the sweep holds that row and waits for the aggregate that
# this transaction holds, and its handler looks at the state again anyway.
_CANCEL: Final = text(
    "DELETE FROM deadline WHERE (kind, aggregate_id) IN (SELECT kind, aggregate_id FROM deadline "
    "JOIN unnest(CAST(:kinds AS text[]), CAST(:ids AS uuid[])) AS gone (kind, aggregate_id) "
    "USING (kind, aggregate_id) FOR UPDATE OF deadline SKIP LOCKED)"
)


async def bulk_insert(
    uow: UnitOfWork,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    on_conflict_do_nothing: bool = False,
    where: str | None = None,
    returning: Sequence[str] = (),
    beside: str = "",
    values: Mapping[str, Any] | None = None,
) -> Sequence[Row[Any]]:
    """Insert `rows`, which share their keys, in one statement whatever their number.

    `where` limits what is inserted, by the columns of `input`. With `values`, the same statement
    does what `beside` says with them, on another table. Returns the `returning` columns of the
    rows that were really inserted.
    """
    if not rows:
        return []
    tail = f" WHERE {where}" if where else ""
    tail += " ON CONFLICT DO NOTHING" if on_conflict_do_nothing else ""
    if returning:
        tail += f" RETURNING {', '.join(_quoted(name) for name in returning)}"
    head = "" if values is None else f"WITH beside AS ({beside}) "
    result = await _bulk(uow, table, rows, tail, head=head, values=values or {})
    return result.all() if returning else []


async def bulk_upsert(
    uow: UnitOfWork,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    keys: Sequence[str],
    where: str | None = None,
    returning: Sequence[str] = (),
) -> Sequence[Row[Any]]:
    """Insert or update `rows` in one statement. Each key stands at most once in `rows`.

    `where` limits the update, for example `excluded.sequence > member_copy.sequence`.
    """
    if not rows:
        return []
    changed = [name for name in rows[0] if name not in keys]
    sets = ", ".join(f"{_quoted(name)} = excluded.{_quoted(name)}" for name in changed)
    tail = f" ON CONFLICT ({', '.join(_quoted(key) for key in keys)})"
    tail += f" DO UPDATE SET {sets}" if changed else " DO NOTHING"
    if where and changed:
        tail += f" WHERE {where}"
    if returning:
        tail += f" RETURNING {', '.join(_quoted(name) for name in returning)}"
    result = await _bulk(uow, table, rows, tail)
    return result.all() if returning else []


async def _bulk(
    uow: UnitOfWork,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    tail: str,
    *,
    head: str = "",
    values: Mapping[str, Any] = MappingProxyType({}),
) -> CursorResult[Any]:
    names = tuple(rows[0])
    statement = text(head + _insert_from_arrays(table, names) + tail)
    columns = [table.c[name] for name in names]
    arrays = {
        f"p{position}": _bindable(column, [row[column.name] for row in rows])
        for position, column in enumerate(columns)
    }
    return await uow.execute(statement, {**arrays, **values})


@lru_cache(maxsize=512)
def _insert_from_arrays(table: Table, names: tuple[str, ...]) -> str:
    """`INSERT … SELECT … FROM unnest(…)`: one array a column, so the text never varies."""
    columns = ", ".join(_quoted(name) for name in names)
    arrays = ", ".join(
        f"CAST(:p{position} AS {_wire_type(table.c[name])}[])"
        for position, name in enumerate(names)
    )
    values = ", ".join(_from_wire(table.c[name]) for name in names)
    return (
        f"INSERT INTO {_quoted(table.name)} ({columns}) "  # noqa: S608 - names of our own tables
        f"SELECT {values} FROM unnest({arrays}) AS input({columns})"
    )


def _wire_type(column: Column[Any]) -> str:
    if isinstance(column.type, (JSONB, postgresql.ARRAY)):
        return "text"
    return column.type.compile(postgresql.dialect())  # type: ignore[no-untyped-call]


def _from_wire(column: Column[Any]) -> str:
    name = f"input.{_quoted(column.name)}"
    if isinstance(column.type, JSONB):
        return f"CAST({name} AS jsonb)"
    if isinstance(column.type, postgresql.ARRAY):
        element = column.type.item_type.compile(postgresql.dialect())  # type: ignore[no-untyped-call]
        return f"ARRAY(SELECT CAST(jsonb_array_elements_text(CAST({name} AS jsonb)) AS {element}))"
    return name


def _bindable(column: Column[Any], values: list[Any]) -> list[Any]:
    if isinstance(column.type, (JSONB, postgresql.ARRAY)):
        return [None if value is None else outbox.dump_json(value) for value in values]
    return values


def _quoted(name: str) -> str:
    return f'"{name}"'
