"""Gift codes: sealed at rest, given once, seen by nobody but their beneficiary."""

from __future__ import annotations

import logging
from uuid import UUID, uuid4

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import text

from coterie_chassis.auth import Role
from coterie_chassis.testing import person
from coterie_recognition.vault import SealBroken, Vault

from .circle import Circle

SECRET = "TOP-SECRET-4711"


def test_a_seal_opens_only_in_its_own_row() -> None:
    vault, row = Vault({"a": b"k" * 32}), uuid4()
    key_id, sealed = vault.seal(row, SECRET)

    assert SECRET.encode() not in sealed
    assert vault.open(row, key_id, sealed) == SECRET
    with pytest.raises(SealBroken, match="does not fit") as broken:
        vault.open(uuid4(), key_id, sealed)
    assert SECRET not in str(broken.value)
    with pytest.raises(SealBroken, match="no key"):
        vault.open(row, "gone", sealed)


def test_older_keys_still_open_and_recognise_a_second_copy() -> None:
    row, old = uuid4(), Vault({"old": b"o" * 32})
    both = Vault({"new": b"n" * 32, "old": b"o" * 32})
    key_id, sealed = old.seal(row, SECRET)

    assert both.open(row, key_id, sealed) == SECRET
    assert both.seal(row, SECRET)[0] == "new"
    assert old.fingerprints(SECRET)[0] in both.fingerprints(SECRET)


async def given(circle: Circle, *codes: str) -> tuple[UUID, str]:
    """A member with an issued coffee card; the member and the reward's id."""
    (ada,) = await circle.admit("ada")
    await circle.budget(10_000)
    await circle.fill("Coffee card", *codes)
    await circle.h.deliver(circle.verified(uuid4(), ada))
    (coffee,) = await circle.rewards("Coffee card")
    assert coffee["status"] == "issued"
    return ada, str(coffee["reward_id"])


async def test_a_code_stands_in_no_table_event_log_trace_error_or_stored_answer(
    circle: Circle, caplog: pytest.LogCaptureFixture, spans: InMemorySpanExporter
) -> None:
    caplog.set_level(logging.DEBUG)
    ada, reward_id = await given(circle, SECRET)
    twice = await circle.post(f"/rewards/{reward_id}/reveal", as_=circle.as_(ada), key="k")
    assert twice.json()["code"] == SECRET
    pool = (await circle.get(f"/communities/{circle.community_id}/pools")).json()[0]
    refused = await circle.post(f"/pools/{pool['pool_id']}/codes", {"codes": [SECRET, "a"]})
    assert refused.status_code == 422
    again = await circle.post(f"/pools/{pool['pool_id']}/codes", {"codes": [SECRET]})
    assert again.json()["type"] == "urn:coterie:problem:code-already-there"

    for answer in (refused, again, await circle.get(f"/rewards/{reward_id}")):
        assert SECRET not in answer.text
    own = [record for record in caplog.records if not record.name.startswith("asyncio")]
    assert all(SECRET not in record.getMessage() for record in own)
    traced = spans.get_finished_spans()
    assert len([span for span in traced if span.kind is trace.SpanKind.SERVER]) > 5
    assert all(SECRET not in span.to_json() for span in traced)
    async with circle.h.database.begin() as uow:
        tables = await uow.rows(
            text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        )
        assert len(tables) > 20
        for table in tables:
            found = text(f'SELECT t::text AS line FROM "{table.tablename}" AS t')  # noqa: S608 - a table's name
            for row in await uow.rows(found):
                assert SECRET not in row.line
                assert SECRET.encode().hex() not in row.line


async def test_the_beneficiary_alone_reveals_and_each_time_is_recorded(circle: Circle) -> None:
    ada, reward_id = await given(circle, SECRET)
    (ben,) = await circle.admit("ben")
    path = f"/rewards/{reward_id}/reveal"

    assert (await circle.post(path, as_=circle.as_(ben))).status_code == 404
    assert (await circle.post(path, as_=circle.manager)).status_code == 403
    stranger = person("other-manager", Role.MANAGER, brand=uuid4())
    assert (await circle.post(path, as_=stranger)).status_code == 404
    assert (await circle.post(path, as_=None)).status_code == 401
    for key in ("one", "one", None):
        assert (await circle.post(path, as_=circle.as_(ada), key=key)).json()["code"] == SECRET

    async with circle.h.database.begin() as uow:
        reveals = await uow.rows(text("SELECT actor FROM reveal"))
    assert [row.actor for row in reveals] == [circle.as_(ada).actor] * 3


async def test_an_erased_members_code_is_wiped(circle: Circle) -> None:
    ada, reward_id = await given(circle, SECRET)

    await circle.h.deliver(circle.erased(ada))

    answer = await circle.post(f"/rewards/{reward_id}/reveal", as_=circle.as_(ada))
    assert SECRET not in answer.text
    async with circle.h.database.begin() as uow:
        (code,) = await uow.rows(text("SELECT sealed, reward_id FROM gift_code"))
    assert (code.sealed, str(code.reward_id)) == (None, reward_id)


async def test_a_code_is_never_given_twice(circle: Circle) -> None:
    members = await circle.admit(*(f"member {n}" for n in range(20)))
    await circle.budget(100_000)
    await circle.fill("Coffee card", *(f"CODE-{n}" for n in range(12)))

    await circle.h.deliver(*(circle.verified(uuid4(), member) for member in members))

    shown = []
    for reward in await circle.rewards("Coffee card"):
        if reward["status"] == "issued":
            who = circle.as_(UUID(reward["member_id"]))
            answer = await circle.post(f"/rewards/{reward['reward_id']}/reveal", as_=who)
            shown.append(answer.json()["code"])
    assert sorted(shown) == sorted(f"CODE-{n}" for n in range(12))
