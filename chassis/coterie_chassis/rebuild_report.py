"""What a rebuild found, in lines for an operator: keys and columns, never a value of a row."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from coterie_chassis.comparison import Comparison
from coterie_chassis.rebuild import Rebuilt

__all__ = ["Progress", "lines"]

_EVERY_S: Final = 1.0
_DIGITS: Final = 12
_HOW: Final = {
    "missing": "is missing",
    "extra": "is not in the log",
    "different": "differs in",
}


@dataclass(slots=True)
class Progress:
    """Tells on standard error how far the log is read, once a second at most."""

    service: str
    _told_at: float = field(default_factory=time.monotonic)

    def __call__(self, read: int, of: int) -> None:
        if (now := time.monotonic()) - self._told_at >= _EVERY_S:
            self._told_at = now
            sys.stderr.write(f"{self.service}: {read:,} of {of:,} records read\n")


def lines(service: str, found: Rebuilt) -> Iterator[str]:
    """One line a table, the first differences of each that differs, and the outcome."""
    if not found.tables:
        yield f"{service}: keeps no projection, nothing to rebuild"
        return
    yield f"{service}: {found.read:,} records read{_beside(found)}"
    after = {one.projection.table.name: one for one in found.tables}
    for table in found.before:
        yield from _table(table, after[table.projection.table.name], swapped=found.swapped)
    for failure in found.failed:
        yield f"  could not be applied: {failure}"
    yield f"{service}: {_outcome(found)}"


def _beside(found: Rebuilt) -> str:
    told = [
        f"{count:,} {what}"
        for count, what in (
            (found.left_out, "left out as the dead letters say"),
            (found.unreadable, "not readable"),
        )
        if count
    ]
    return f", {' and '.join(told)}" if told else ""


def _table(before: Comparison, after: Comparison, *, swapped: bool) -> Iterator[str]:
    name = before.projection.table.name
    rows = f"{before.live.rows:>9,} row{' ' if before.live.rows == 1 else 's'}"
    if before.equal:
        yield f"  {name:<16} {rows}  equal  {before.live.sha256[:_DIGITS]}"
        return
    state = "mended" if swapped and after.equal else "DIFFERENT"
    yield f"  {name:<16} {rows}  {state}  {_rows(before.differing)}"
    for one in before.first:
        yield f"    {', '.join(one.key)} {_HOW[one.how]} {', '.join(one.columns)}".rstrip()
    if before.differing > len(before.first):
        yield f"    and {before.differing - len(before.first):,} more"
    if swapped and not after.equal:
        yield f"    {_rows(after.differing)} still: the log lacks {before.projection.log_lacks}"


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'} differ{'s' if count == 1 else ''}"


def _outcome(found: Rebuilt) -> str:
    differ = sum(not one.equal for one in found.tables)
    if found.failed:
        return "some events could not be applied, so nothing was compared with certainty or changed"
    if not differ:
        return "mended, all is equal" if found.swapped else "all is equal"
    if found.swapped:
        return f"mended what the log tells; {differ} of {len(found.tables)} tables still differ"
    return f"{differ} of {len(found.tables)} tables differ; `rebuild --swap` mends them"
