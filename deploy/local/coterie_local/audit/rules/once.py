"""What may happen once: a look-again, a reward, a notification, an event id.

Where two events claim the same thing, the later recorded one is named.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TypeVar
from uuid import UUID

from coterie_contracts.envelope import Event
from coterie_contracts.feedback import LookAgainAnswered, LookAgainRequested
from coterie_contracts.model import EventBody
from coterie_contracts.notification import NotificationFacts, NotificationSent
from coterie_contracts.reward import (
    RewardApproved,
    RewardFacts,
    RewardIssued,
    RewardProposed,
)
from coterie_local.audit.facts import COMPACTED, Fact, Log
from coterie_local.audit.report import Fault
from coterie_local.log import Record

__all__ = [
    "a_cause_is_told_once",
    "a_cause_pays_once",
    "a_member_looks_again_once",
    "an_id_is_one_event",
]

B = TypeVar("B", bound=EventBody)


def a_member_looks_again_once(log: Log) -> Iterator[Fault | None]:
    """A fact is a request or an answer: one per implementation and member."""
    for body in (LookAgainRequested, LookAgainAnswered):
        yield from _once(
            log.of(body),
            lambda d: (d.implementation_id, d.member_id),
            "for the same implementation and member",
        )


def a_cause_pays_once(log: Log) -> Iterator[Fault | None]:
    """A fact is a step of a reward: one proposal, approval and issue per policy, member, cause."""
    for body in (RewardProposed, RewardApproved, RewardIssued):
        yield from _once(log.of(body), _earned, "for the same policy, member and cause")
    yield from _one_id(log.of(RewardFacts), _earned, lambda d: d.reward_id, "reward")


def _earned(data: RewardFacts) -> Hashable:
    return data.policy_id, data.member_id, data.cause_id


def a_cause_is_told_once(log: Log) -> Iterator[Fault | None]:
    """A fact is a notification on a channel: one per recipient, template and cause."""
    yield from _once(
        log.of(NotificationSent),
        lambda d: (*_told(d), d.channel),
        "to the same recipient, of the same template and cause",
    )
    yield from _one_id(
        log.of(NotificationFacts), _told, lambda d: d.notification_id, "notification"
    )


def _told(data: NotificationFacts) -> tuple[Hashable, ...]:
    return data.recipient_id, data.template, data.cause_id


def an_id_is_one_event(log: Log) -> Iterator[Fault | None]:
    """A fact is a delivery: a repeated id repeats the attributes and the data byte for byte.

    Compacted topics are sent anew from current state, so they are exempt.
    """
    first: dict[UUID, tuple[Hashable, ...]] = {}
    for fact in _by_time(log.deliveries):
        if fact.event.topic in COMPACTED:
            continue
        content = _content(fact.record)
        yield (
            Fault(fact.event.id, f"{fact.event.topic} was published twice, not the same twice")
            if first.setdefault(fact.event.id, content) != content
            else None
        )


def _by_time(deliveries: Iterable[Fact[EventBody]]) -> list[Fact[EventBody]]:
    return sorted(deliveries, key=lambda fact: (fact.event.recorded_time, fact.event.id))


def _content(record: Record) -> tuple[Hashable, ...]:
    attributes = sorted((name, value) for name, value in record.headers if name.startswith("ce_"))
    return record.topic, record.key, tuple(attributes), record.value


def _once(
    events: Iterable[Event[B]], key: Callable[[B], Hashable], what: str
) -> Iterator[Fault | None]:
    seen: set[Hashable] = set()
    for event in sorted(events, key=lambda e: (e.recorded_time, e.id)):
        yield (
            Fault(event.id, f"a second {event.topic} {what}") if key(event.data) in seen else None
        )
        seen.add(key(event.data))


def _one_id(
    events: Iterable[Event[B]], key: Callable[[B], Hashable], own: Callable[[B], UUID], what: str
) -> Iterator[Fault]:
    """The same key always under the same id."""
    ids: dict[Hashable, UUID] = {}
    for event in sorted(events, key=lambda e: (e.recorded_time, e.id)):
        if ids.setdefault(key(event.data), own(event.data)) != own(event.data):
            yield Fault(event.id, f"{event.topic} gives one {what} a second id")
