"""Whatever a producer can say arrives as it was said; whatever else comes ends in our own error."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta, timezone
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin
from uuid import UUID

import pytest
from annotated_types import Ge, Le, MaxLen, MinLen
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel
from pydantic.fields import FieldInfo

from coterie_contracts.community import ClockMode
from coterie_contracts.envelope import Event, Unreadable, decode, encode
from coterie_contracts.model import EventBody
from coterie_contracts.samples import sample
from coterie_contracts.topics import TOPICS, Topic

BIGGEST: Final = 2**63 - 1
TIMES: Final = st.datetimes(
    datetime(1970, 1, 1),  # noqa: DTZ001  hypothesis wants bounds without a zone
    datetime(9999, 12, 30),  # noqa: DTZ001  as above
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
)
TEXTS: Final = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1
)
HEADERS: Final = [name for name, _ in encode(sample(TOPICS[0])).headers]


def values(kind: Any, metadata: list[Any]) -> st.SearchStrategy[Any]:
    """Values of a field's type that its constraints allow."""
    origin = get_origin(kind)
    if origin in {Union, UnionType}:
        arms = [st.none() if arm is NoneType else values(arm, metadata) for arm in get_args(kind)]
        return st.one_of(arms)
    if origin is tuple:
        return st.lists(values(get_args(kind)[0], []), max_size=3).map(tuple)
    if origin is not None:
        inner = [m for a in get_args(kind)[1:] for m in (a.metadata if is_field(a) else [a])]
        return values(get_args(kind)[0], metadata + inner)
    if kind is AwareDatetime or kind is datetime:
        return TIMES
    if issubclass(kind, BaseModel):
        return models(kind)
    return plain(kind, metadata)


def is_field(value: Any) -> bool:
    return isinstance(value, FieldInfo)


def plain(kind: type, metadata: list[Any]) -> st.SearchStrategy[Any]:
    low: Any = next((m.ge for m in metadata if isinstance(m, Ge)), None)
    high: Any = next((m.le for m in metadata if isinstance(m, Le)), None)
    if issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    if kind is str:
        return strings(metadata)
    if kind is int:
        return st.integers(-BIGGEST if low is None else low, BIGGEST if high is None else high)
    if kind is float:
        return st.floats(low, high, allow_nan=False, allow_infinity=False)
    return {bool: st.booleans(), UUID: st.uuids(), time: st.times()}[kind]


def strings(metadata: list[Any]) -> st.SearchStrategy[str]:
    for rule in metadata:
        if pattern := getattr(rule, "pattern", None):
            return st.from_regex(pattern, fullmatch=True)
    shortest = next((m.min_length for m in metadata if isinstance(m, MinLen)), 0)
    longest = next((m.max_length for m in metadata if isinstance(m, MaxLen)), 400)
    return st.text(min_size=shortest, max_size=min(longest, shortest + 30))


def models(model: type[BaseModel]) -> st.SearchStrategy[Any]:
    fields = {
        name: values(field.annotation, list(field.metadata))
        for name, field in model.model_fields.items()
    }
    return st.fixed_dictionaries(fields).map(model.model_validate)


def events(topic: Topic) -> st.SearchStrategy[Event[EventBody]]:
    return st.builds(
        Event,
        id=st.uuids(),
        source=TEXTS,
        subject=st.uuids(),
        time=TIMES,
        recorded_time=TIMES,
        data=models(topic.body),
        brand_id=st.none() | st.uuids(),
        community_id=st.none() | st.uuids(),
        actor=TEXTS,
        causation_id=st.uuids(),
        correlation_id=st.uuids(),
        sequence=st.none() | st.integers(1, 10**18 - 1),
        clock=st.sampled_from(ClockMode),
        replayed=st.booleans(),
        traceparent=st.none() | st.from_regex(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", fullmatch=True),
    )


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
@settings(max_examples=20)
@given(data=st.data())
def test_an_event_arrives_as_it_was_said(topic: Topic, data: st.DataObject) -> None:
    event = data.draw(events(topic))

    record = encode(event)

    assert record.key == str(event.subject).encode()
    assert decode(record.topic, record.headers, record.value) == event


@settings(max_examples=400)
@given(
    topic=st.sampled_from(TOPICS),
    name=st.sampled_from([*HEADERS, "ce_clock", "coterie-replay"]),
    data=st.data(),
)
def test_one_changed_header_ends_in_an_event_or_our_error(
    topic: Topic, name: str, data: st.DataObject
) -> None:
    record = encode(sample(topic))
    text = st.text(st.sampled_from("0123456789-+:.TZW abcef\0٣"), max_size=40)
    value = data.draw(st.none() | st.binary(max_size=40) | text.map(str.encode))
    headers = [(n, v) for n, v in record.headers if n != name] + [(name, value)]

    assert_ours(record.topic, headers, record.value)


JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=400)
@given(topic=st.sampled_from(TOPICS), data=st.data())
def test_one_changed_field_ends_in_an_event_or_our_error(topic: Topic, data: st.DataObject) -> None:
    record = encode(sample(topic))
    fields = json.loads(record.value or b"")
    fields[data.draw(st.sampled_from(sorted(fields)))] = data.draw(JSON)

    assert_ours(record.topic, list(record.headers), json.dumps(fields).encode())


@given(topic=st.sampled_from([topic.name for topic in TOPICS]) | st.text(), value=st.binary())
def test_any_bytes_end_in_our_error(topic: str, value: bytes) -> None:
    record = encode(sample(TOPICS[0]))

    with pytest.raises(Unreadable):
        decode(topic, record.headers, value)


def test_data_nested_beyond_reason_is_unreadable() -> None:
    record = encode(sample(TOPICS[0]))

    with pytest.raises(Unreadable):
        decode(record.topic, record.headers, b"[" * 100_000)


def assert_ours(topic: str, headers: list[tuple[str, bytes | None]], value: bytes | None) -> None:
    """An event that can be written again, or `Unreadable`; any other exception fails the test."""
    try:
        event = decode(topic, headers, value)
    except Unreadable:
        return
    again = encode(event)
    assert decode(again.topic, again.headers, again.value) == event
