"""Ctrl-C and TERM end a command in order: what it wrote is whole, what it did not is not there."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, Final, NoReturn, TypeVar

__all__ = ["ending_in_order", "run"]

T = TypeVar("T")
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def ending_in_order() -> None:
    """Let TERM raise `KeyboardInterrupt`, as Ctrl-C does."""
    signal.signal(signal.SIGTERM, _interrupt)


def run(work: Coroutine[Any, Any, T]) -> tuple[T | None, bool]:
    """The result of `work` and False, or None and True where a signal cancelled it.

    Cancelled work ends as its `finally` blocks say.
    """

    async def cancellable() -> tuple[T | None, bool]:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        asked = False

        def cancel() -> None:
            nonlocal asked
            asked = True
            task.cancel()

        for number in _SIGNALS:
            loop.add_signal_handler(number, cancel)
        try:
            return await task, False
        except asyncio.CancelledError:
            if not asked:
                raise
            return None, True
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    return asyncio.run(cancellable())


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
