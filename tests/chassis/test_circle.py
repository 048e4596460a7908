"""The copy of members: only forward, in any order of topics, and never a person back."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from itertools import permutations
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from coterie_chassis import circle
from coterie_chassis.auth import Role
from coterie_chassis.testing import Harness, event_of, person, until
from coterie_contracts.envelope import Event
from coterie_contracts.member import (
    Admission,
    MemberAdmitted,
    MemberErased,
    MemberLeft,
    MemberStatus,
    MemberSuspended,
)
from coterie_contracts.model import EventBody

COMMUNITY, MEMBER, PERSON = uuid4(), uuid4(), uuid4()
THEN = datetime(2026, 1, 1, tzinfo=UTC)
SEAT = {"seat_sequence": 1, "capacity": 10, "seats_held": 1}


def facts(status: MemberStatus) -> dict[str, object]:
    return {
        "member_id": MEMBER,
        "community_id": COMMUNITY,
        "person_id": PERSON,
        "status": status,
        "admitted_at": THEN,
        "time_zone": "Europe/Berlin",
        "locale": "de",
    }


def story() -> list[Event[EventBody]]:
    admitted = MemberAdmitted(
        **facts(MemberStatus.ACTIVE),
        **SEAT,
        via=Admission.APPLICATION,
        application_id=uuid4(),
        requirements_version=1,
    )
    suspended = MemberSuspended(**facts(MemberStatus.SUSPENDED), until=THEN)
    left = MemberLeft(**facts(MemberStatus.LEFT), **SEAT)
    return [
        event_of(body, MEMBER, sequence=n) for n, body in enumerate([admitted, suspended, left], 1)
    ]


async def copy_of(h: Harness, member_id: UUID = MEMBER) -> circle.Member | None:
    async with h.database.begin() as uow:
        return (await circle.members(uow, [member_id])).get(member_id)


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("together", [True, False])
async def test_the_highest_sequence_stands_in_any_order(
    h: Harness, order: tuple[int, ...], together: bool
) -> None:
    events = [story()[position] for position in order]
    if together:
        await h.deliver(*events)
    else:
        for event in events:
            await h.deliver(event)

    member = await copy_of(h)

    assert member is not None
    assert (member.status, member.sequence) == (MemberStatus.LEFT, 3)
    assert not member.active


@pytest.mark.parametrize("position", range(4))
async def test_erasure_wins_in_any_order(h: Harness, position: int) -> None:
    erased = MemberErased(member_id=MEMBER, community_id=COMMUNITY, person_id=PERSON, **SEAT)
    events = story()
    events.insert(position, event_of(erased, MEMBER, sequence=4))

    for event in events:
        await h.deliver(event)

    assert await copy_of(h) is None


async def blocked(h: Harness) -> bool:
    async with h.database.begin() as uow:
        return bool(await uow.rows(_BLOCKED))


@pytest.mark.parametrize("erased_first", [True, False])
async def test_erasure_wins_over_a_copy_that_is_written_at_the_same_moment(
    h: Harness, erased_first: bool
) -> None:
    erased = MemberErased(member_id=MEMBER, community_id=COMMUNITY, person_id=PERSON, **SEAT)
    deeds = [
        (circle.copy_members, story()[0]),
        (circle.forget_members, event_of(erased, MEMBER, sequence=4)),
    ]
    (first, event), (_, other) = deeds[::-1] if erased_first else deeds

    async with h.database.begin() as uow:
        await first([event], uow)
        second = asyncio.create_task(h.deliver(other))

        async def waits_or_is_done() -> bool:
            return second.done() or await blocked(h)

        await until(waits_or_is_done)
        assert not second.done(), "the second waits for the first"
    await second

    assert await copy_of(h) is None


async def test_a_command_waits_for_what_its_caller_saw_elsewhere(
    h: Harness, community: UUID
) -> None:
    (admitted, *_) = story()
    path, body = "/notes", {"community_id": community, "text": "x"}
    ann = person("ann", Role.MEMBER)

    early = await h.post(path, body, as_=ann, after=f"{MEMBER};1")
    await h.deliver(admitted)
    late = await h.post(path, body, as_=ann, after=f"{MEMBER};1")

    assert early.status_code == 503
    assert early.headers["Retry-After"] == "1"
    assert early.json()["type"] == "urn:coterie:problem:not-caught-up"
    assert late.status_code == 201


_BLOCKED = text(
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
