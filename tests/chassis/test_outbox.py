"""How a row keeps the headers of its record."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from coterie_chassis.outbox import headers_of, stored_headers
from coterie_contracts.community import ClockMode
from coterie_contracts.envelope import Event, encode
from coterie_contracts.feedback import ContributionKind, ContributionRated

KEY = b"5f2c"


def rated() -> Event[ContributionRated]:
    now = datetime.now(UTC)
    subject = uuid4()
    body = ContributionRated(
        rating_id=subject,
        contribution_id=subject,
        contribution_kind=ContributionKind.FEEDBACK,
        community_id=uuid4(),
        author_id=uuid4(),
        rater_id=uuid4(),
        value=0.5,
        rated_at=now,
        contributed_at=now,
    )
    return Event(
        id=uuid4(),
        source="coterie/feedback",
        subject=subject,
        time=now,
        recorded_time=now,
        data=body,
        actor=f"person:{uuid4()}",
        causation_id=uuid4(),
        correlation_id=uuid4(),
    )


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"community_id": uuid4(), "brand_id": uuid4(), "sequence": 7, "traceparent": "00-1-2-01"},
        {"clock": ClockMode.DRIVEN, "replayed": True},
    ],
)
def test_an_events_headers_are_what_they_were_and_spelled_nowhere(
    context: dict[str, Any],
) -> None:
    message = encode(replace(rated(), **context))

    stored = stored_headers(message.headers, message.key)

    assert tuple(headers_of(stored, message.key)) == message.headers
    assert b"ce_" not in stored
    assert b"application/json" not in stored
    assert message.key not in stored


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("ce_id", b"1"), ("tenant", b"x")],
        [("ce_subject", b"not the key"), ("ce_partitionkey", KEY)],
        [("content-type", b"text/plain")],
        [("content-type", b"application/json")],
        [("ce_causationid", KEY), ("ce_id", b"")],
        [("ce_id", b"1"), ("ce_id", b"2")],
    ],
)
def test_any_headers_are_what_they_were(headers: list[tuple[str, bytes]]) -> None:
    assert headers_of(stored_headers(headers, KEY), KEY) == headers


def test_headers_of_rows_that_spell_them_are_read() -> None:
    assert headers_of(b"ce_id ce_subject\x001\x00of before", KEY) == [
        ("ce_id", b"1"),
        ("ce_subject", b"of before"),
    ]


@pytest.mark.parametrize("name", ["ce_id", "tenant"])
def test_a_zero_byte_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="zero byte"):
        stored_headers([(name, b"a\0b")], KEY)


@pytest.mark.parametrize("stored", [b":it\x001", b":i\x001\x002", b"ce_id ce_type\x001"])
def test_headers_that_lack_a_value_are_not_guessed(stored: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        headers_of(stored, KEY)
