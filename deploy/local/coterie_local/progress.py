"""How far long work has come: a moving bar on a terminal, elsewhere a line now and then.

A pipe or a log file gets a line when the work enters another part or another tenth, and no
control characters.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

__all__ = ["Progress"]

_TENTHS: Final = 10


class Progress:
    """Shows in `with` what `at` tells."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: Bars | None = None
        self._shown: tuple[str, int] | None = None

    def __enter__(self) -> Self:
        self._begun = time.monotonic()
        if self._console.is_terminal:
            columns = (
                TextColumn("{task.description:<58}"),
                BarColumn(bar_width=None),
                TaskProgressColumn(),
                TimeElapsedColumn(),
            )
            self._bars = Bars(*columns, console=self._console)
            self._bars.start()
            self._bar = self._bars.add_task("", total=None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def at(self, done: int, total: int, part: str) -> None:
        """`done` of `total` steps are done and `part` of the work goes on."""
        if self._bars is not None:
            self._bars.update(self._bar, completed=done, total=total, description=part)
            return
        tenth = _TENTHS * done // total if total else _TENTHS
        if self._shown != (part, tenth):
            self._shown = (part, tenth)
            spent = time.monotonic() - self._begun
            share = 100 * done // total if total else 100
            self._console.print(f"  {share:3} %  {part} ({spent:.0f} s)", soft_wrap=True)
