"""A signal ends a block in order, wherever the block stands when it comes.

The signal's handler raises `KeyboardInterrupt`. Where a destructor runs just then, Python reports
what is raised and drops it (https://docs.python.org/3/library/sys.html#sys.unraisablehook);
the hook asks for the same interrupt again a moment later. Where a part must not be left half done,
because others' processes work on it, `uninterrupted` lets the signal wait for its end.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final

__all__ = ["Interruptible", "uninterrupted"]

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AGAIN_S: Final = 0.02


class _Interrupt:
    """The interrupt that was asked for, and whether it has to wait."""

    def __init__(self) -> None:
        self.asked = False
        self.waits = False

    def come(self, *_: object) -> None:
        """Be the handler of a first signal; later ones are ignored."""
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        self.asked = True
        self.strike()

    def strike(self, *_: object) -> None:
        """Raise what was asked for, unless it has to wait."""
        if not self.waits:
            raise KeyboardInterrupt


_interrupt = _Interrupt()


class Interruptible:
    """End the block in order on Ctrl-C, TERM or a closed terminal; later ones are ignored.

    A block so ended counts as finished, whatever its parts make of the interrupt: the caller goes
    on after it.
    """

    def __enter__(self) -> None:
        _interrupt.asked = False
        self._unraisable = sys.unraisablehook
        sys.unraisablehook = self._again
        self._before = {number: signal.signal(number, _interrupt.come) for number in _SIGNALS}
        self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, _interrupt.strike)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        sys.unraisablehook = self._unraisable
        for number, handler in self._before.items():
            signal.signal(number, handler)
        asked, _interrupt.asked = _interrupt.asked, False
        return isinstance(error, KeyboardInterrupt) or (asked and isinstance(error, Exception))

    def _again(self, dropped: sys.UnraisableHookArgs) -> None:
        if dropped.exc_type is KeyboardInterrupt:
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
        else:
            self._unraisable(dropped)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let a signal wait for the end of this block; raises `KeyboardInterrupt` then.

    A terminal sends Ctrl-C to the block's processes too: what they make of it is not told.
    Without an `Interruptible` around it this does nothing. Not to be nested.
    """
    _interrupt.waits = True
    try:
        yield
    except Exception:
        if _interrupt.asked:
            raise KeyboardInterrupt from None
        raise
    finally:
        _interrupt.waits = False
    if _interrupt.asked:
        raise KeyboardInterrupt
