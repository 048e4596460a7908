"""Records and events: exact both ways, and never an exception but our own."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event, to_binary_event

from coterie_contracts.envelope import (
    Message,
    UnknownVersion,
    Unreadable,
    decode,
    encode,
)
from coterie_contracts.export import ROOT
from coterie_contracts.notification import NotificationSent
from coterie_contracts.reward import ItemKind, RewardIssued
from coterie_contracts.samples import sample
from coterie_contracts.topics import TOPICS, Topic

Headers = list[tuple[str, bytes | None]]
SUBMITTED = next(topic for topic in TOPICS if topic.name == "feedback.submitted")


def golden(topic: Topic) -> Message:
    path = ROOT / "examples" / topic.name / f"v{topic.body.version}" / "example.record.json"
    told = json.loads(path.read_text())
    raw = base64.b64decode
    return Message(
        told["topic"],
        raw(told["key"]),
        tuple((name, raw(value)) for name, value in told["headers"]),
        None if told["value"] is None else raw(told["value"]),
    )


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_golden_bytes_decode_and_encode_to_themselves(topic: Topic) -> None:
    record = golden(topic)

    event = decode(record.topic, record.headers, record.value)
    written = encode(event)

    assert isinstance(event.data, topic.body)
    assert (written.topic, written.key, written.headers) == (
        record.topic,
        record.key,
        record.headers,
    )
    if gained := topic.body.model_fields.keys() - json.loads(record.value or b"").keys():
        assert told_without(gained, written.value) == json.loads(record.value or b"")
    else:
        assert written.value == record.value


def told_without(names: set[str], value: bytes | None) -> dict[str, Any]:
    """What an example older than these fields still says."""
    return {k: v for k, v in json.loads(value or b"").items() if k not in names}


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_the_official_sdk_reads_what_we_write(topic: Topic) -> None:
    event = sample(topic)
    record = encode(event)
    message = KafkaMessage(headers=dict(record.headers), key=record.key, value=record.value or b"")

    theirs = from_binary_event(message)

    assert theirs.get_id() == str(event.id)
    assert theirs.get_type() == topic.body.event_type()
    assert theirs.get_source() == event.source
    assert theirs.get_subject() == str(event.subject)
    assert theirs.get_time() == event.time
    assert theirs.get_data() == json.loads(record.value or b"null")


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_we_read_what_the_official_sdk_writes(topic: Topic) -> None:
    event = sample(topic)
    record = encode(event)
    message = KafkaMessage(headers=dict(record.headers), key=record.key, value=record.value or b"")

    theirs = to_binary_event(from_binary_event(message))
    ours = decode(topic.name, list(theirs.headers.items()), theirs.value)

    assert theirs.key == str(event.subject)
    assert ours == replace(event, traceparent=None)  # no attribute of CloudEvents


def test_fields_and_enum_values_of_a_newer_producer_do_not_break_a_reader() -> None:
    record = golden(next(topic for topic in TOPICS if topic.body is RewardIssued))
    data = json.loads(record.value or b"")
    data |= {"item_kind": "cruise", "invented_later": {"x": 1}}

    event = decode(record.topic, record.headers, json.dumps(data).encode())

    assert isinstance(event.data, RewardIssued)
    assert event.data.item_kind is ItemKind.UNKNOWN


def spoilt(name: str, value: bytes | None) -> Callable[[Headers], Headers]:
    return lambda headers: [(n, value if n == name else v) for n, v in headers]


def without(name: str) -> Callable[[Headers], Headers]:
    return lambda headers: [(n, v) for n, v in headers if n != name]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (without("ce_id"), "'ce_id' is missing"),
        (without("ce_specversion"), "'ce_specversion' is missing"),
        (without("ce_recordedtime"), "'ce_recordedtime' is missing"),
        (spoilt("ce_specversion", b"0.3"), "is not '1.0'"),
        (spoilt("ce_id", b"17"), "'ce_id' is not a UUID"),
        (spoilt("ce_id", None), "'ce_id' is null"),
        (spoilt("ce_id", b"\xff"), "'ce_id' is not UTF-8"),
        (spoilt("ce_time", b"yesterday"), "'ce_time' is not RFC 3339"),
        (spoilt("ce_time", b"2026-02-03T10:15:30"), "'ce_time' has no time zone"),
        (spoilt("ce_sequence", b"-1"), "'ce_sequence' is not a whole number"),
        (spoilt("ce_sequence", b"9" * 5_000), "'ce_sequence' is not a whole number"),
        (spoilt("ce_time", b"0001-01-01T00:00:00+05:00"), "'ce_time' is out of range"),
        (spoilt("ce_actor", b"per\0son"), "'ce_actor' holds a zero character"),
        (spoilt("ce_brandid", b"glow"), "'ce_brandid' is not a UUID"),
    ],
)
def test_a_spoilt_header_is_named(spoil: Callable[[Headers], Headers], says: str) -> None:
    record = golden(SUBMITTED)

    with pytest.raises(Unreadable, match=says):
        decode(record.topic, spoil(list(record.headers)), record.value)


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b'"text"', b"{}", b"\xff"])
def test_spoilt_data_is_unreadable(value: bytes | None) -> None:
    record = golden(SUBMITTED)

    with pytest.raises(Unreadable):
        decode(record.topic, record.headers, value)


def test_unreadable_data_is_not_repeated_in_the_error() -> None:
    record = golden(SUBMITTED)

    with pytest.raises(Unreadable) as error:
        decode(record.topic, record.headers, b'{"feedback_id": "a secret"}')

    assert "feedback_id" in str(error.value)
    assert "a secret" not in str(error.value)


@pytest.mark.parametrize(
    ("topic", "type_"),
    [
        ("feedback.submitted", b"coterie.feedback.submitted.v9"),
        ("feedback.submitted", b"com.example.other"),
        ("feedback.accepted", b"coterie.feedback.submitted.v1"),
    ],
)
def test_a_type_that_is_not_of_this_topic_is_an_unknown_version(topic: str, type_: bytes) -> None:
    record = golden(SUBMITTED)

    with pytest.raises(UnknownVersion):
        decode(topic, spoilt("ce_type", type_)(list(record.headers)), record.value)


def test_headers_that_no_event_needs_are_ignored() -> None:
    record = golden(SUBMITTED)
    more: Headers = [("ce_invented", None), ("x-gateway", b"\xff"), *record.headers]

    assert decode(record.topic, more, record.value).source == "coterie/feedback"


@pytest.mark.parametrize("value", [b"", b"00-\xc3\xa4-01", b"00-\0-01"])
def test_a_spoilt_trace_never_costs_an_event(value: bytes) -> None:
    record = golden(SUBMITTED)

    event = decode(record.topic, spoilt("traceparent", value)(list(record.headers)), record.value)

    assert event.traceparent is None


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_a_number_without_a_value_is_unreadable(number: bytes) -> None:
    record = golden(next(topic for topic in TOPICS if topic.body is NotificationSent))
    value = (record.value or b"").replace(b'"ratio_limit":0.25', b'"ratio_limit":' + number)
    assert value != record.value

    with pytest.raises(Unreadable, match="ratio_limit"):
        decode(record.topic, record.headers, value)


def test_a_tombstone_has_headers_and_no_value() -> None:
    record = encode(sample(SUBMITTED), tombstone=True)

    assert record.value is None
    assert dict(record.headers)["ce_type"] == b"coterie.feedback.submitted.v1"


def test_the_replay_mark_travels() -> None:
    record = encode(replace(sample(SUBMITTED), replayed=True))

    assert decode(record.topic, record.headers, record.value).replayed
    assert dict(record.headers)["coterie-replay"] == b"1"


def test_attributes_that_are_absent_leave_no_header() -> None:
    bare: Any = replace(sample(SUBMITTED), brand_id=None, sequence=None, traceparent=None)

    names = {name for name, _ in encode(bare).headers}

    assert names.isdisjoint({"ce_brandid", "ce_sequence", "traceparent", "ce_clock"})


def test_the_reader_that_the_readme_shows_reads() -> None:
    shown: dict[str, Any] = {}
    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    exec(block.group(1), shown)  # noqa: S102  our own page, run as a subscriber would
    record = golden(next(topic for topic in TOPICS if topic.name == "feedback.implemented"))

    told = shown["on_record"](record.topic, record.headers, record.value)
    refused = shown["on_record"](record.topic, record.headers, b"{")

    assert told == "Pump that does not drip: The pump has a new valve"
    assert refused.startswith("set aside: ")
