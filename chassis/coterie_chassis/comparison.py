"""A live table beside its rebuilt one: equal by digest, or which rows differ in which columns.

Everything is computed in the database over rows in the order of their keys, so that neither table
is ever fetched. What is shown of a difference is its key and the names of columns, never a value.
Mending writes the rows that differ and no other, so those who read are not held up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from coterie_chassis.projections import Projection
from coterie_chassis.store import UnitOfWork

__all__ = [
    "Comparison",
    "Difference",
    "Digest",
    "Schemas",
    "compare",
    "digest",
    "mend",
    "mended_communities",
]

_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Schemas:
    """The names of the two schemas, quoted."""

    live: str
    rebuilt: str


@dataclass(frozen=True, slots=True)
class Digest:
    """How many rows a table has, and the SHA-256 of what is compared of them."""

    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A row by its key: `missing` or `extra` in the live table, or different in `columns`."""

    key: tuple[str, ...]
    how: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both tables by digest; `differing` rows in all, `first` the first of them."""

    projection: Projection
    live: Digest
    rebuilt: Digest
    differing: int
    first: tuple[Difference, ...]

    @property
    def equal(self) -> bool:
        return self.live == self.rebuilt


async def compare(uow: UnitOfWork, projection: Projection, schemas: Schemas) -> Comparison:
    """Compare by digest, and row by row where that differs; two or three statements."""
    sql = _Sql(projection, schemas)
    live = await digest(uow, projection, schemas, schemas.live)
    rebuilt = await digest(uow, projection, schemas, schemas.rebuilt)
    differing, first = 0, []
    if live != rebuilt:
        rows = await uow.rows(text(f"{sql.differences()} LIMIT {_SHOWN}"))
        differing = rows[0].total if rows else 0
        first = [_difference(projection, row._mapping) for row in rows]
    return Comparison(projection, live, rebuilt, differing, tuple(first))


async def digest(uow: UnitOfWork, projection: Projection, schemas: Schemas, schema: str) -> Digest:
    """One side's digest; equal for equal rows in any database."""
    row = (await uow.execute(text(_Sql(projection, schemas).digest(schema)))).one()
    return Digest(row.rows, row.digest)


async def mended_communities(
    uow: UnitOfWork, projection: Projection, schemas: Schemas
) -> set[UUID]:
    """The communities of the rows that differ; none where a table does not tell them."""
    if "community_id" not in projection.table.columns:
        return set()
    rows = await uow.rows(text(_Sql(projection, schemas).communities()))
    return {row.community_id for row in rows}


async def mend(uow: UnitOfWork, projection: Projection, schemas: Schemas) -> None:
    """Make the live table say what the rebuilt one says; one statement, or three."""
    sql = _Sql(projection, schemas)
    if projection.log_lacks is None:
        await uow.execute(text(sql.remove()))
    if update := sql.update():
        await uow.execute(text(update))
    if projection.log_lacks is None:
        await uow.execute(text(sql.make()))


def _difference(projection: Projection, row: Any) -> Difference:
    key = tuple(f"{name}={row[name]}" for name in projection.keys)
    columns = tuple(row["columns"]) if row["how"] == "different" else ()
    return Difference(key, row["how"], columns)


class _Sql:
    """Statements about one projection; all names in them are those of our own tables."""

    def __init__(self, projection: Projection, schemas: Schemas) -> None:
        self._keys = projection.keys
        self._compared = [name for name in projection.compared() if name not in self._keys]
        self._columns = [c.name for c in projection.table.columns if c.computed is None]
        self._limited = [one for one in projection.apart if one.where is not None]
        self._schemas = schemas
        table = _quoted(projection.table.name)
        self._names = {
            "live": f"{schemas.live}.{table}",
            "rebuilt": f"{schemas.rebuilt}.{table}",
            "keys": _list(self._keys),
            "same": " AND ".join(f"t.{_quoted(key)} = r.{_quoted(key)}" for key in self._keys),
        }
        self._names["live_side"] = self._side(self._names["live"])
        self._names["rebuilt_side"] = self._side(self._names["rebuilt"])
        self._names["joined"] = self._of(_JOINED, differs=self._differs("l"))

    def digest(self, schema: str) -> str:
        side = "live_side" if schema == self._schemas.live else "rebuilt_side"
        keys = [f"x.{_quoted(key)}" for key in self._keys]
        row = ", ".join([*keys, *self._values("x", "x")])
        return self._of(_DIGEST, side=self._names[side], row=row, order=", ".join(keys))

    def differences(self) -> str:
        pairs = zip(self._compared, self._values("l", "l"), self._values("r", "r"), strict=True)
        named = ", ".join(
            f"CASE WHEN {left} IS DISTINCT FROM {right} THEN '{name}' END"
            for name, left, right in pairs
        )
        return self._of(_DIFFERENCES, named=named)

    def communities(self) -> str:
        is_key = "community_id" in self._keys
        told = "community_id" if is_key else "coalesce(l.community_id, r.community_id)"
        return self._of(_COMMUNITIES, told=told)

    def remove(self) -> str:
        return self._of(_REMOVE)

    def update(self) -> str | None:
        if not self._compared:
            return None
        sets = ", ".join(f"{_quoted(name)} = {self._kept(name)}" for name in self._compared)
        return self._of(_UPDATE, sets=sets, differs=self._differs("t"))

    def make(self) -> str:
        return self._of(_MAKE, columns=_list(self._columns))

    def _of(self, template: str, **parts: str) -> str:
        return template.format(**self._names, **parts)

    def _side(self, table: str) -> str:
        """One side's rows, with a flag for each limited `Apart` that says where it holds."""
        schemas = {"live": self._schemas.live, "rebuilt": self._schemas.rebuilt}
        columns = [f"t.{_quoted(name)}" for name in (*self._keys, *self._compared)]
        flags = [
            f"coalesce({(one.where or '').format(**schemas)}, false) AS apart_{number}"
            for number, one in enumerate(self._limited)
        ]
        return _SIDE.format(columns=", ".join([*columns, *flags]), table=table)

    def _differs(self, one: str) -> str:
        """Whether a row differs from that of `r`; what is apart is told by the latter."""
        if not self._compared:
            return "false"
        left, right = ", ".join(self._values(one, "r")), ", ".join(self._values("r", "r"))
        return f"ROW({left}) IS DISTINCT FROM ROW({right})"

    def _values(self, alias: str, flags: str) -> list[str]:
        return [
            f"CASE WHEN {apart} THEN NULL ELSE {alias}.{_quoted(name)} END"
            if (apart := self._apart(name, flags))
            else f"{alias}.{_quoted(name)}"
            for name in self._compared
        ]

    def _kept(self, name: str) -> str:
        column, apart = _quoted(name), self._apart(name, "r")
        return f"CASE WHEN {apart} THEN t.{column} ELSE r.{column} END" if apart else f"r.{column}"

    def _apart(self, name: str, alias: str) -> str:
        flags = [f"{alias}.apart_{n}" for n, one in enumerate(self._limited) if name in one.columns]
        return " OR ".join(flags)


def _quoted(name: str) -> str:
    return f'"{name}"'


def _list(names: Iterable[str]) -> str:
    return ", ".join(map(_quoted, names))


_SIDE: Final = "SELECT {columns}, true AS here FROM {table} AS t"
_JOINED: Final = (
    "({live_side}) AS l FULL JOIN ({rebuilt_side}) AS r USING ({keys}) "
    "WHERE l.here IS NULL OR r.here IS NULL OR {differs}"
)
_DIGEST: Final = (
    "SELECT count(*) AS rows, encode(sha256(convert_to(coalesce("
    "string_agg(md5(CAST(ROW({row}) AS text)), '' ORDER BY {order}), ''), 'UTF8')), 'hex') "
    "AS digest FROM ({side}) AS x"
)
_DIFFERENCES: Final = (
    "SELECT {keys}, CASE WHEN l.here IS NULL THEN 'missing' WHEN r.here IS NULL THEN 'extra' "
    "ELSE 'different' END AS how, array_remove(CAST(ARRAY[{named}] AS text[]), NULL) AS columns, "
    "count(*) OVER () AS total FROM {joined} ORDER BY {keys}"
)
_COMMUNITIES: Final = "SELECT DISTINCT {told} AS community_id FROM {joined}"
_REMOVE: Final = (
    "DELETE FROM {live} AS t WHERE NOT EXISTS (SELECT FROM {rebuilt} AS r WHERE {same})"
)
_UPDATE: Final = (
    "UPDATE {live} AS t SET {sets} FROM ({rebuilt_side}) AS r WHERE {same} AND {differs}"
)
_MAKE: Final = (
    "INSERT INTO {live} ({columns}) SELECT {columns} FROM {rebuilt} AS r "
    "WHERE NOT EXISTS (SELECT FROM {live} AS t WHERE {same})"
)
