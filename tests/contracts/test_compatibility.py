"""What a reader of either age would fail on is named, and nothing else is."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from coterie_contracts.compatibility import breaks, newest_release, release_breaks
from coterie_contracts.export import ROOT, main
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
        (drop("properties/late"), "data.late was removed"),
        (
            lambda s: (
                put("properties/added", {"type": "string"})(s),
                s["required"].append("added"),
            ),
            "data.added was added without a default, and older records lack it",
        ),
        (put("required", REQUIRED[1:]), "data.id is no longer always there"),
        (
            put("required", [*REQUIRED, "late"]),
            "data.late became required, and older records may lack it",
        ),
        (
            put("properties/count/type", "string"),
            "data.count changed from integer to string",
        ),
        (
            put("properties/id/format", "date-time"),
            "data.id changed from string (uuid) to string (date-time)",
        ),
        (
            put("properties/note/anyOf", [{"type": "string"}]),
            "data.note was narrowed: it may no longer be null",
        ),
        (
            put(
                "properties/count", {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]}
            ),
            "data.count was widened: it may now be null",
        ),
        (
            put("properties/count/minimum", 0),
            "data.count was widened: minimum went from 1 to 0",
        ),
        (
            put("properties/count/minimum", 2),
            "data.count was narrowed: minimum went from 1 to 2",
        ),
        (
            put("properties/count/maximum", 9),
            "data.count was narrowed: maximum went from none to 9",
        ),
        (
            put("$defs/Goal/properties/title/maxLength", 120),
            "data.goals[].title was widened: maxLength went from 80 to 120",
        ),
        (
            put("$defs/Goal/properties/title/pattern", "^a"),
            'data.goals[].title changed pattern from none to "^a"',
        ),
        (
            put("$defs/Kind/enum", ["card", "unknown"]),
            "data.kind can no longer be `session`, which older records hold",
        ),
        (
            put("$defs/Closed/enum", ["expired", "forgotten", "withdrawn"]),
            "data.reason can now be `forgotten`, and its readers have no `unknown`",
        ),
        (
            drop("$defs/Closed/enum"),
            "data.reason was widened: it is no longer one of `expired`, `withdrawn`",
        ),
        (
            put("properties/id/enum", ["a"]),
            "data.id was narrowed to `a`",
        ),
        (
            put("properties/late/default", True),
            "data.late changed default from false to true",
        ),
        (
            put("properties/goals/items", {"type": "string"}),
            "data.goals[] changed from object to string",
        ),
        (
            put("$defs/Goal/additionalProperties", True),
            "data.goals[] changed additionalProperties from false to true",
        ),
    ],
)
def test_what_some_reader_cannot_take_is_named_once(edit: Edit, sentence: str) -> None:
    assert breaks(OLD, edited(edit)) == [sentence]


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_every_schema_is_compatible_with_itself_and_not_with_less(topic: Topic) -> None:
    made = schema(topic)
    less = copy.deepcopy(made)
    gone = next(iter(less["properties"]))
    del less["properties"][gone]

    assert breaks(made, made) == []
    assert f"data.{gone} was removed" in breaks(made, less)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The contracts as if they had been released as 0.9.0 and then, unchanged, as 0.10.0."""
    for name in ("schemas", "examples", "pages"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "asyncapi.yaml", tmp_path)
    for version in ("0.9.0", "0.10.0"):
        shutil.copytree(ROOT / "schemas", tmp_path / "released" / version)
    return tmp_path


def test_releases_are_ordered_by_number(root: Path) -> None:
    assert newest_release(root) == root / "released" / "0.10.0"
    assert list(release_breaks(root)) == []


def test_without_a_release_nothing_is_frozen(root: Path) -> None:
    shutil.rmtree(root / "released")

    assert newest_release(root) is None
    assert list(release_breaks(root)) == []


def test_the_gate_names_a_break_with_the_newest_release(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    released = root / "released" / "0.10.0" / "reward.issued.v1.json"
    promised = json.loads(released.read_text())
    promised["properties"]["courier"] = {"type": "string"}
    released.write_text(json.dumps(promised))

    assert main(["--check", "--root", str(root)]) == 1
    told = "schemas/reward.issued.v1.json breaks release 0.10.0: data.courier was removed\n"
    assert capsys.readouterr().err == told


def test_the_gate_names_a_released_schema_that_is_gone(root: Path) -> None:
    (root / "released" / "0.10.0" / "reward.sent.v1.json").write_text("{}")

    assert list(release_breaks(root)) == [
        "schemas/reward.sent.v1.json was released in 0.10.0 and is gone"
    ]
