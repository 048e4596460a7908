"""What cannot be meant is refused with its rule, and nothing is told."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from coterie_contracts.notification import OfferPublished

from .world import START, World

SOME_ID = "01890000-0000-7000-8000-000000000001"


def rule(answer: Any) -> str:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return str(answer.json()["type"]).removeprefix("urn:coterie:problem:")


@pytest.mark.parametrize(
    "field",
    [
        {"member_benefit": "Write to nora@example.org"},
        {"member_benefit": "Call +49 30 1234567"},
        {"member_benefit": "x" * 281},
        {"title": "\x00"},
        {"text": "x" * 2_001},
        {"expires_at": "9999-12-31T23:59:59Z"},
        {"expires_at": "2026-05-20T12:00:00"},
        {"to": "everybody"},
    ],
)
async def test_an_offer_that_cannot_be_told_is_refused(world: World, field: dict[str, Any]) -> None:
    await world.populate("ana")
    body = {"title": "Ten off", "member_benefit": "Ten percent off.", **field}

    for path in ("offers", "offers/preview"):
        answer = await world.h.post(
            f"/communities/{world.community_id}/{path}", body, as_=world.manager
        )
        assert (answer.status_code, rule(answer)) == (422, "invalid-request"), path

    assert await world.h.published(OfferPublished) == []


def cursor(**values: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


@pytest.mark.parametrize(
    "given",
    [
        cursor(),
        cursor(at="2026-05-20T12:00:00", id=SOME_ID),
        cursor(at="9999-12-31T23:59:59Z", id=SOME_ID),
        cursor(at=START.isoformat(), id="5"),
        cursor(at=[], id={}),
    ],
)
async def test_a_cursor_that_no_page_gave_is_refused(world: World, given: str) -> None:
    await world.populate("ana")
    community = f"/communities/{world.community_id}"

    for path, who in (
        ("inbox", world.who("ana")),
        ("staff-inbox", world.manager),
        ("decisions", world.manager),
    ):
        answer = await world.h.get(f"{community}/{path}", as_=who, params={"cursor": given})
        assert (answer.status_code, rule(answer)) == (422, "invalid-cursor"), path


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"unsubscribed": ["offer"]},
        {"unsubscribed": ["offer/pigeon"]},
        {"unsubscribed": "offer/inbox"},
        {"unsubscribed": [], "resume_offers": "please"},
        {"unsubscribed": [], "quiet": True},
        {"unsubscribed": ["offer/inbox"] * 17},
    ],
)
async def test_wishes_that_nobody_can_have_are_refused(world: World, body: dict[str, Any]) -> None:
    await world.populate("ana")
    path = f"/members/{world.member_id('ana')}/preferences"

    answer = await world.h.put(path, body, as_=world.who("ana"))

    assert (answer.status_code, rule(answer)) == (422, "invalid-request")
