"""What fails among many is found by halves, and costs its neighbours nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from coterie_chassis.errors import is_transient
from coterie_chassis.store import UnitOfWork

__all__ = ["isolate"]

T = TypeVar("T")


async def isolate(
    uow: UnitOfWork,
    items: Sequence[T],
    act: Callable[[Sequence[T]], Awaitable[None]],
    condemn: Callable[[T, Exception], Awaitable[None]],
) -> None:
    """Do `act(items)` under a savepoint; where it fails each half alone, in order.

    `condemn` is awaited with each culprit once it stands alone and is undone. What `act` publishes
    and schedules is written inside the savepoint, so a row that no table takes fails its own item.
    Costs O(log n) statements a culprit. Raises what may pass by itself, and what `condemn` raises.
    """
    if not items:
        return
    try:
        async with uow.savepoint():
            await act(items)
            await uow.flush()
    except Exception as error:
        if is_transient(error):
            raise
        if len(items) == 1:
            await condemn(items[0], error)
            return
    else:
        return
    middle = len(items) // 2
    await isolate(uow, items[:middle], act, condemn)
    await isolate(uow, items[middle:], act, condemn)
