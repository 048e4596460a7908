"""Which events wait behind which: those that came later, in the order in which they came."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import text

from coterie_chassis import tables
from coterie_chassis.deadletter import Record
from coterie_chassis.redrive import drop_letter, redrive_letter
from coterie_chassis.testing import Harness, event_of, record_of
from coterie_contracts.envelope import Event
from coterie_contracts.feedback import FeedbackSubmitted
from coterie_contracts.member import MemberContact, MemberErased, MemberSuspended

from . import sample
from .facts import COMMUNITY, fact, heard


def unreadable(event: Event[FeedbackSubmitted]) -> Record:
    return replace(record_of(event), value=b"{")


def of_a_newer_version(event: Event[FeedbackSubmitted]) -> Record:
    record = record_of(event)
    return replace(record, headers=[(n, _newer(n, v)) for n, v in record.headers])


def _newer(name: str, value: bytes | None) -> bytes | None:
    return b"coterie.feedback.submitted.v9" if name == "ce_type" else value


async def test_what_came_before_an_unreadable_record_takes_effect(h: Harness) -> None:
    key = uuid4()

    await h.deliver_records(
        record_of(fact(key, 1)), unreadable(fact(key, 2)), record_of(fact(key, 3))
    )

    assert await heard(h) == [(key, 1)]
    assert [letter.kind for letter in await h.dead_letters()] == ["unreadable", "parked"]


async def test_letters_of_a_key_stand_in_the_order_of_their_arrival(h: Harness) -> None:
    key, other = uuid4(), uuid4()
    first = fact(key, 1)
    sample.POISON.add(first.id)
    records = [
        record_of(first),
        unreadable(fact(key, 2)),
        record_of(fact(other, 1)),
        record_of(fact(key, 3)),
    ]

    await h.deliver_records(*records)
    await h.deliver_records(unreadable(fact(key, 4)), record_of(fact(key, 5)))

    assert await heard(h) == [(other, 1)]
    letters = await h.dead_letters()
    assert [letter.kind for letter in letters] == [
        "bug",
        "unreadable",
        "parked",
        "unreadable",
        "parked",
    ]
    offsets = [letter.offset for letter in letters]
    assert offsets == sorted(offsets)


async def test_a_settled_record_that_comes_again_parks_nothing(h: Harness) -> None:
    key = uuid4()
    bad = unreadable(fact(key, 1))
    await h.deliver_records(bad)
    await drop_letter(h.runtime, (await h.dead_letters())[0].id, "sent by mistake", "ann")

    await h.deliver_records(bad, record_of(fact(key, 2)))

    assert await heard(h) == [(key, 2)]
    assert await h.dead_letters() == []


async def test_an_open_record_that_comes_again_goes_on_parking(h: Harness) -> None:
    key = uuid4()
    bad = unreadable(fact(key, 1))
    await h.deliver_records(bad)

    await h.deliver_records(bad, record_of(fact(key, 2)))

    assert await heard(h) == []
    assert [letter.kind for letter in await h.dead_letters()] == ["unreadable", "parked"]


@pytest.mark.parametrize("copy_comes", ["before the redrive", "after it", "in both"])
async def test_an_event_that_became_readable_takes_effect_once(h: Harness, copy_comes: str) -> None:
    """A newer release can read what this one set aside, and a refill brings a second copy."""
    event = fact(uuid4())
    await h.deliver_records(of_a_newer_version(event))
    (letter,) = await h.dead_letters()
    assert letter.kind == "version"
    async with h.database.begin() as uow:  # the stored bytes are what the newer release reads
        headers = [[n, _b64(v)] for n, v in record_of(event).headers]
        await uow.execute(tables.dead_letter.update().values(headers=headers))

    if copy_comes != "after it":
        await h.deliver(event)
    assert (await redrive_letter(h.runtime, letter.id))[1] == 0
    if copy_comes != "before the redrive":
        await h.deliver(event)

    assert await heard(h) == [(event.subject, 1)]
    assert await h.dead_letters() == []


async def test_redriving_a_late_letter_begins_with_the_first_of_its_key(h: Harness) -> None:
    key = uuid4()
    first = fact(key, 1)
    sample.POISON.add(first.id)
    await h.deliver(first, fact(key, 2), fact(key, 3))
    letters = await h.dead_letters()
    sample.mend()

    assert await redrive_letter(h.runtime, letters[-1].id) == (3, 0)

    assert await heard(h) == [(key, 1), (key, 2), (key, 3)]


async def test_a_follower_that_fails_stops_the_redrive_there(h: Harness) -> None:
    key = uuid4()
    events = [fact(key, sequence) for sequence in (1, 2, 3)]
    sample.POISON.add(events[0].id)
    await h.deliver(*events)
    sample.mend()
    sample.REFUSED.add(events[1].id)

    assert await redrive_letter(h.runtime, (await h.dead_letters())[0].id) == (1, 2)

    assert await heard(h) == [(key, 1)]
    assert "not-heard" in (await h.dead_letters())[0].error


async def test_an_erasure_that_failed_purges_its_followers_when_it_is_redriven(h: Harness) -> None:
    member = uuid4()
    erased = event_of(
        MemberErased(
            member_id=member,
            community_id=COMMUNITY,
            person_id=uuid4(),
            seat_sequence=1,
            capacity=1,
            seats_held=0,
        ),
        member,
        sequence=2,
    )
    first = fact(member, 1)
    sample.POISON.add(first.id)
    await h.deliver(first)
    async with h.database.begin() as uow:
        await uow.execute(tables.dead_letter.update().values(**_columns(record_of(erased))))
    await h.deliver(fact(member, 3))
    assert [letter.kind for letter in await h.dead_letters()] == ["bug", "parked"]

    assert await redrive_letter(h.runtime, (await h.dead_letters())[0].id) == (1, 0)

    assert await heard(h) == []
    assert await h.dead_letters() == []


def _b64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _columns(record: Record) -> dict[str, object]:
    return {
        "topic": record.topic,
        "headers": [[name, _b64(value)] for name, value in record.headers],
        "value": record.value,
    }


async def test_a_letter_of_a_compacted_topic_says_why_it_cannot_be_redriven(h: Harness) -> None:
    member = uuid4()
    first = fact(member, 1)
    sample.POISON.add(first.id)
    await h.deliver(first)
    contact = MemberContact(member_id=member, community_id=COMMUNITY, email="ann@example.org")
    await h.deliver(event_of(contact, member))
    letters = await h.dead_letters()
    assert [letter.topic for letter in letters] == ["feedback.submitted", "member.contact"]
    assert letters[1].value is None, "the bytes of a compacted topic are not kept"
    sample.mend()

    assert await redrive_letter(h.runtime, letters[0].id) == (1, 1)

    (left,) = await h.dead_letters()
    assert "drop this letter" in left.error
    assert "ann@example.org" not in str(left)


async def test_no_value_of_a_row_stands_in_an_error(h: Harness) -> None:
    """A database names the row that it refuses; that may be somebody's address."""
    suspended = MemberSuspended(
        member_id=uuid4(),
        community_id=COMMUNITY,
        person_id=uuid4(),
        status="suspended",
        admitted_at=datetime.now(UTC),
        time_zone="Secret/Zone",
        locale="de",
        until=datetime.now(UTC),
    )
    async with h.database.begin() as uow:
        await uow.execute(text("ALTER TABLE member_copy ADD CHECK (time_zone <> 'Secret/Zone')"))

    await h.deliver(event_of(suspended, suspended.member_id))

    (letter,) = await h.dead_letters()
    assert letter.kind == "bug"
    assert "violates check constraint" in letter.error
    assert "Secret/Zone" not in letter.error
