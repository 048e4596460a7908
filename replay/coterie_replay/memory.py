"""Drives a handler from a tape without any broker: one event after the other, in the tape's order.

A tape holds records in the order in which they came, which is one that a broker may deliver. The
handler sees what a consumer would: decoded events with the replay mark, each as often as it is
there.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any

from coterie_contracts.envelope import Event, Unreadable, decode
from coterie_contracts.model import EventBody
from coterie_replay.clock import DrivenClock
from coterie_replay.faults import ReplayFault
from coterie_replay.ids import IdMap
from coterie_replay.playing import prepared
from coterie_replay.record import Record

__all__ = ["Handler", "Outcome", "drive", "events_of"]

Outcome = Event[EventBody] | Iterable[Event[EventBody]] | None
Handler = Callable[[Event[Any]], Outcome | Awaitable[Outcome]]


async def drive(
    records: Iterable[Record],
    handler: Handler | Mapping[type[EventBody], Handler],
    *,
    clock: DrivenClock | None = None,
    live: bool = False,
    ids: IdMap | None = None,
) -> list[Event[EventBody]]:
    """Hand every event to `handler`, or to the one of its type; what they returned, in order.

    `clock` reaches each event's `time` before its handler is called. `live` leaves the replay mark
    off and `ids` maps ids, as when a tape is played. What a handler raises ends it. Raises
    `ReplayFault` for a record of ours that cannot be read.
    """
    returned: list[Event[EventBody]] = []
    for event in events_of(prepared(records, live=live, ids=ids)):
        handle = handler.get(type(event.data)) if isinstance(handler, Mapping) else handler
        if clock is not None:
            clock.reach(event.time)
        if handle is None:
            continue
        outcome = handle(event)
        if inspect.isawaitable(outcome):
            outcome = await outcome
        if isinstance(outcome, Event):
            returned.append(outcome)
        elif outcome is not None:
            returned += outcome
    return returned


def events_of(records: Iterable[Record]) -> Iterator[Event[EventBody]]:
    """The events on a tape; passes tombstones and records that are no CloudEvents."""
    for record in records:
        if record.value is None or record.attributes() is None:
            continue
        try:
            yield decode(record.topic, record.headers, record.value)
        except Unreadable as error:
            place = f"{record.topic}, partition {record.partition}, offset {record.offset}"
            raise ReplayFault(f"{place}: {error}") from None
