"""How far a command has come: a moving bar on a terminal, elsewhere a line at every tenth.

It goes to standard error, so that what a command tells can be piped.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import Progress as Bars

__all__ = ["Progress"]

_TENTHS: Final = 10
_EVERY: Final = 256  # records; looking up how far it is costs


class Progress:
    """Shows, in `with`, `done` of `total` whenever `step` was called often enough."""

    def __init__(self, what: str, place: Callable[[], tuple[int, int]]) -> None:
        """`place` gives how much is done and how much there is."""
        self._what = what
        self._place = place
        self._console = Console(stderr=True, highlight=False)
        self._bars: Bars | None = None
        self._steps = 0
        self._tenth = 0

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bars = Bars(console=self._console, transient=True)
            self._bars.start()
            self._bar = self._bars.add_task(self._what, total=None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def once(self, text: str) -> Callable[[], None]:
        """Shows a line when it is called for the first time."""
        told = iter([text])

        def tell() -> None:
            for line in told:
                self._console.print(f"  {line}", soft_wrap=True)

        return tell

    def step(self) -> None:
        """One record more."""
        self._steps += 1
        if self._steps % _EVERY:
            return
        done, total = self._place()
        if self._bars is not None:
            self._bars.update(self._bar, completed=done, total=total or None)
        elif total and (tenth := _TENTHS * done // total) > self._tenth:
            self._tenth = tenth
            share, records = 100 * done // total, f"{self._steps:,}"
            self._console.print(f"  {share:3} %  {self._what}: {records} records", soft_wrap=True)
