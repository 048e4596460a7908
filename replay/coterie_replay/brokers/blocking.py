"""Ask an asyncio client something from blocking code, wherever that code runs.

`asyncio.run` refuses inside a running loop, and a fixture or a fault test often is inside one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

__all__ = ["block_on"]

T = TypeVar("T")


def block_on(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of `coroutine`, run on a loop of its own in a thread of its own. Blocks."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, coroutine).result()
