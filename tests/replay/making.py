"""Records for tests of tapes, made of the contracts' own samples."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from coterie_contracts.envelope import Event, encode
from coterie_contracts.model import EventBody
from coterie_contracts.samples import sample
from coterie_contracts.topics import TOPICS, topic_of
from coterie_replay.record import Record

__all__ = ["START", "event", "logged", "record_of", "season"]

START = datetime(2026, 2, 3, 10, tzinfo=UTC)


def event(body: type[EventBody], **attributes: Any) -> Event[EventBody]:
    """The sample event of a type with other attributes and an id of its own."""
    return replace(sample(topic_of(body)), **{"id": uuid4(), **attributes})


def record_of(told: Event[EventBody], *, offset: int = 0, partition: int = 0) -> Record:
    message = encode(told)
    return Record(
        topic=message.topic,
        partition=partition,
        offset=offset,
        timestamp=int(told.recorded_time.timestamp() * 1000),
        key=message.key,
        headers=message.headers,
        value=message.value,
    )


def logged(body: type[EventBody], minute: int = 0, *, offset: int = 0, **attributes: Any) -> Record:
    """A record of a sample event that happened `minute` minutes after `START`."""
    at = START + timedelta(minutes=minute)
    return record_of(event(body, time=at, recorded_time=at, **attributes), offset=offset)


def season(count: int, community: UUID | None = None) -> list[Record]:
    """`count` records over all types of events but contact data, a minute apart."""
    bodies = [topic.body for topic in TOPICS if not topic.compacted]
    return [
        logged(
            bodies[number % len(bodies)],
            number,
            offset=number,
            **({} if community is None else {"community_id": community}),
        )
        for number in range(count)
    ]
