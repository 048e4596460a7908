"""What commands and deadlines cost, counted in statements; a change here is a decision."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from coterie_chassis.testing import Harness

from .conftest import MANAGER, Founder, applicant

THEN = datetime(2010, 3, 2, 12, tzinfo=UTC)
PURCHASE = {"kind": "purchase", "within_days": 30}

# Key and now, clock, community, earlier, identity, member, tree, line; saved 3, view 2, outcome
# and outbox.
ADMITTED = 14
# As above without a look at the line, without a member saved and shown.
WAITLISTED = 11
# Now, application, clock, community, application, identity, member; saved 3, outbox, view 2.
ACCEPTED = 13
# Now, taken; per deadline community, application, line, tree, saved 2; outbox, deadlines.
LAPSES, A_LAPSE = 4, 6


async def test_applying_costs_a_constant_number_of_statements(h: Harness, found: Founder) -> None:
    circle = await found(capacity=3)
    for number, wanted in enumerate([ADMITTED] * 3 + [WAITLISTED] * 3):
        with h.statements() as counter:
            answer = await circle.apply(f"person {number}", key="one")
        assert answer.status_code == 201
        assert counter.count == wanted, counter.statements


async def test_accepting_a_seat_costs_a_constant_number_of_statements(
    h: Harness, found: Founder
) -> None:
    circle = await found(capacity=3)
    members = [await circle.admit(f"member {n}") for n in range(3)]
    line = [(await circle.apply(f"person {n}")).json()["application_id"] for n in range(3)]
    for number, each in enumerate(members):
        caller = applicant(f"member {number}")
        await h.post(f"/members/{each['member_id']}/leave", as_=caller)
    for number, application in enumerate(line):
        with h.statements() as counter:
            path = f"/applications/{application}/accept-seat"
            answer = await h.post(path, as_=applicant(f"person {number}"))
        assert answer.json()["status"] == "admitted"
        assert counter.count == ACCEPTED, counter.statements


@pytest.mark.parametrize("line", [1, 12])
async def test_a_seat_that_lapses_costs_the_same_however_long_the_line(
    h: Harness, found: Founder, line: int
) -> None:
    circle = await found(capacity=1)
    ann = await circle.admit("ann")
    for number in range(1 + line):
        assert (await circle.apply(f"person {number}")).json()["status"] == "waitlisted"
    await h.post(f"/members/{ann['member_id']}/leave", as_=applicant("ann"))

    with h.statements() as counter:
        assert await h.sweep(at=datetime.now(UTC) + timedelta(days=4)) == 1

    after_the_last = 3  # now and nothing due; nothing driven
    assert counter.count - after_the_last - 1 == LAPSES + A_LAPSE, counter.statements


@pytest.mark.parametrize(("unready", "most"), [(2, 3), (16, 4), (60, 5)])
async def test_a_line_of_people_who_are_not_ready_is_read_in_few_statements(
    h: Harness, found: Founder, unready: int, most: int
) -> None:
    circle = await found(capacity=1, clock="driven", at=THEN, requirements=PURCHASE)
    people = [(await circle.apply(f"person {n}", {}, at=THEN)).json() for n in range(1 + unready)]
    for each in people:
        path = f"/applications/{each['application_id']}/verdicts"
        await circle.do(path, {"verdicts": {"root": "met"}}, at=THEN)
    (member,) = (await h.get(f"/communities/{circle.id}/members", as_=MANAGER)).json()["items"]
    path = f"/members/{member['member_id']}/leave"

    with h.statements() as counter:
        later = THEN + timedelta(days=60)
        assert (await h.post(path, as_=applicant("person 0"), at=later)).status_code == 200

    assert (await circle.seats())["waitlisted"] == unready
    reads = [one for one in counter.statements if "ORDER BY application.priority" in one]
    assert 0 < len(reads) <= most
