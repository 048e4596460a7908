"""A handler driven from a tape sees what a consumer would, in the same order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from coterie_contracts.envelope import Event
from coterie_contracts.feedback import FeedbackImplemented, FeedbackVerified
from coterie_contracts.member import MemberContact
from coterie_contracts.reward import RewardIssued
from coterie_replay.clock import DrivenClock
from coterie_replay.faults import ReplayFault
from coterie_replay.ids import IdMap
from coterie_replay.likeness import differences, records_of
from coterie_replay.memory import drive
from coterie_replay.record import Record
from tests.replay.making import event, logged, season


async def test_every_event_comes_once_in_order_and_marked() -> None:
    records = season(140)
    seen: list[Event[Any]] = []
    assert await drive(records, seen.append) == []
    assert [str(told.id) for told in seen] == [r.event_id for r in records]
    assert {told.replayed for told in seen} == {True}

    await drive(records, (live := []).append, live=True)
    assert {told.replayed for told in live} == {False}


async def test_the_clock_is_where_each_event_happened() -> None:
    clock = DrivenClock()
    records = [logged(FeedbackVerified, minute) for minute in (5, 3, 9)]
    seen: list[tuple[datetime, datetime]] = []
    await drive(records, lambda told: seen.append((told.time, clock())), clock=clock)
    assert [now - seen[0][0] for _, now in seen] == [timedelta(minutes=m) for m in (0, 0, 4)]


async def test_handlers_by_type_return_events_one_or_many_or_none() -> None:
    first, second = event(RewardIssued), event(RewardIssued)

    async def one(told: Event[FeedbackVerified]) -> Event[Any]:
        return first

    def many(told: Event[FeedbackImplemented]) -> list[Event[Any]]:
        return [first, second]

    came = await drive(season(70), {FeedbackVerified: one, FeedbackImplemented: many})
    assert len(came) == 3
    assert {told.id for told in came} == {first.id, second.id}


async def test_ids_are_mapped_as_when_a_tape_is_played() -> None:
    ids = IdMap(b"a secret of tests")
    record = logged(FeedbackVerified)
    seen: list[Event[Any]] = []
    await drive([record], seen.append, ids=ids)
    assert record.subject is not None
    assert seen[0].subject == ids.id(record.subject)


async def test_what_is_no_event_is_passed_and_what_is_broken_is_a_fault() -> None:
    seen: list[Event[Any]] = []
    tombstone = replace(logged(FeedbackVerified), value=None)
    stranger = Record("elsewhere", 0, 0, 0, None, (), b"{}")
    await drive([tombstone, stranger, logged(MemberContact)], seen.append)
    assert seen == []
    broken = replace(logged(FeedbackVerified, offset=7), value=b"{}")
    with pytest.raises(ReplayFault, match=r"feedback.verified, partition 0, offset 7: feedback_id"):
        await drive([broken], seen.append)


async def test_what_a_handler_raises_is_not_hidden() -> None:
    def fail(told: Event[Any]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await drive(season(1), fail)


def test_a_driven_clock_only_moves_forward() -> None:
    clock = DrivenClock(datetime(2026, 1, 2, tzinfo=UTC))
    clock.reach(datetime(2026, 1, 1, tzinfo=UTC))
    clock.advance(timedelta(hours=1))
    assert clock() == clock.now == datetime(2026, 1, 2, 1, tzinfo=UTC)
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(timedelta(seconds=-1))


def test_events_are_like_a_tape_whatever_their_ids_and_places() -> None:
    told = event(RewardIssued)
    again = replace(told, id=event(RewardIssued).id)
    other = event(FeedbackVerified)
    assert differences(records_of([told, other]), records_of([other, again])) == []


def test_differences_are_told_by_topic_key_and_path() -> None:
    told = event(RewardIssued)
    dearer = replace(told, data=told.data.model_copy(update={"amount_minor": 700}))
    (one,) = differences(records_of([told]), records_of([dearer]))
    assert one == (
        f"reward.issued {told.subject}, event 1: data.amount_minor: 500 expected, 700 came"
    )
    assert differences(records_of([told]), records_of([dearer]), ["data.amount_*"]) == []
    assert differences(records_of([told]), records_of([told, told])) == [
        f"reward.issued {told.subject}: 1 expected, 2 came"
    ]
