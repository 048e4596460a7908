"""Deadlines on both clocks: once, in order, stamped with the deadline."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from coterie_chassis.auth import Role
from coterie_chassis.errors import is_transient
from coterie_chassis.testing import Harness, event_of, person
from coterie_contracts.community import ClockAdvanced, ClockMode
from coterie_contracts.feedback import FeedbackSubmitted

from . import sample

ANN = person("ann", Role.MEMBER)
IMPORTER = person("ann", Role.MEMBER, Role.IMPORTER)
LONG_AGO = datetime(2010, 8, 25, 12, tzinfo=UTC)


@pytest.fixture
async def driven(h: Harness) -> UUID:
    community_id = uuid4()
    await h.know(community_id, mode="driven", now=LONG_AGO)
    return community_id


def note(community: UUID, remind_in_s: int) -> dict[str, object]:
    return {"community_id": community, "text": "x", "remind_in_s": remind_in_s}


async def reminders(h: Harness) -> list[tuple[UUID, datetime]]:
    return [
        (event.subject, event.time)
        for event in await h.published(FeedbackSubmitted)
        if event.sequence == 2
    ]


async def test_a_deadline_is_acted_on_once_when_it_comes(h: Harness, community: UUID) -> None:
    await h.post("/notes", note(community, 60), as_=ANN)
    assert await h.sweep() == 0

    later = datetime.now(UTC) + timedelta(seconds=61)
    assert await h.sweep(at=later) == 1
    assert await h.sweep(at=later) == 0

    assert len(await reminders(h)) == 1


async def test_a_driven_clock_acts_on_deadlines_before_a_later_command(
    h: Harness, driven: UUID
) -> None:
    first = await h.post("/notes", note(driven, 20), as_=IMPORTER, at=LONG_AGO)
    second = await h.post("/notes", note(driven, 10), as_=IMPORTER, at=LONG_AGO)
    assert await reminders(h) == []

    await h.post("/notes", note(driven, 500), as_=IMPORTER, at=LONG_AGO + timedelta(minutes=1))

    assert await reminders(h) == [
        (UUID(second.json()["note_id"]), LONG_AGO + timedelta(seconds=10)),
        (UUID(first.json()["note_id"]), LONG_AGO + timedelta(seconds=20)),
    ]


async def test_the_wall_clock_never_ends_what_a_driven_clock_has_not_reached(
    h: Harness, driven: UUID
) -> None:
    await h.post("/notes", note(driven, 60), as_=IMPORTER, at=LONG_AGO)

    assert await h.sweep() == 0


async def test_whether_anything_is_due_is_known_without_taking_it(
    h: Harness, community: UUID, driven: UUID
) -> None:
    sweeper, database = h.runtime.sweeper, h.runtime.database
    await h.post("/notes", note(community, 60), as_=ANN)
    await h.post("/notes", note(driven, 60), as_=IMPORTER, at=LONG_AGO)
    assert not await sweeper.has_due(database)

    async with database.begin() as uow:
        await uow.execute(_MOVE, {"community": driven, "now": LONG_AGO + timedelta(hours=1)})
    assert await sweeper.has_due(database)
    assert await h.sweep() == 1
    assert not await sweeper.has_due(database)

    await h.post("/notes", note(community, 0), as_=ANN)
    assert await sweeper.has_due(database)
    assert await h.sweep() == 1
    assert not await sweeper.has_due(database)


async def test_an_event_pushes_a_driven_clock(h: Harness, driven: UUID) -> None:
    await h.post("/notes", note(driven, 60), as_=IMPORTER, at=LONG_AGO)
    now = LONG_AGO + timedelta(hours=1)
    body = ClockAdvanced(community_id=driven, mode=ClockMode.DRIVEN, now=now)

    await h.deliver(event_of(body, driven, at=now, clock=ClockMode.DRIVEN))

    assert await h.sweep() == 1


async def test_what_an_event_made_due_is_acted_on_before_the_next_command(
    h: Harness, driven: UUID
) -> None:
    first = await h.post("/notes", note(driven, 60), as_=IMPORTER, at=LONG_AGO)
    now = LONG_AGO + timedelta(hours=1)
    body = ClockAdvanced(community_id=driven, mode=ClockMode.DRIVEN, now=now)
    await h.deliver(event_of(body, driven, at=now, clock=ClockMode.DRIVEN))
    assert await reminders(h) == [], "no sweep came yet"

    await h.post("/notes", note(driven, 60), as_=IMPORTER, at=LONG_AGO)

    due = LONG_AGO + timedelta(seconds=60)
    assert await reminders(h) == [(UUID(first.json()["note_id"]), due)]
    assert [event.time for event in await h.published(FeedbackSubmitted)] == [LONG_AGO, due, now]


async def test_a_driven_clock_never_goes_back(h: Harness, driven: UUID) -> None:
    later = LONG_AGO + timedelta(days=1)
    await h.post("/notes", note(driven, 10**6), as_=IMPORTER, at=later)

    await h.post("/notes", note(driven, 10**6), as_=IMPORTER, at=LONG_AGO)

    assert [event.time for event in await h.published(FeedbackSubmitted)] == [later, later]


async def clock_of(h: Harness, community_id: UUID) -> tuple[str, datetime]:
    async with h.database.begin() as uow:
        (row,) = await uow.rows(
            text("SELECT mode, now FROM community_clock WHERE community_id = :id"),
            {"id": community_id},
        )
    return row.mode, row.now


@pytest.mark.parametrize("stands_at", [LONG_AGO, datetime.now(UTC) + timedelta(days=400)])
async def test_only_going_live_ends_a_driven_clock(h: Harness, stands_at: datetime) -> None:
    driven = uuid4()
    await h.know(driven, mode="driven", now=stands_at)
    await h.post("/notes", note(driven, 60), as_=IMPORTER)
    now = datetime.now(UTC)
    said = FeedbackSubmitted(
        feedback_id=uuid4(), community_id=driven, author_id=uuid4(), objective_id=None
    )

    await h.deliver(event_of(said, said.feedback_id, at=now))
    assert await clock_of(h, driven) == ("driven", stands_at)
    assert await h.sweep() == 0, "read before the news that the community went live"

    pushed = ClockAdvanced(community_id=driven, mode=ClockMode.DRIVEN, now=stands_at)
    live = ClockAdvanced(community_id=driven, mode=ClockMode.WALL, now=now)
    await h.deliver(event_of(live, driven, at=now), event_of(pushed, driven, at=stands_at))
    assert await clock_of(h, driven) == ("wall", now)


async def test_only_an_importer_says_when_it_happened(h: Harness, driven: UUID) -> None:
    answer = await h.post("/notes", note(driven, 1), as_=ANN, at=LONG_AGO + timedelta(days=1))

    assert answer.status_code == 403


async def test_nobody_says_when_it_happened_on_the_wall_clock(h: Harness, community: UUID) -> None:
    answer = await h.post("/notes", note(community, 1), as_=IMPORTER, at=LONG_AGO)

    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:coterie:problem:clock-not-driven"


async def test_cancelling_never_waits_for_a_sweep_that_has_the_deadline(
    h: Harness, community: UUID
) -> None:
    answer = await h.post("/notes", note(community, 60), as_=ANN)
    note_id = UUID(answer.json()["note_id"])

    async with h.database.begin() as sweep:
        assert await sweep.rows(text("SELECT 1 AS held FROM deadline FOR UPDATE"))
        async with asyncio.timeout(2), h.database.begin() as command:
            command.cancel("note.remind", note_id)

    async with h.database.begin() as command:
        command.cancel("note.remind", note_id)
    assert await h.sweep(at=datetime.now(UTC) + timedelta(seconds=61)) == 0


async def failed(h: Harness) -> list[tuple[UUID, str]]:
    async with h.database.begin() as uow:
        rows = await uow.rows(
            text("SELECT aggregate_id, error FROM failed_deadline WHERE state = 'open' ORDER BY id")
        )
    return [(row.aggregate_id, row.error) for row in rows]


async def waiting(h: Harness) -> int:
    async with h.database.begin() as uow:
        return int((await uow.execute(text("SELECT count(*) FROM deadline"))).scalar_one())


async def noted(
    h: Harness, community: UUID, *seconds: int, at: datetime | None = None
) -> list[UUID]:
    caller = IMPORTER if at is not None else ANN
    answers = [await h.post("/notes", note(community, s), as_=caller, at=at) for s in seconds]
    return [UUID(answer.json()["note_id"]) for answer in answers]


ERRORS = {"KeyError", "IntegrityError", "LeakedCancellation"}
DEFECTS = {
    "raises": sample.POISON,
    "cannot be written": sample.UNWRITABLE,
    "leaks a cancellation": sample.CANCELLED,
}


@pytest.mark.parametrize("defect", DEFECTS)
@pytest.mark.parametrize("size", [1, 2, 7])
async def test_a_failing_deadline_holds_up_no_other_on_the_wall_clock(
    h: Harness, community: UUID, size: int, defect: str
) -> None:
    notes = await noted(h, community, *range(60, 60 + size))
    culprit = notes[size // 2]
    DEFECTS[defect].add(culprit)
    later = datetime.now(UTC) + timedelta(seconds=100)

    assert await h.sweep(at=later) == size
    assert await h.sweep(at=later) == 0

    assert {subject for subject, _ in await reminders(h)} == set(notes) - {culprit}
    ((aggregate, error),) = await failed(h)
    assert aggregate == culprit
    assert error.partition(":")[0].split()[0] in ERRORS
    assert await waiting(h) == 0


@pytest.mark.parametrize("defect", DEFECTS)
async def test_a_failing_deadline_of_a_driven_clock_costs_the_command_nothing(
    h: Harness, driven: UUID, defect: str
) -> None:
    notes = await noted(h, driven, 10, 20, 30, at=LONG_AGO)
    DEFECTS[defect].add(notes[1])

    answer = await h.post(
        "/notes", note(driven, 10**6), as_=IMPORTER, at=LONG_AGO + timedelta(minutes=1)
    )

    assert answer.status_code == 201
    assert await reminders(h) == [
        (notes[0], LONG_AGO + timedelta(seconds=10)),
        (notes[2], LONG_AGO + timedelta(seconds=30)),
    ]
    assert [aggregate for aggregate, _ in await failed(h)] == [notes[1]]


async def test_a_failing_deadline_of_a_driven_clock_holds_up_no_sweep(
    h: Harness, driven: UUID
) -> None:
    notes = await noted(h, driven, 10, 20, at=LONG_AGO)
    sample.POISON.add(notes[0])
    now = LONG_AGO + timedelta(hours=1)
    body = ClockAdvanced(community_id=driven, mode=ClockMode.DRIVEN, now=now)
    await h.deliver(event_of(body, driven, at=now, clock=ClockMode.DRIVEN))

    assert await h.sweep() == 2

    assert [subject for subject, _ in await reminders(h)] == [notes[1]]
    assert [aggregate for aggregate, _ in await failed(h)] == [notes[0]]


@pytest.mark.parametrize("on", ["wall", "driven"])
async def test_what_passes_by_itself_is_tried_again_and_not_set_aside(
    h: Harness, community: UUID, driven: UUID, on: str
) -> None:
    where, at = (community, None) if on == "wall" else (driven, LONG_AGO)
    (note_id,) = await noted(h, where, 60, at=at)
    if at is not None:
        now = LONG_AGO + timedelta(hours=1)
        body = ClockAdvanced(community_id=driven, mode=ClockMode.DRIVEN, now=now)
        await h.deliver(event_of(body, driven, at=now, clock=ClockMode.DRIVEN))
    sample.PASSING.add(note_id)
    later = datetime.now(UTC) + timedelta(seconds=61)

    with pytest.raises(ConnectionResetError) as passing:
        await h.sweep(at=later)

    assert is_transient(passing.value)
    assert await waiting(h) == 1
    sample.mend()
    assert await h.sweep(at=later) == 1
    assert await failed(h) == []
    assert len(await reminders(h)) == 1


async def test_a_redriven_deadline_is_stamped_with_its_own_time(h: Harness, driven: UUID) -> None:
    (note_id,) = await noted(h, driven, 10, at=LONG_AGO)
    sample.POISON.add(note_id)
    await noted(h, driven, 10**6, at=LONG_AGO + timedelta(days=1))
    async with h.database.begin() as uow:
        id_ = (await uow.execute(text("SELECT id FROM failed_deadline"))).scalar_one()
    assert not await h.runtime.sweeper.redrive(h.database, id_)
    sample.mend()

    assert await h.runtime.sweeper.redrive(h.database, id_)

    assert await reminders(h) == [(note_id, LONG_AGO + timedelta(seconds=10))]
    assert await failed(h) == []
    assert not await h.runtime.sweeper.redrive(h.database, id_), "it takes effect once"


async def test_a_deadline_of_a_kind_that_is_not_known_here_is_left_to_who_knows_it(
    h: Harness, community: UUID, driven: UUID
) -> None:
    async with h.database.begin() as uow:
        uow.schedule("newer.kind", community, community, uow.now - timedelta(days=1))
        uow.schedule("newer.kind", driven, driven, LONG_AGO - timedelta(days=1))

    assert await h.sweep() == 0
    await noted(h, driven, 10**6, at=LONG_AGO + timedelta(days=1))

    assert await waiting(h) == 3


async def test_a_query_acts_on_no_deadline(h: Harness, driven: UUID) -> None:
    await noted(h, driven, 10, at=LONG_AGO)
    now = LONG_AGO + timedelta(hours=1)
    body = ClockAdvanced(community_id=driven, mode=ClockMode.DRIVEN, now=now)
    await h.deliver(event_of(body, driven, at=now, clock=ClockMode.DRIVEN))

    assert (await h.get(f"/communities/{driven}/notes", as_=ANN)).status_code == 200

    assert await waiting(h) == 1


_MOVE = text("UPDATE community_clock SET now = :now WHERE community_id = :community")
