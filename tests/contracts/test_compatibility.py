"""What a reader of either age would fail on is named, and nothing else is."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final

import pytest

from coterie_contracts.compatibility import Harm, breaks
from coterie_contracts.schemas import schema
from coterie_contracts.topics import TOPICS, Topic

OLD: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "$defs": {
        "Kind": {"type": "string", "enum": ["card", "session", "unknown"], "title": "Kind"},
        "Closed": {"type": "string", "enum": ["expired", "withdrawn"], "title": "Closed"},
        "Goal": {
            "type": "object",
            "additionalProperties": False,
            "title": "Goal",
            "properties": {
                "title": {"type": "string", "maxLength": 80},
                "parts": {"type": "array", "items": {"$ref": "#/$defs/Goal"}},
            },
            "required": ["title"],
        },
    },
    "properties": {
        "id": {"type": "string", "format": "uuid", "description": "of it"},
        "count": {"type": "integer", "minimum": 1},
        "kind": {"$ref": "#/$defs/Kind"},
        "reason": {"$ref": "#/$defs/Closed"},
        "goals": {"type": "array", "items": {"$ref": "#/$defs/Goal"}},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "late": {"type": "boolean", "default": False},
    },
    "required": ["id", "count", "kind", "reason", "goals"],
}

OLD_READERS: Final = f": {Harm.OLD_READERS}"
NEW_READERS: Final = f": {Harm.NEW_READERS}"
BOTH: Final = f": {Harm.BOTH}"
MISREAD: Final = f": {Harm.MISREAD}"

Edit = Callable[[dict[str, Any]], Any]


def edited(edit: Edit) -> dict[str, Any]:
    new = copy.deepcopy(OLD)
    edit(new)
    assert new != OLD
    return new


def put(path: str, value: Any) -> Edit:
    """Sets the value at a path of keys, for example `properties/count/minimum`."""

    def edit(node: dict[str, Any]) -> None:
        *parents, last = path.split("/")
        for key in parents:
            node = node[key]
        node[last] = value

    return edit


def drop(path: str) -> Edit:
    def edit(node: dict[str, Any]) -> None:
        *parents, last = path.split("/")
        for key in parents:
            node = node[key]
        del node[last]

    return edit


REQUIRED: Final = OLD["required"]


@pytest.mark.parametrize(
    "edit",
    [
        put("properties/id/description", "said better"),
        put("description", "said better"),
        put("examples", [{"id": "x"}]),
        put("properties/added", {"type": "string"}),
        put("properties/added", {"type": "integer", "default": 3}),
        put("$defs/Goal/properties/added", {"type": "null"}),
        put("$defs/Kind/enum", ["card", "session", "cruise", "unknown"]),
        put("required", REQUIRED[::-1]),
        put("properties/note/anyOf", [{"type": "null"}, {"type": "string"}]),
    ],
)
def test_what_every_reader_can_take_is_no_break(edit: Edit) -> None:
    assert breaks(OLD, edited(edit)) == []


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (
            drop("properties/late"),
            "data.late was removed: older readers take its default for the truth",
        ),
        (
            lambda s: (
                put("properties/added", {"type": "string"})(s),
                s["required"].append("added"),
            ),
            "data.added was added without a default" + NEW_READERS,
        ),
        (
            put("required", REQUIRED[1:]),
            "data.id is no longer always there" + OLD_READERS,
        ),
        (
            put("required", [*REQUIRED, "late"]),
            "data.late became required" + NEW_READERS,
        ),
        (
            put("properties/count/type", "string"),
            "data.count changed from integer to string" + BOTH,
        ),
        (
            put("properties/id/format", "date-time"),
            "data.id changed from string (uuid) to string (date-time)" + BOTH,
        ),
        (
            put("properties/note/anyOf", [{"type": "string"}]),
            "data.note was narrowed: it may no longer be null" + NEW_READERS,
        ),
        (
            put(
                "properties/count", {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]}
            ),
            "data.count was widened: it may now be null" + OLD_READERS,
        ),
        (
            put("properties/count/minimum", 0),
            "data.count was widened: minimum went from 1 to 0" + OLD_READERS,
        ),
        (
            put("properties/count/minimum", 2),
            "data.count was narrowed: minimum went from 1 to 2" + NEW_READERS,
        ),
        (
            put("properties/count/maximum", 9),
            "data.count was narrowed: maximum went from none to 9" + NEW_READERS,
        ),
        (
            put("$defs/Goal/properties/title/maxLength", 120),
            "data.goals[].title was widened: maxLength went from 80 to 120" + OLD_READERS,
        ),
        (
            put("$defs/Goal/properties/title/pattern", "^a"),
            'data.goals[].title changed pattern from none to "^a"' + BOTH,
        ),
        (
            put("$defs/Kind/enum", ["card", "unknown"]),
            "data.kind can no longer be `session`, which is read as `unknown` now" + MISREAD,
        ),
        (
            put("$defs/Closed/enum", ["expired"]),
            "data.reason can no longer be `withdrawn`" + NEW_READERS,
        ),
        (
            put("$defs/Closed/enum", ["expired", "forgotten", "withdrawn"]),
            "data.reason can now be `forgotten`, and it has no `unknown`" + OLD_READERS,
        ),
        (
            drop("$defs/Closed/enum"),
            "data.reason was widened: it is no longer one of `expired`, `withdrawn`" + OLD_READERS,
        ),
        (
            put("properties/id/enum", ["a"]),
            "data.id was narrowed to `a`" + NEW_READERS,
        ),
        (
            put("properties/late/default", True),
            "data.late changed default from false to true" + MISREAD,
        ),
        (
            put("properties/goals/items", {"type": "string"}),
            "data.goals[] changed from object to string" + BOTH,
        ),
        (
            put("$defs/Goal/additionalProperties", True),
            "data.goals[] changed additionalProperties from false to true" + OLD_READERS,
        ),
    ],
)
def test_what_some_reader_cannot_take_is_named_once_with_whom_it_hits(
    edit: Edit, sentence: str
) -> None:
    assert [str(found) for found in breaks(OLD, edited(edit))] == [sentence]


def test_a_field_added_to_an_open_object_is_a_break() -> None:
    old = copy.deepcopy(OLD)
    del old["additionalProperties"]
    new = copy.deepcopy(old)
    new["properties"]["added"] = {"type": "string", "default": ""}

    assert [str(found) for found in breaks(old, new)] == [
        (
            "data.added was added to an open object, "
            "where older records hold anything by that name: newer readers refuse older records"
        )
    ]


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_every_schema_is_compatible_with_itself_and_not_with_less(topic: Topic) -> None:
    made = schema(topic)
    less = copy.deepcopy(made)
    gone = next(iter(less["properties"]))
    del less["properties"][gone]

    assert breaks(made, made) == []
    assert f"data.{gone} was removed" in [found.what for found in breaks(made, less)]
