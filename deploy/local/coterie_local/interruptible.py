"""A signal ends a block in order, wherever the block stands when it comes.

The signal's handler raises `KeyboardInterrupt`. Where a destructor runs just then, Python reports
what is raised and drops it (https://docs.python.org/3/library/sys.html#sys.unraisablehook);
the hook asks for the same interrupt again a moment later.
"""

from __future__ import annotations

import signal
import sys
from types import TracebackType
from typing import Final, NoReturn

__all__ = ["Interruptible"]

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AGAIN_S: Final = 0.02


class Interruptible:
    """End the block in order on Ctrl-C, TERM or a closed terminal; later ones are ignored.

    A block so ended counts as finished: the caller goes on after it.
    """

    def __enter__(self) -> None:
        self._unraisable = sys.unraisablehook
        sys.unraisablehook = self._again
        self._before = {number: signal.signal(number, _interrupt) for number in _SIGNALS}
        self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, _raise)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        sys.unraisablehook = self._unraisable
        for number, handler in self._before.items():
            signal.signal(number, handler)
        return kind is KeyboardInterrupt

    def _again(self, dropped: sys.UnraisableHookArgs) -> None:
        if dropped.exc_type is KeyboardInterrupt:
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
        else:
            self._unraisable(dropped)


def _interrupt(*_: object) -> NoReturn:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _raise(*_: object) -> NoReturn:
    raise KeyboardInterrupt
