"""Nothing comes from nowhere: what an event names as its cause was published, or is a command.

Event ids are UUIDv8; commands and deadlines have ids of other versions and leave no record.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from coterie_contracts.model import EventBody
from coterie_local.audit.facts import Log
from coterie_local.audit.report import Fault

__all__ = ["causes_were_seen"]

_EVENT_ID: Final = 8


def causes_were_seen(log: Log) -> Iterator[Fault | None]:
    """A fact is an event: its `causationid` is an event of this log, a command or a deadline."""
    seen = {fact.event.id for fact in log.facts}
    for event in log.of(EventBody):
        cause = event.causation_id
        yield (
            Fault(event.id, f"{event.topic} was caused by {cause}, which was never published")
            if cause.version == _EVENT_ID and cause not in seen
            else None
        )
