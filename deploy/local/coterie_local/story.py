"""One suggestion's story, told from the Kafka log alone: from the first word to the thanks.

The log knows members by pseudonym and holds none of their words, so neither does the story. Who
rated stays untold, as in the product.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from math import fsum
from typing import Final, TypeGuard
from uuid import UUID

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from coterie_contracts import feedback, notification, reward
from coterie_contracts.envelope import Event
from coterie_contracts.model import EventBody
from coterie_contracts.topics import TOPICS, topic_of
from coterie_local.audit.facts import Log
from coterie_local.log import LogReader, Record
from coterie_local.sentences import sentence

__all__ = ["Line", "NoStory", "render", "story", "story_on_kafka", "tell"]

_FOLLOWERS: Final = (reward.BadgeFacts, reward.MeritChanged, notification.NotificationFacts)
_ANSWERS: Final = (feedback.LookAgainAnswered, feedback.LookAgainLapsed)
_RANKS: Final = {topic.name: rank for rank, topic in enumerate(TOPICS)}


class NoStory(LookupError):
    """The log has no event of that suggestion."""


@dataclass(frozen=True, slots=True)
class Line:
    """One event in a sentence; `at` is its community's clock."""

    at: datetime
    service: str
    text: str
    event_id: UUID


def story(records: Iterable[Record], feedback_id: UUID) -> list[Line]:
    """What became of a suggestion, in the order in which it happened, each cause before its effect.

    Raises `NoStory`.
    """
    events = _about(Log(records), feedback_id)
    if not any(isinstance(event.data, feedback.FeedbackSubmitted) for event in events):
        raise NoStory(f"the log has no suggestion {feedback_id}")
    depths = _depths(events)
    events.sort(key=lambda e: (e.time, e.recorded_time, depths[e.id], _rank(e.data), e.id))
    return list(_lines(events))


async def story_on_kafka(bootstrap: str, feedback_id: UUID) -> list[Line]:
    """The story from a cluster's log up to now.

    Raises `NoStory`, and aiokafka's `KafkaError` where the cluster cannot be reached.
    """
    async with LogReader(bootstrap) as reader:
        return story([record async for record in reader.records()], feedback_id)


def tell(lines: Iterable[Line]) -> str:
    """The story as text, a line an event: when, by which service, what."""
    return "\n".join(f"{line.at:%d %b %Y %H:%M}  {line.service:<14} {line.text}" for line in lines)


def render(lines: Iterable[Line]) -> RenderableType:
    """The story for people: long sentences wrap in their own column."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(3):
        table.add_column()
    for line in lines:
        table.add_row(f"{line.at:%d %b %Y %H:%M}", line.service, Text(line.text))
    return table


def _lines(events: Iterable[Event[EventBody]]) -> Iterator[Line]:
    """A line an event; ratings that follow each other are told in one."""
    for rated, group in groupby(events, key=_is_rating):
        told = list(group)
        if rated and len(told) > 1:
            values = [event.data.value for event in told if _is_rating(event)]
            average = fsum(values) / len(values)
            text = f"{len(told)} ratings of it and of its comments: {average:.2f} of 1 on average."
            yield Line(told[0].time, topic_of(type(told[0].data)).owner, text, told[0].id)
            continue
        for event in told:
            if (text_of_one := sentence(event.data)) is not None:
                owner = topic_of(type(event.data)).owner
                yield Line(event.time, owner, text_of_one, event.id)


def _is_rating(event: Event[EventBody]) -> TypeGuard[Event[feedback.ContributionRated]]:
    return isinstance(event.data, feedback.ContributionRated)


def _rank(data: EventBody) -> int:
    """Orders what one change published: as in the table of topics, an answer before its outcome."""
    rank = _RANKS[data.topic]
    return rank - len(_RANKS) if isinstance(data, _ANSWERS) else rank


def _about(log: Log, feedback_id: UUID) -> list[Event[EventBody]]:
    items = {feedback_id} | {
        event.data.feedback_id
        for event in log.of(feedback.FeedbackMerged)
        if event.data.root_id == feedback_id
    }
    contributions = items | {
        event.data.comment_id
        for event in log.of(feedback.CommentPosted)
        if event.data.feedback_id in items
    }
    every = log.of(EventBody)
    found = [event for event in every if _subject_of(event.data) & contributions]
    ids = {event.id for event in found}
    told = [event for event in every if _follows(event, ids)]
    return found + [event for event in told if event.id not in ids]


def _subject_of(data: EventBody) -> set[UUID]:
    """The suggestion or comment that an event is about."""
    named = (getattr(data, name, None) for name in ("feedback_id", "contribution_id"))
    return {one for one in named if isinstance(one, UUID)}


def _follows(event: Event[EventBody], ids: set[UUID]) -> bool:
    if isinstance(event.data, notification.NotificationFacts) and event.data.cause_id in ids:
        return True
    return isinstance(event.data, _FOLLOWERS) and event.causation_id in ids


def _depths(events: Iterable[Event[EventBody]]) -> dict[UUID, int]:
    """How many of these events stand between each and the command behind it."""
    causes = {event.id: event.causation_id for event in events}

    def chain(event_id: UUID) -> Iterator[UUID]:
        seen: set[UUID] = set()
        while event_id in causes and event_id not in seen:
            seen.add(event_id)
            yield event_id
            event_id = causes[event_id]

    return {event_id: sum(1 for _ in chain(event_id)) for event_id in causes}
