"""What cannot take effect is kept, holds back its key and nothing else, and comes back in order."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from coterie_chassis.auth import Role
from coterie_chassis.deadletter import Limits, Record
from coterie_chassis.errors import ConfigurationFault, HaltedConsumer
from coterie_chassis.redrive import drop_letter, redrive_letter
from coterie_chassis.testing import Harness, event_of, person, record_of
from coterie_contracts.member import MemberErased

from . import sample
from .facts import COMMUNITY, fact, heard


async def test_an_event_takes_effect_once_however_often_it_comes(h: Harness) -> None:
    event = fact(uuid4())

    await h.deliver(event, event)
    await h.deliver(event)

    assert await heard(h) == [(event.subject, 1)]


@pytest.mark.parametrize("size", [1, 2, 7, 64])
async def test_a_poison_event_costs_its_neighbours_nothing(h: Harness, size: int) -> None:
    events = [fact(uuid4()) for _ in range(size)]
    culprit = events[size // 2]
    sample.POISON.add(culprit.id)

    await h.deliver(*events)

    assert {subject for subject, _ in await heard(h)} == {
        event.subject for event in events if event is not culprit
    }
    (letter,) = await h.dead_letters()
    assert (letter.event_id, letter.kind) == (culprit.id, "bug")
    assert "a defect in the handler" in letter.error


async def test_a_refused_event_costs_its_neighbours_nothing(h: Harness) -> None:
    events = [fact(uuid4()) for _ in range(5)]
    sample.REFUSED.add(events[2].id)

    await h.deliver(*events)

    assert len(await heard(h)) == 4
    (letter,) = await h.dead_letters()
    assert (letter.event_id, letter.kind) == (events[2].id, "refused")
    assert "not-heard" in letter.error


async def test_an_oversize_event_is_a_refusal_of_its_cause_and_no_halt(h: Harness) -> None:
    events = [fact(uuid4()) for _ in range(5)]
    sample.HUGE.add(events[3].id)

    await h.deliver(*events)

    assert len(await heard(h)) == 4
    (letter,) = await h.dead_letters()
    assert (letter.event_id, letter.kind) == (events[3].id, "refused")
    assert "event-too-large" in letter.error
    assert await h.published() == []


@pytest.mark.parametrize("defect", ["UNWRITABLE", "CANCELLED"])
async def test_whatever_an_event_breaks_it_alone_is_set_aside(h: Harness, defect: str) -> None:
    """A row that no table takes shows at the commit; a leaked cancellation would end the loop."""
    events = [fact(uuid4()) for _ in range(7)]
    getattr(sample, defect).add(events[5].id)

    await h.deliver(*events)

    assert {subject for subject, _ in await heard(h)} == {
        event.subject for event in events if event is not events[5]
    }
    (letter,) = await h.dead_letters()
    assert (letter.event_id, letter.kind) == (events[5].id, "bug")


async def test_what_passes_by_itself_makes_no_letter(h: Harness) -> None:
    events = [fact(uuid4()) for _ in range(3)]
    sample.PASSING.add(events[1].id)

    with pytest.raises(ConnectionResetError):
        await h.deliver(*events)

    assert await h.dead_letters() == []
    sample.mend()
    await h.deliver(*events)
    assert len(await heard(h)) == 3


async def test_a_community_is_learnt_although_its_first_batch_had_to_come_again(
    h: Harness,
) -> None:
    first = fact(uuid4())
    sample.PASSING.add(first.id)
    with pytest.raises(ConnectionResetError):
        await h.deliver(first)
    sample.mend()

    await h.deliver(first)

    answer = await h.get(f"/communities/{COMMUNITY}/notes", as_=person("ann", Role.MEMBER))
    assert answer.status_code == 200


async def test_finding_the_culprit_costs_logarithmically_many_statements(h: Harness) -> None:
    events = [fact(uuid4()) for _ in range(256)]
    sample.POISON.add(events[100].id)

    with h.statements() as counter:
        await h.deliver(*events)

    assert len(await h.dead_letters()) == 1
    assert counter.count <= 20 + 5 * 8, counter.count


async def test_later_events_of_the_key_wait_and_other_keys_flow(h: Harness) -> None:
    stuck, free = uuid4(), uuid4()
    first = fact(stuck, 1)
    sample.POISON.add(first.id)

    await h.deliver(first, fact(stuck, 2), fact(free, 1))
    await h.deliver(fact(stuck, 3), fact(free, 2))

    assert await heard(h) == [(free, 1), (free, 2)]
    letters = await h.dead_letters()
    assert [letter.kind for letter in letters] == ["bug", "parked", "parked"]
    assert {letter.subject for letter in letters} == {stuck}


async def test_redrive_applies_the_culprit_and_its_followers_in_order(h: Harness) -> None:
    subject = uuid4()
    first = fact(subject, 1)
    sample.POISON.add(first.id)
    await h.deliver(first, fact(subject, 2))
    await h.deliver(fact(subject, 3))
    (culprit, *_) = await h.dead_letters()
    sample.POISON.clear()

    assert await redrive_letter(h.runtime, culprit.id) == (3, 0)

    assert await heard(h) == [(subject, 1), (subject, 2), (subject, 3)]
    await h.deliver(fact(subject, 4))
    assert (await heard(h))[-1] == (subject, 4)


async def test_a_redrive_that_fails_again_leaves_everything_parked(h: Harness) -> None:
    subject = uuid4()
    first = fact(subject, 1)
    sample.POISON.add(first.id)
    await h.deliver(first, fact(subject, 2))

    assert await redrive_letter(h.runtime, (await h.dead_letters())[0].id) == (0, 2)

    assert await heard(h) == []
    assert len(await h.dead_letters()) == 2


async def test_dropping_needs_a_reason_and_releases_the_followers(h: Harness) -> None:
    subject = uuid4()
    first = fact(subject, 1)
    sample.POISON.add(first.id)
    await h.deliver(first, fact(subject, 2))
    (culprit, _) = await h.dead_letters()

    with pytest.raises(ConfigurationFault, match="a reason and an author"):
        await drop_letter(h.runtime, culprit.id, " ", "ann")
    assert await drop_letter(h.runtime, culprit.id, "sent by mistake", "ann") == (1, 0)

    assert await heard(h) == [(subject, 2)]
    assert await h.dead_letters() == []


async def test_an_erasure_passes_a_parked_key_and_purges_it(h: Harness) -> None:
    subject = uuid4()
    first = fact(subject, 1)
    sample.POISON.add(first.id)
    await h.deliver(first, fact(subject, 2))
    assert len(await h.dead_letters()) == 2
    body = MemberErased(
        member_id=subject,
        community_id=COMMUNITY,
        person_id=uuid4(),
        seat_sequence=1,
        capacity=1,
        seats_held=0,
    )

    await h.deliver(event_of(body, subject, sequence=3))

    assert await h.dead_letters() == []


@pytest.mark.parametrize(
    ("spoil", "kind", "parks"),
    [
        (lambda r: replace(r, value=b"{"), "unreadable", True),
        (lambda r: replace(r, value=None), "unreadable", True),
        (lambda r: replace(r, headers=[]), "unreadable", False),
        (lambda r: replace(r, headers=[("ce_type", None)]), "unreadable", False),
        (lambda r: replace(r, headers=[("ce_type", b"\xff")]), "unreadable", False),
        (
            lambda r: replace(r, headers=_typed(r, b"coterie.feedback.submitted.v9")),
            "version",
            True,
        ),
        (lambda r: replace(r, headers=_typed(r, b"com.example.other")), "version", False),
    ],
)
async def test_unreadable_records_are_kept_with_their_bytes(
    h: Harness, spoil: object, kind: str, parks: bool
) -> None:
    good, bad = fact(uuid4()), fact(uuid4())
    spoilt: Record = spoil(record_of(bad))  # type: ignore[operator]

    await h.deliver_records(record_of(good), spoilt)
    await h.deliver_records(spoilt)

    assert await heard(h) == [(good.subject, 1)]
    (letter,) = await h.dead_letters()
    assert (letter.kind, letter.offset) == (kind, spoilt.offset)
    assert (letter.subject is not None) == parks
    assert letter.value == spoilt.value
    assert len(letter.headers) == len(spoilt.headers)


def _typed(record: Record, type_: bytes) -> list[tuple[str, bytes | None]]:
    return [(name, type_ if name == "ce_type" else value) for name, value in record.headers]


async def test_the_lane_halts_at_the_limit_instead_of_draining(h: Harness) -> None:
    prompt = next(lane for lane in h.runtime.lanes if lane.lane == "prompt")
    prompt._limits = Limits(in_total=3)
    events = [fact(uuid4()) for _ in range(5)]
    sample.POISON.update(event.id for event in events)

    with pytest.raises(HaltedConsumer, match="open dead letters"):
        await h.deliver(*events)

    assert await h.dead_letters() == []
    sample.POISON.clear()
    await h.deliver(*events)
    assert len(await heard(h)) == 5


async def test_an_event_from_before_the_horizon_is_not_applied(h: Harness) -> None:
    old = UUID(int=(1_600_000_000_000 << 80) | (8 << 76) | (2 << 62) | 7)
    event = replace(fact(uuid4()), id=old)

    await h.deliver(event)

    assert await heard(h) == []
    assert await h.dead_letters() == []


@pytest.mark.parametrize("size", [1, 100])
async def test_a_batch_costs_a_constant_number_of_statements(h: Harness, size: int) -> None:
    await h.deliver(fact(uuid4()))

    with h.statements() as counter:
        await h.deliver(*(fact(uuid4()) for _ in range(size)))

    assert counter.count == 4, counter.statements


async def test_what_follows_from_a_replayed_event_is_marked_as_replayed(h: Harness) -> None:
    sample.ECHOING.add(COMMUNITY)
    original, replayed = fact(uuid4()), replace(fact(uuid4()), replayed=True)

    await h.deliver(original, replayed)

    assert {event.subject: event.replayed for event in await h.published()} == {
        original.subject: False,
        replayed.subject: True,
    }
