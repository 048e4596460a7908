"""How a service declares what it does with events: a function, its events and its fold."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

from coterie_chassis.errors import no_stray_cancellation
from coterie_chassis.store import UnitOfWork
from coterie_contracts.envelope import Event
from coterie_contracts.model import EventBody
from coterie_contracts.topics import Lane, topic_of

__all__ = ["AnyEvent", "Batch", "Fold", "Handler", "handles"]

B = TypeVar("B", bound=EventBody)
Batch = Sequence[Event[B]]
AnyEvent = Event[EventBody]
Run = Callable[[Any, UnitOfWork], Awaitable[None]]


class Fold(StrEnum):
    """`LATEST`: copied state, only the highest sequence of a subject counts. `EVERY`: facts."""

    LATEST = "latest"
    EVERY = "every"


@dataclass(frozen=True, slots=True)
class Handler:
    """Events in, a service's state out. Called with a batch; never commits."""

    bodies: tuple[type[EventBody], ...]
    fold: Fold
    run: Run

    @property
    def name(self) -> str:
        return getattr(self.run, "__name__", "handler")

    async def __call__(self, events: Sequence[AnyEvent], uow: UnitOfWork) -> None:
        with no_stray_cancellation(self.name):
            await self.run(_highest(events) if self.fold is Fold.LATEST else events, uow)

    def is_in(self, lane: Lane) -> bool:
        """Whether any of its events comes in `lane`."""
        return any(topic_of(body).lane is lane for body in self.bodies)


def handles(*bodies: type[EventBody], fold: Fold) -> Callable[[Run], Handler]:
    """Declare the events that a function handles, in batches, and how it folds them."""

    def declare(run: Run) -> Handler:
        return Handler(bodies, fold, run)

    return declare


def _highest(events: Sequence[AnyEvent]) -> list[AnyEvent]:
    latest: dict[UUID, AnyEvent] = {}
    for event in events:
        known = latest.get(event.subject)
        if known is None or event.sequence is None or event.sequence > (known.sequence or 0):
            latest[event.subject] = event
    return list(latest.values())
