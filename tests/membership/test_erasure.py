"""Forgetting: from every state, for good, and without a way around a wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, text

from coterie_chassis.auth import Role
from coterie_chassis.tables import outbox
from coterie_chassis.testing import Harness, person
from coterie_contracts.member import MemberAdmitted, MemberErased, SeatLapsed
from coterie_contracts.model import EventBody

from .conftest import AGREED, BRAND, MANAGER, Circle, Founder, applicant

THEN = datetime(2010, 3, 2, 12, tzinfo=UTC)
ANN = applicant("ann")


async def erase(h: Harness, path: str, **options: Any) -> None:
    answer = await h.post(f"{path}/erase", **{"as_": ANN, **options})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"erased": True}


async def mentions(h: Harness, word: str) -> list[str]:
    """The tables of membership's own that hold a word."""
    found = []
    async with h.database.begin() as uow:
        for table in ("application", "member", "erased", "erased_application", "incarnation"):
            rows = await uow.rows(text(f"SELECT t::text AS line FROM {table} AS t"))  # noqa: S608 - names above
            found += [table for row in rows if word in row.line]
    return found


async def brought_to(h: Harness, circle: Circle, state: str) -> str:
    """Ann in a state; the path by which she is erased."""
    body = {**AGREED, "email": "ann@example.com"}
    if state in {"waitlisted", "offered"}:
        keeper = await circle.admit("keeper")
    if state == "submitted":
        body.pop("agreements")
    applied = (await circle.apply("ann", body)).json()
    if state == "offered":
        await h.post(f"/members/{keeper['member_id']}/leave", as_=applicant("keeper"))
    path = f"/applications/{applied['application_id']}"
    if applied["member_id"] is None:
        assert (await circle.show(applied["application_id"]))["status"] == state
        return path
    path = f"/members/{applied['member_id']}"
    if state == "suspended":
        await circle.do(f"{path}/suspend", {})
    elif state != "active":
        deed = {"left": "leave", "released": "release", "removed": "remove"}[state]
        await circle.do(f"{path}/{deed}", as_=ANN if deed == "leave" else MANAGER)
    assert (await h.get(path, as_=ANN)).json()["status"] == state
    return path


@pytest.mark.parametrize(
    "state",
    [
        "submitted",
        "waitlisted",
        "offered",
        "active",
        "suspended",
        "left",
        "released",
        "removed",
    ],
)
async def test_erasure_works_from_every_state_and_frees_the_seat(
    h: Harness, found: Founder, state: str
) -> None:
    circle = await found(capacity=1)
    path = await brought_to(h, circle, state)
    person_id = str(ANN.person_id)
    assert await mentions(h, person_id)

    await erase(h, path)

    assert await mentions(h, person_id) == []
    assert await mentions(h, "ann@example.com") == []
    held = 1 if state == "waitlisted" else 0
    assert (await circle.seats())["held"] == held
    (erased,) = await h.published(MemberErased)
    assert (erased.data.person_id, erased.data.seats_held) == (ANN.person_id, held)
    assert len(await h.published(SeatLapsed)) == (state == "offered")
    assert (await h.get(path, as_=ANN)).status_code == 404


async def test_contact_data_gets_its_tombstone(h: Harness, found: Founder) -> None:
    circle = await found()
    path = await brought_to(h, circle, "active")

    await erase(h, path)

    async with h.database.begin() as uow:
        contact = outbox.c.topic == "member.contact"
        rows = await uow.rows(select(outbox).where(contact).order_by(outbox.c.id))
    assert [row.value is None for row in rows] == [False, True]
    assert {bytes(row.key).decode() for row in rows} == {path.removeprefix("/members/")}


async def test_a_freed_seat_goes_to_the_line_and_not_to_who_was_erased(
    h: Harness, found: Founder
) -> None:
    circle = await found(capacity=1)
    path = await brought_to(h, circle, "offered")
    bob = (await circle.apply("bob")).json()["application_id"]

    await erase(h, path)

    assert (await circle.show(bob))["status"] == "offered"
    assert await circle.seats() == {"capacity": 1, "held": 1, "free": 0, "waitlisted": 0}


async def test_a_history_told_again_brings_nobody_back(h: Harness, found: Founder) -> None:
    circle = await found(clock="driven", at=THEN)
    ann = (await circle.apply("ann", at=THEN, key="history:ann")).json()
    await erase(h, f"/members/{ann['member_id']}", at=THEN)
    before = len(await h.published(EventBody))
    async with h.database.begin() as uow:
        await uow.execute(text("DELETE FROM idempotency"))

    replayed = await circle.apply("ann", at=THEN, key="history:ann")

    assert replayed.status_code == 410
    assert len(await h.published(EventBody)) == before


async def test_who_applies_anew_is_another_member(h: Harness, found: Founder) -> None:
    circle = await found()
    first = (await circle.admit("ann"))["member_id"]
    await erase(h, f"/members/{first}")

    second = (await circle.admit("ann"))["member_id"]
    await erase(h, f"/members/{second}")
    third = (await circle.admit("ann"))["member_id"]

    assert len({first, second, third}) == 3
    assert [str(e.subject) for e in await h.published(MemberAdmitted)] == [first, second, third]


@pytest.mark.parametrize(("deed", "days"), [("remove", 180), ("suspend", 14), ("decline", 90)])
async def test_erasing_oneself_shortens_no_wait(
    h: Harness, found: Founder, deed: str, days: int
) -> None:
    circle = await found(clock="driven", at=THEN)
    if deed == "decline":
        ann = (await circle.apply("ann", {}, at=THEN)).json()["application_id"]
        path = f"/applications/{ann}"
        await circle.do(f"{path}/decline", {"reason": "No."}, at=THEN)
    else:
        path = f"/members/{(await circle.apply('ann', at=THEN)).json()['member_id']}"
        await circle.do(f"{path}/{deed}", {} if deed == "suspend" else None, at=THEN)

    await erase(h, path, at=THEN)

    early = await circle.apply("ann", at=THEN + timedelta(days=days, minutes=-1))
    assert early.status_code == 409
    assert (await circle.apply("ann", at=THEN + timedelta(days=days))).status_code == 201


async def test_only_the_person_and_their_manager_may_erase(h: Harness, found: Founder) -> None:
    circle = await found()
    path = f"/members/{(await circle.admit('ann'))['member_id']}"

    assert (await h.post(f"{path}/erase", as_=applicant("bob"))).status_code == 404
    assert (await h.post(f"/members/{uuid4()}/erase", as_=ANN)).status_code == 404
    assert (await h.get(path, as_=ANN)).status_code == 200
    await erase(h, path, as_=MANAGER)
    await erase(h, path, as_=MANAGER)
    assert len(await h.published(MemberErased)) == 1


async def test_who_was_erased_is_answered_again_and_strangers_learn_nothing(
    h: Harness, found: Founder
) -> None:
    circle = await found()
    elsewhere = person("eve", Role.MANAGER, brand=uuid4())
    host = person("hal", Role.HOST, brand=BRAND)
    path = f"/members/{(await circle.admit('ann'))['member_id']}"
    application = (await circle.apply("bob", {})).json()["application_id"]
    await erase(h, path)
    await erase(h, f"/applications/{application}", as_=applicant("bob"))

    for gone, owner in ((path, ANN), (f"/applications/{application}", applicant("bob"))):
        await erase(h, gone, as_=owner)
        await erase(h, gone, as_=MANAGER)
        for who, status in ((applicant("eve"), 404), (elsewhere, 404), (host, 403)):
            assert (await h.post(f"{gone}/erase", as_=who)).status_code == status
    assert len(await h.published(MemberErased)) == 2


async def test_an_erasure_says_what_other_services_may_wait_for(h: Harness, found: Founder) -> None:
    circle = await found()
    member = (await circle.admit("ann"))["member_id"]

    answer = await h.post(f"/members/{member}/erase", as_=ANN)

    (erased,) = await h.published(MemberErased)
    assert answer.headers["Coterie-Position"] == f"{erased.subject};{erased.sequence}"


async def test_a_ban_is_kept_as_a_keyed_hash_that_stands_in_no_event(
    h: Harness, found: Founder
) -> None:
    circle = await found()
    path = await brought_to(h, circle, "removed")
    await erase(h, path)

    async with h.database.begin() as uow:
        (kept,) = await uow.rows(text("SELECT * FROM incarnation"))
        lines = [
            row.line
            for table in ("outbox", "deadline", "erased", "community", "community_clock")
            for row in await uow.rows(text(f"SELECT t::text AS line FROM {table} AS t"))  # noqa: S608 - names above
        ]
        values = [bytes(row.value) for row in await uow.rows(select(outbox)) if row.value]
    unkeyed = sha256(f"{circle.id}:{ANN.person_id}".encode()).hexdigest()
    assert len(kept.identity_hash) == 64
    assert kept.identity_hash != unkeyed, "nobody without the key can test a guess"
    assert kept.reapply_after is not None
    assert not any(kept.identity_hash in line for line in lines)
    assert not any(kept.identity_hash.encode() in value for value in values)
