"""Whatever is sent, the answer is a problem document, never 500, and nothing was changed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from sqlalchemy import func, select

from coterie_chassis.auth import Role
from coterie_chassis.service import Service
from coterie_chassis.testing import Harness, _token, harness, person

from . import sample

ANN = person("ann", Role.MEMBER)
JSON = ("Content-Type", "application/json")
TEN_THOUSAND = "1" * 10_000


async def send(
    h: Harness,
    content: bytes | AsyncIterator[bytes] | None = None,
    *headers: tuple[str, str],
    method: str = "POST",
    path: str = "/notes",
) -> httpx2.Response:
    given: Sequence[tuple[str, str]] = [("Authorization", f"Bearer {_token(ANN)}"), *headers]
    return await h.client.request(method, path, content=content, headers=list(given))


@pytest.fixture(scope="module")
async def h(fresh_database: Callable[[Service], Awaitable[str]]) -> AsyncIterator[Harness]:
    """One for all: nothing here may leave a trace in another community."""
    async with harness(sample.service, await fresh_database(sample.service)) as running:
        yield running


async def notes(h: Harness, community: UUID) -> int:
    statement = select(func.count()).where(sample.note.c.community_id == community)
    async with h.database.begin() as uow:
        return int((await uow.execute(statement)).scalar_one())


def rule(answer: httpx2.Response) -> str:
    assert answer.headers["Content-Type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == answer.status_code
    assert document["title"]
    assert document["detail"]
    return str(document["type"]).removeprefix("urn:coterie:problem:")


def body(community: UUID, **changes: Any) -> bytes:
    return json.dumps({"community_id": str(community), "text": "x", **changes}).encode()


BROKEN = {
    "no JSON": (b"{", 422, "invalid-request"),
    "empty": (b"", 422, "invalid-request"),
    "not UTF-8": (b'{"text": "\xff\xfe"}', 400, "unreadable-body"),
    "nested": (b"[" * 30_000, 400, "unreadable-body"),
    "nested objects": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 400, "unreadable-body"),
    "a long number": (b'{"text": %s}' % TEN_THOUSAND.encode(), 400, "unreadable-body"),
    "a list": (b"[]", 422, "invalid-request"),
    "null": (b"null", 422, "invalid-request"),
    "a string": (b'"x"', 422, "invalid-request"),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_a_body_that_is_no_document_is_told_so(h: Harness, case: str) -> None:
    content, status, wanted = BROKEN[case]

    answer = await send(h, content, JSON)

    assert (answer.status_code, rule(answer)) == (status, wanted)
    assert len(answer.content) < 2_000, "no answer repeats what was sent"


VALUES = {
    "a zero character": {"text": "a\0b"},
    "a zero character deep inside": {"text": {"a": ["\0"]}},
    "half of a surrogate pair": {"text": "\ud800"},
    "a key with half of a surrogate pair": {"\udfff": 1},
    "a key with a zero character": {"\0": 1},
    "an unknown field": {"surprise": 1},
    "a long unknown field": {"s" * 20_000: 1},
    "many unknown fields": {f"field {n}": n for n in range(2_000)},
    "not a number": {"remind_in_s": float("nan")},
    "an infinite number": {"remind_in_s": float("inf")},
    "a huge number": {"remind_in_s": 10**100},
    "a wrong type": {"text": 7},
    "a missing field": {"text": None},
    "no UUID": {"community_id": "x" * 5_000},
}


@pytest.mark.parametrize("case", VALUES)
async def test_a_value_that_is_refused_names_its_field(
    h: Harness, community: UUID, case: str
) -> None:
    answer = await send(h, body(community, **VALUES[case]), JSON)

    assert (answer.status_code, rule(answer)) == (422, "invalid-request")
    assert answer.json()["faults"][0]["field"].startswith("body")
    assert len(answer.content) < 5_000
    assert await notes(h, community) == 0


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "", "/"]
)
async def test_another_content_type_is_named(
    h: Harness, community: UUID, content_type: str
) -> None:
    answer = await send(h, body(community), ("Content-Type", content_type))

    assert (answer.status_code, rule(answer)) == (415, "unsupported-media-type")
    assert "application/json" in answer.json()["detail"]


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
async def test_json_is_taken(h: Harness, community: UUID, content_type: str) -> None:
    assert (await send(h, body(community), ("Content-Type", content_type))).status_code == 201


@pytest.mark.parametrize(
    "name", ["Idempotency-Key", "Authorization", "If-Match", "Coterie-After", "Coterie-Occurred-At"]
)
async def test_a_header_that_decides_something_stands_once(
    h: Harness, community: UUID, name: str
) -> None:
    first = ("Authorization", "Bearer x") if name == "Authorization" else (name, "a")

    answer = await send(h, body(community), JSON, first, (name, "b"))

    assert (answer.status_code, rule(answer)) == (400, "repeated-header")
    assert name in answer.json()["detail"]
    assert await notes(h, community) == 0


HEADERS = {
    "an empty key": ("Idempotency-Key", ""),
    "a long key": ("Idempotency-Key", "k" * 201),
    "a position that is none": ("Coterie-After", "now"),
    "a position beyond all": ("Coterie-After", f"{uuid4()};{'9' * 19}"),
    "a naive time": ("Coterie-Occurred-At", "2026-01-01T00:00:00"),
    "no time": ("Coterie-Occurred-At", "yesterday"),
    "a time beyond all": ("Coterie-Occurred-At", "99999-01-01T00:00:00Z"),
}


@pytest.mark.parametrize("case", HEADERS)
async def test_a_wrong_header_is_named(h: Harness, community: UUID, case: str) -> None:
    answer = await send(h, body(community), JSON, HEADERS[case])

    assert (answer.status_code, rule(answer)) == (422, "invalid-request")
    assert answer.json()["faults"][0]["field"] == f"header.{HEADERS[case][0]}"


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_a_time_at_the_end_of_all_time_is_refused(
    h: Harness, community: UUID, time: str
) -> None:
    importer = person("ann", Role.MEMBER, Role.IMPORTER)
    headers = [
        ("Authorization", f"Bearer {_token(importer)}"),
        JSON,
        ("Coterie-Occurred-At", time),
    ]

    answer = await h.client.post("/notes", content=body(community), headers=headers)

    assert (answer.status_code, rule(answer)) == (422, "invalid-request")


CURSORS = ["x", "!!!", "bnVsbA", "W10", "e30", "WyJ4Il0", "eyJhZnRlciI6IDd9", "eyJhZnRlciI6ICJ4In0"]


@pytest.mark.parametrize("cursor", [*CURSORS, "W1tb" * 240, "MTEx" * 250, "é", "\0"])
async def test_a_cursor_of_nobodys_is_refused(h: Harness, community: UUID, cursor: str) -> None:
    path = f"/communities/{community}/notes"

    answer = await h.get(path, as_=ANN, params={"cursor": cursor})

    if cursor != "e30":  # an empty position is the first page
        assert (answer.status_code, rule(answer)) == (422, "invalid-cursor")


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "1e3", "1" * 5_000])
async def test_a_page_has_one_to_a_hundred_items(h: Harness, community: UUID, limit: str) -> None:
    answer = await h.get(f"/communities/{community}/notes", as_=ANN, params={"limit": limit})

    assert (answer.status_code, rule(answer)) == (422, "invalid-request")


async def test_pages_follow_each_other_to_the_end(h: Harness, community: UUID) -> None:
    for _ in range(5):
        assert (await send(h, body(community), JSON)).status_code == 201
    path, seen, cursor = f"/communities/{community}/notes", [], None
    while True:
        params = {"limit": 2} | ({} if cursor is None else {"cursor": cursor})
        page = (await h.get(path, as_=ANN, params=params)).json()
        seen += [item["note_id"] for item in page["items"]]
        if (cursor := page.get("next")) is None:
            break

    assert len(seen) == len(set(seen)) == 5


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "BREW"])
async def test_a_method_that_is_not_there_names_those_that_are(h: Harness, method: str) -> None:
    answer = await send(h, None, method=method, path="/notes")

    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"
    assert method == "HEAD" or rule(answer) == "method-not-allowed"


@pytest.mark.parametrize("path", ["/notes/x", "/notes/%00", "/notes/%ff", "/notes/" + "7" * 5_000])
async def test_a_path_that_is_no_id_is_refused(h: Harness, path: str) -> None:
    answer = await send(h, None, method="GET", path=path)

    assert (answer.status_code, rule(answer)) == (422, "invalid-request")
    assert len(answer.content) < 2_000


async def chunks(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b" " * 10_000


async def test_a_chunked_body_is_limited_as_any_other(h: Harness, community: UUID) -> None:
    answer = await send(h, chunks(8), JSON)

    assert (answer.status_code, rule(answer)) == (413, "body-too-large")
    assert await notes(h, community) == 0


async def test_a_length_that_is_said_is_refused_before_the_body(h: Harness) -> None:
    answer = await send(h, b" " * 70_000, JSON)

    assert (answer.status_code, rule(answer)) == (413, "body-too-large")


@pytest.mark.parametrize("scheme", ["Basic YW5uOmFubg==", "Bearer", "Bearer ", "bearer x", "x"])
async def test_another_way_to_log_in_is_401(h: Harness, community: UUID, scheme: str) -> None:
    headers = [JSON, ("Authorization", scheme)]

    answer = await h.client.post("/notes", content=body(community), headers=headers)

    assert answer.status_code == 401
    assert rule(answer) in {"no-token", "invalid-token"}
    assert answer.headers["WWW-Authenticate"] == "Bearer"
