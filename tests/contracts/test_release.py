"""What was released is held to: each kind of break is caught, told once, and no other change is.

The models here are stand-ins, so that each break is one that a developer could really make.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator
from pydantic import Field, create_model

from coterie_contracts import release as release_module
from coterie_contracts.envelope import UnknownVersion, decode, encode
from coterie_contracts.export import ROOT, main
from coterie_contracts.feedback import FeedbackImplemented
from coterie_contracts.model import Currency, EventBody, OpenEnum, ShortText, Unit, UnitInterval
from coterie_contracts.release import freeze, new_data, newest_release, old_data, release_breaks
from coterie_contracts.samples import sample
from coterie_contracts.sampling import edges
from coterie_contracts.schemas import reader_schema, schema
from coterie_contracts.topics import BODIES, TOPICS, Topic

HIT: Final = "(hit: recognition, every other subscriber)"
OLD_READERS: Final = "older readers refuse newer records"
NEW_READERS: Final = "newer readers refuse older records"
MISREAD: Final = "the same record means something else to older and to newer readers"
BOTH: Final = "older readers refuse newer records and newer readers older ones"


class Grows(OpenEnum):
    CARD = "card"
    UNKNOWN = "unknown"


class GrewTolerantly(OpenEnum):
    CARD = "card"
    CRUISE = "cruise"
    UNKNOWN = "unknown"


class Fixed(StrEnum):
    CARD = "card"
    SESSION = "session"


class FixedGrew(StrEnum):
    CARD = "card"
    SESSION = "session"
    CRUISE = "cruise"


FIELDS: Final[dict[str, Any]] = {
    "reward_id": (UUID, ...),
    "label": (ShortText, ...),
    "round": (Annotated[int, Unit("rounds")], Field(ge=1, le=9)),
    "merit": (UnitInterval, ...),
    "currency": (Currency, "EUR"),
    "item_kind": (Grows, ...),
    "reason": (Fixed, ...),
    "late": (bool, False),
    "evidence": (str | None, ...),
}


def topic_of(fields: dict[str, Any], **more: Any) -> Topic:
    """A topic whose event has these fields."""
    made = create_model("RewardGranted", __base__=EventBody, __doc__="It was granted.", **fields)
    made.topic, made.key, made.sent_when = "reward.granted", "reward_id", "it is granted"
    return Topic(made, "feedback", ("recognition",), **more)


def but(**changed: Any) -> dict[str, Any]:
    """The released fields with some changed; a field of None is left out."""
    fields = FIELDS | changed
    return {name: field for name, field in fields.items() if field is not None}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of contracts in which the stand-in was released as 0.9.0 and as 0.10.0."""
    freeze(tmp_path, "0.9.0", [topic_of(FIELDS)])
    freeze(tmp_path, "0.10.0", [topic_of(FIELDS)])
    return tmp_path


def rename(fields: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    return {new if name == old else name: field for name, field in fields.items()}


def test_releases_are_ordered_by_number(root: Path) -> None:
    assert newest_release(root) == root / "released" / "0.10.0"


def test_without_a_release_nothing_is_frozen(tmp_path: Path) -> None:
    assert newest_release(tmp_path) is None
    assert list(release_breaks(tmp_path, [topic_of(FIELDS)])) == []


@pytest.mark.parametrize(
    "fields",
    [
        FIELDS,
        but(season=(str | None, None)),
        but(item_kind=(GrewTolerantly, ...)),
        but(label=(ShortText, Field(description="said better"))),
        dict(reversed(FIELDS.items())),
    ],
    ids=["nothing", "a field with a default", "a tolerant value", "a text", "an order"],
)
def test_a_change_that_every_reader_can_take_passes(root: Path, fields: dict[str, Any]) -> None:
    assert list(release_breaks(root, [topic_of(fields)])) == []


BREAKS: Final[list[tuple[str, dict[str, Any], str]]] = [
    ("removed", but(label=None), f"label was removed: {OLD_READERS}"),
    (
        "removed default",
        but(late=None),
        "late was removed: older readers take its default for the truth",
    ),
    ("renamed", rename(FIELDS, "label", "title"), f"label was renamed to title: {BOTH}"),
    ("required", but(season=(str, ...)), f"season was added without a default: {NEW_READERS}"),
    ("became required", but(late=(bool, ...)), f"late became required: {NEW_READERS}"),
    ("optional", but(label=(ShortText, "x")), f"label is no longer always there: {OLD_READERS}"),
    (
        "type",
        but(round=(bool, ...)),
        f"round changed from integer to boolean: {BOTH}",
    ),
    (
        "nullable",
        but(label=(ShortText | None, ...)),
        f"label was widened: it may now be null: {OLD_READERS}",
    ),
    (
        "not nullable",
        but(evidence=(str, ...)),
        f"evidence was narrowed: it may no longer be null: {NEW_READERS}",
    ),
    (
        "narrower",
        but(round=(Annotated[int, Unit("rounds")], Field(ge=1, le=8))),
        f"round was narrowed: maximum went from 9 to 8: {NEW_READERS}",
    ),
    (
        "wider",
        but(round=(Annotated[int, Unit("rounds")], Field(ge=0, le=9))),
        f"round was widened: minimum went from 1 to 0: {OLD_READERS}",
    ),
    (
        "unit",
        but(round=(Annotated[int, Unit("weeks")], Field(ge=1, le=9))),
        f'round changed x-unit from "rounds" to "weeks": {MISREAD}',
    ),
    (
        "enum grew",
        but(reason=(FixedGrew, ...)),
        f"reason can now be `cruise`, and it has no `unknown`: {OLD_READERS}",
    ),
    (
        "pattern",
        but(currency=(Annotated[str, Field(pattern="^[A-Z]{3,4}$")], "EUR")),
        f'currency changed pattern from "^[A-Z]{{3}}$" to "^[A-Z]{{3,4}}$": {BOTH}',
    ),
    (
        "default",
        but(late=(bool, True)),
        f"late changed default from false to true: {MISREAD}",
    ),
]


@pytest.mark.parametrize(
    ("fields", "said"), [case[1:] for case in BREAKS], ids=[case[0] for case in BREAKS]
)
def test_a_break_is_told_in_one_sentence_with_whom_it_hits_and_the_way_out(
    root: Path, fields: dict[str, Any], said: str
) -> None:
    assert list(release_breaks(root, [topic_of(fields)])) == [
        (
            f"Since 0.10.0, coterie.reward.granted.v1.{said} {HIT}; "
            "publish it as coterie.reward.granted.v2 beside v1."
        )
    ]


BY_OLD_DATA: Final = {"required", "became required", "type", "not nullable", "narrower"}
BY_NEW_DATA: Final = {"removed", "optional", "type", "nullable", "wider", "enum grew", "renamed"}


@pytest.mark.parametrize("case", BREAKS, ids=[case[0] for case in BREAKS])
def test_generated_data_finds_what_it_can_without_looking_at_the_structure(
    case: tuple[str, dict[str, Any], str],
) -> None:
    name, fields, _ = case
    old, new = topic_of(FIELDS), topic_of(fields)
    refused_now = list(old_data(schema(old), new.body, "it"))
    refused_then = list(new_data(schema(new), reader_schema(old.body), "it"))

    assert bool(refused_now) == (name in BY_OLD_DATA | {"renamed"})
    assert bool(refused_then) == (name in BY_NEW_DATA)


def test_a_model_that_refuses_more_than_its_schema_says_is_caught_by_data(root: Path) -> None:
    class Stricter(topic_of(FIELDS).body):  # type: ignore[misc]
        topic: ClassVar[str] = "reward.granted"

        def model_post_init(self, context: object) -> None:
            if self.late:
                raise ValueError("never late")

    Stricter.__doc__ = "It was granted."
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(release_module, "schema", lambda *_: schema(topic_of(FIELDS)))
        found = list(release_breaks(root, [replace(topic_of(FIELDS), body=Stricter)]))

    assert len(found) == 1
    assert "coterie.reward.granted.v1 refuses" in found[0]
    assert "which was sent before: newer readers refuse older records" in found[0]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"partitions": 24},
            (
                "changed partitions from 12 to 24: "
                "a key moves to another partition, so its records are read out of order"
            ),
        ),
        (
            {"retention_ms": 1000},
            (
                "keeps records for 1000 ms, which it kept for ever: "
                "who starts at the beginning misses some"
            ),
        ),
        (
            {"compacted": True},
            (
                "changed compacted from False to True: "
                "who starts at the beginning misses records, or is told of every old one"
            ),
        ),
    ],
)
def test_a_topic_keeps_its_partitions_and_its_records(
    root: Path, more: dict[str, Any], said: str
) -> None:
    assert list(release_breaks(root, [topic_of(FIELDS, **more)])) == [
        f"Since 0.10.0, topic reward.granted {said} {HIT}."
    ]


def test_a_topic_keeps_its_key_and_its_owner(root: Path) -> None:
    keyed = topic_of(FIELDS)
    keyed.body.key = "label"
    owned = replace(topic_of(FIELDS), owner="membership")

    assert [line.partition(":")[0] for line in release_breaks(root, [keyed])] == [
        "Since 0.10.0, topic reward.granted changed key from reward_id to label"
    ]
    assert [line.partition(":")[0] for line in release_breaks(root, [owned])] == [
        "Since 0.10.0, topic reward.granted changed owner from feedback to membership"
    ]


def test_a_renamed_topic_is_one_that_is_gone(root: Path) -> None:
    moved = topic_of(FIELDS)
    moved.body.topic = "reward.given"

    assert [line for line in release_breaks(root, [moved]) if "topic" in line] == [
        (
            "Since 0.10.0, topic reward.granted is gone or has another name: "
            "its readers hear nothing any more."
        ),
        (
            "Since 0.10.0, coterie.reward.granted.v1 is gone: its readers hear nothing any more; "
            "publish it until its sunset, as one of `earlier` in its topic's row."
        ),
    ]


def test_a_lost_header_is_a_break(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = release_module.headers()
    del fewer["properties"]["ce_sequence"]
    monkeypatch.setattr(release_module, "headers", lambda: fewer)

    assert list(release_breaks(root, [topic_of(FIELDS)])) == [
        (
            "Since 0.10.0, headers.ce_sequence was removed: "
            "older readers take its default for the truth."
        )
    ]


def test_a_new_version_beside_the_old_one_is_the_way_to_change_it(root: Path) -> None:
    first = topic_of(FIELDS)
    second = topic_of(but(label=None))
    second.body.version = 2

    alone = list(release_breaks(root, [second]))
    assert len(alone) == 1
    assert "coterie.reward.granted.v1 is gone" in alone[0]
    assert list(release_breaks(root, [replace(second, earlier=(first.body,))])) == []


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A copy of these contracts with everything that was released."""
    for name in ("schemas", "examples", "pages", "released"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "asyncapi.yaml", tmp_path)
    if newest_release(tmp_path) is None:
        freeze(tmp_path, "0.0.1")
    return tmp_path


def test_the_gate_of_make_check_holds_the_models_to_the_newest_release(
    released: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check", "--root", str(released)]) == 0
    folder = newest_release(released)
    assert folder is not None
    promised = folder / "schemas" / "reward.issued.v1.json"
    told = json.loads(promised.read_text())
    told["properties"]["courier"] = {"type": "string"}
    promised.write_text(json.dumps(told))

    assert main(["--check", "--root", str(released)]) == 1
    assert capsys.readouterr().err.splitlines() == [
        (
            f"released/{folder.name}/schemas/reward.issued.v1.json was released in {folder.name} "
            "and was changed: take it from history."
        ),
        (
            f"Since {folder.name}, coterie.reward.issued.v1.courier was removed: older readers "
            "take its default for the truth (hit: notifications, every other subscriber); "
            "publish it as coterie.reward.issued.v2 beside v1."
        ),
    ]


def test_a_golden_example_is_frozen_with_its_release(
    released: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    golden = released / "examples" / "reward.issued" / "v1" / "example.record.json"
    golden.write_text(golden.read_text() + "\n")

    assert main(["--check", "--root", str(released)]) == 1
    assert "example.record.json was released in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("0.10.0", "0.10.0 is not higher than 0.10.0, which is released"),
        ("0.9.9", "0.9.9 is not higher than 0.10.0, which is released"),
        ("1.0", "'1.0' is no version: three numbers with dots, for example 0.2.0"),
    ],
)
def test_a_release_is_made_once_and_only_forward(root: Path, number: str, reason: str) -> None:
    with pytest.raises(ValueError, match="^" + reason.replace(".", r"\.") + "$"):
        freeze(root, number, [topic_of(FIELDS)])


def test_what_breaks_a_reader_is_not_released(root: Path) -> None:
    with pytest.raises(ValueError, match="label was removed"):
        freeze(root, "0.11.0", [topic_of(but(label=None))])
    assert newest_release(root) == root / "released" / "0.10.0"


def test_the_command_releases_the_version_of_the_package_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert release_module.main(["7.0.0", "--root", str(tmp_path)]) == 1
    assert "the package is" in capsys.readouterr().err
    number = release_module.version("coterie-contracts")

    assert release_module.main([number, "--root", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith(f"released {number} in ")
    assert release_module.main([number, "--root", str(tmp_path)]) == 1
    assert "which is released" in capsys.readouterr().err


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_edges_fit_the_schema_and_its_reader(topic: Topic) -> None:
    made = schema(topic)
    writer, reader = Draft202012Validator(made), Draft202012Validator(reader_schema(topic.body))
    found = list(edges(made, made["examples"][0]))

    assert len(found) > len(made["properties"])
    for data in found:
        writer.validate(data)
        reader.validate(data)
        topic.body.model_validate_json(json.dumps(data))


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_readers_take_fields_and_values_that_they_do_not_know(topic: Topic) -> None:
    made = schema(topic)
    definitions = made.get("$defs", {})
    growing = {
        name
        for name, node in made["properties"].items()
        for arm in node.get("anyOf", [node])
        if "unknown" in definitions.get(arm.get("$ref", "")[8:], {}).get("enum", ())
    }
    data = made["examples"][0] | dict.fromkeys(growing, "invented-later") | {"surprise": [1]}

    read = topic.body.model_validate_json(json.dumps(data))

    assert {getattr(read, name).value for name in growing} <= {"unknown"}
    assert "surprise" not in read.model_dump()
    Draft202012Validator(reader_schema(topic.body)).validate(data)


def test_a_version_that_a_reader_does_not_have_is_reported_as_that() -> None:
    record = encode(sample(next(t for t in TOPICS if t.body is FeedbackImplemented)))
    later = [
        (name, b"coterie.feedback.implemented.v2" if name == "ce_type" else value)
        for name, value in record.headers
    ]

    assert "coterie.feedback.implemented.v2" not in BODIES
    with pytest.raises(UnknownVersion, match=r"coterie\.feedback\.implemented\.v2"):
        decode(record.topic, later, record.value)
