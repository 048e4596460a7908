"""Which tables a service can make again from the log, and what of them the log does not tell.

A projection is a function of the log: the same events give the same rows, whoever reads them and
whenever. What a command decided, or what depended on the moment at which something was read, is no
projection, and making it anew would decide it a second time. What a service decided and published
is a fact of its own log, so a rebuild reads it there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Table

from coterie_chassis.handling import Handler
from coterie_chassis.store import UnitOfWork

__all__ = ["KEPT_BY_THE_CHASSIS", "AfterSwap", "Apart", "Projection", "writers"]

AfterSwap = Callable[[UnitOfWork, Collection[UUID]], Awaitable[None]]
"""Called in the swap's transaction with the communities whose rows were mended; publishes not."""


@dataclass(frozen=True, slots=True)
class Apart:
    """Columns that are neither compared nor mended, and why.

    `where` limits this to some rows: SQL over the table's own columns, in which `{live}` and
    `{rebuilt}` stand for the two schemas.
    """

    columns: tuple[str, ...]
    reason: str
    where: str | None = None


@dataclass(frozen=True, slots=True)
class Projection:
    """A table with what makes it again: handlers of the service, or ones that read its own log.

    `log_lacks` says what a row holds besides that the log does not tell: then rows are mended and
    neither made nor removed. Columns that `apart` names take the rebuilt value in a row that is
    made.
    """

    table: Table
    handlers: tuple[Handler, ...]
    apart: tuple[Apart, ...] = ()
    log_lacks: str | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.table.primary_key)

    def compared(self) -> tuple[str, ...]:
        """The columns that are compared in some row at least, keys included."""
        never = {name for one in self.apart if one.where is None for name in one.columns}
        return tuple(name for name in self.table.columns.keys() if name not in never)  # noqa: SIM118 - not a mapping


def writers(projections: Iterable[Projection]) -> tuple[Handler, ...]:
    """The handlers of all `projections`, each once, in the order in which they are named."""
    named = {id(one): one for projection in projections for one in projection.handlers}
    return tuple(named.values())


KEPT_BY_THE_CHASSIS: Final[Mapping[str, str]] = {
    "outbox": "what is still to be sent",
    "outbox_archive": "what was sent: the log's own source",
    "inbox": "which events took effect here",
    "dead_letter": "what was set aside here and how it was settled",
    "idempotency": "outcomes of commands",
    "community_clock": "commands move a driven clock too",
    "deadline": "commands set deadlines, and sweeps take them",
    "failed_deadline": "what was set aside here and how it was settled",
    "applied_position": "how far this database is, which is no copy of anything",
    "republish_request": "what operators asked for",
}
"""The chassis's tables, none of which is a projection, and why."""
