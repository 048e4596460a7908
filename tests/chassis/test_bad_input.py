"""What no service can store or count with is refused at the border, in words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import func, select

from coterie_chassis.auth import Role
from coterie_chassis.decisions import Refusal
from coterie_chassis.http import PageRequest
from coterie_chassis.testing import Harness, person
from coterie_chassis.texts import Impersonal, Moment, check_storable

from . import sample

ANN = person("ann", Role.MEMBER)
IMPORTER = person("ann", Role.MEMBER, Role.IMPORTER)
SOME_ID = str(uuid4())


async def notes(h: Harness) -> int:
    async with h.database.begin() as uow:
        return int((await uow.execute(select(func.count()).select_from(sample.note))).scalar_one())


@pytest.mark.parametrize("text", ["a\x00b", "\ud83d", "\udeb2 half"])
async def test_a_text_that_cannot_be_stored_is_refused(
    h: Harness, community: UUID, text: str
) -> None:
    body = {"community_id": community, "text": text}

    answer = await h.post("/notes", body, as_=ANN)

    assert answer.status_code == 422, answer.text
    assert answer.json()["type"] == "urn:coterie:problem:invalid-request"
    assert "surrogate" in answer.json()["detail"]
    assert await notes(h) == 0


async def test_the_whole_of_unicode_is_stored(h: Harness, community: UUID) -> None:
    text = "🚲 自転車 عَرَبِيّ \u202e\u0301 \u2028"

    answer = await h.post("/notes", {"community_id": community, "text": text}, as_=ANN)

    assert answer.json()["text"] == text.strip()


async def test_a_field_whose_name_cannot_be_shown_is_refused(h: Harness, community: UUID) -> None:
    body = {"community_id": community, "text": "x", "\ud800": 1}

    assert (await h.post("/notes", body, as_=ANN)).status_code == 422


@pytest.mark.parametrize("content", [b'{"text": "\xff"}', b"{", b"[" * 60_000, b"9" * 5_000, b""])
async def test_what_is_no_json_is_refused(h: Harness, content: bytes) -> None:
    request = h.client.build_request(
        "POST", "/notes", content=content, headers={"Content-Type": "application/json"}
    )
    shown = await h.post("/notes", {}, as_=ANN)
    request.headers["Authorization"] = shown.request.headers["Authorization"]

    answer = await h.client.send(request)

    assert answer.status_code in {400, 422}, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("depth", [150, 300, 900])
async def test_what_is_nested_too_deeply_is_refused(
    h: Harness, community: UUID, depth: int
) -> None:
    text: Any = "x"
    for _ in range(depth):
        text = [text]

    answer = await h.post("/notes", {"community_id": community, "text": text}, as_=ANN)

    assert answer.status_code in {400, 422}, answer.text
    assert len(answer.content) < 10_000


@pytest.mark.parametrize(
    "value", [{"a": ["\x00"]}, [[["\udfff"]]], {"\x00": 1}, ("x", {"y": {"z": "\ud800"}})]
)
def test_every_depth_is_looked_at(value: Any) -> None:
    with pytest.raises(ValueError, match="null character"):
        check_storable(value)


@pytest.mark.parametrize("year", ["0001", "1969", "2200", "9999"])
async def test_a_time_that_nothing_can_be_counted_from_is_refused(
    h: Harness, community: UUID, year: str
) -> None:
    with pytest.raises(ValidationError, match="between 1970 and 2200"):
        TypeAdapter(Moment).validate_python(f"{year}-06-01T12:00:00+14:00")
    at = datetime(int(year), 6, 1, tzinfo=UTC)

    answer = await h.post("/notes", {"community_id": community, "text": "x"}, as_=IMPORTER, at=at)

    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("Write to ann@example.com", "an e-mail address"),
        ("Call +49 (0)30 123 45 67", "a telephone number"),
        ("From 01.02.2026 12:30 on, order 4711-0815, see shop@home", None),
        ("2 + 2 = 4, +5 % more", None),
    ],
)
def test_texts_that_events_carry_hold_no_address_and_no_number(text: str, held: str | None) -> None:
    impersonal = Impersonal.func
    if held is None:
        assert impersonal(text) == text  # type: ignore[call-arg]
    else:
        with pytest.raises(ValueError, match=held):
            impersonal(text)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("tag", "status"),
    [("*", 200), ('"1"', 200), ('W/"1"', 200), ('"7", "1"', 200), ('"7"', 412), ("", 412)],
)
async def test_if_match_names_one_or_more_versions_or_any(
    h: Harness, community: UUID, tag: str, status: int
) -> None:
    body = {"community_id": community, "text": "x"}
    written = await h.post("/notes", body, as_=ANN)
    sent = written.request.headers

    answer = await h.client.put(
        f"/notes/{written.json()['note_id']}",
        json={**body, "community_id": str(community)},
        headers={"Authorization": sent["Authorization"], "If-Match": tag},
    )

    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    "cursor",
    [
        {},
        {"at": "2024-01-01T00:00:00", "id": SOME_ID},
        {"at": "9999-12-31T23:59:59-14:00", "id": SOME_ID},
        {"at": [], "id": SOME_ID},
        {"at": "2024-01-01T00:00:00Z", "id": "\ud800"},
    ],
)
def test_a_position_that_no_page_ended_with_is_refused(cursor: dict[str, Any]) -> None:
    with pytest.raises(Refusal, match="invalid-cursor"):
        PageRequest(1, cursor).after(at=datetime, id=UUID)


@pytest.mark.parametrize("number", [True, 1.5, "1", 2**63, None])
def test_a_position_by_number_is_a_number_that_a_column_holds(number: object) -> None:
    assert PageRequest(1, {"n": -7}).after(n=int) == (-7,)
    with pytest.raises(Refusal, match="invalid-cursor"):
        PageRequest(1, {"n": number}).after(n=int)
