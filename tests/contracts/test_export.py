"""What other teams install is generated from the models, complete, and free of personal data."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator

from coterie_contracts.export import ROOT, main
from coterie_contracts.model import EventBody
from coterie_contracts.samples import key_of, sample
from coterie_contracts.schemas import schema
from coterie_contracts.topics import BODIES, TOPICS, Topic

SERVICES: Final = {"membership", "feedback", "recognition", "notifications"}
# Every field that can hold words, by who writes them. What a member writes has no place here.
STAFF_TEXTS: Final = {
    "evidence",
    "item_name",
    "label",
    "member_benefit",
    "name",
    "release",
    "see_it_at",
    "title",
    "what_changed",
}
CODES: Final = {
    "algorithm",
    "approved_by",
    "currency",
    "kind",
    "locale",
    "mark",
    "requirement",
    "requirement_kinds",
    "season",
    "template",
    "time_zone",
    "unsubscribed",
    "when",
}
PERSONAL: Final = re.compile(
    r"e_?mail|handle|phone|address|text|body|about|(first|last|full)_?name"
)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("schemas", "examples", "pages"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "asyncapi.yaml", tmp_path)
    assert check(tmp_path) == 0
    return tmp_path


def check(root: Path) -> int:
    return main(["--check", "--root", str(root)])


def test_committed_files_are_what_the_models_say() -> None:
    assert main(["--check"]) == 0


def test_a_changed_schema_is_noticed(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = copy / "schemas" / "reward.issued.v1.json"
    file.write_text(file.read_text().replace("reward_id", "reward_number"))

    assert check(copy) == 1
    assert "schemas/reward.issued.v1.json differs" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    [
        "schemas/reward.issued.v1.json",
        "examples/reward.issued/v1/example.record.json",
        "pages/reward.issued.v1.md",
    ],
)
def test_a_missing_file_is_noticed(
    copy: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (copy / name).unlink()

    assert check(copy) == 1
    assert f"{name} is missing" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["schemas/reward.invented.v1.json", "pages/reward.invented.v1.md"])
def test_an_orphan_is_noticed(copy: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / name).write_text("{}")

    assert check(copy) == 1
    assert f"{name} belongs to no topic" in capsys.readouterr().err


def test_an_example_is_never_written_again(copy: Path) -> None:
    file = copy / "examples" / "reward.issued" / "v1" / "example.json"
    file.write_text("kept for ever")

    assert main(["--root", str(copy)]) == 0

    assert file.read_text() == "kept for ever"


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_examples_fit_their_closed_schema(topic: Topic) -> None:
    made = schema(topic)
    validator = Draft202012Validator(made, format_checker=Draft202012Validator.FORMAT_CHECKER)
    path = ROOT / "examples" / topic.name / f"v{topic.body.version}" / "example.json"
    data = json.loads(path.read_text())["data"]

    Draft202012Validator.check_schema(made)
    validator.validate(data)
    assert not validator.is_valid(data | {"surprise": 1})
    assert made["description"].endswith(".")


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_every_field_says_what_it_is_and_every_number_what_it_counts(topic: Topic) -> None:
    made = schema(topic)
    objects = {"data": made, **made.get("$defs", {})}
    fields = {
        f"{name}.{field}": node
        for name, one in objects.items()
        for field, node in one.get("properties", {}).items()
    }

    assert [name for name, one in objects.items() if not one.get("description")] == []
    assert [name for name, node in fields.items() if not node.get("description")] == []
    assert [name for name, node in fields.items() if counts(node) and not unit(node)] == []


def arms(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [*node.get("anyOf", [node]), node.get("items", {})]


def counts(node: dict[str, Any]) -> bool:
    return any(arm.get("type") in {"integer", "number"} for arm in arms(node))


def unit(node: dict[str, Any]) -> str | None:
    return next((arm["x-unit"] for arm in arms(node) if "x-unit" in arm), None)


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_an_example_is_keyed_as_its_topic_says(topic: Topic) -> None:
    event = sample(topic)

    assert "sent_when" in vars(topic.body)
    assert event.subject == key_of(event.data)
    assert topic.key in topic.body.model_fields or topic.key.startswith("uuid5(")


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_a_page_tells_everything_about_its_event(topic: Topic) -> None:
    text = (ROOT / "pages" / f"{topic.name}.v{topic.body.version}.md").read_text()
    made = schema(topic)
    values = [value for one in made.get("$defs", {}).values() for value in one.get("enum", ())]
    promised = [
        made["description"],
        topic.body.event_type(),
        topic.owner,
        " ".join(topic.body.sent_when.split()),
        f"`{topic.key}`",
        *(f"| `{name}` |" for name in made["properties"]),
        *(f"`{value}`" for value in values),
        *(topic.consumers or ["no service of ours"]),
        "the last record of each key" if topic.compacted else "for ever",
        json.dumps(made["examples"][0], indent=2, ensure_ascii=False),
    ]

    assert [part for part in promised if part not in text] == []


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_no_event_but_contact_has_a_place_for_personal_data(topic: Topic) -> None:
    made = schema(topic)
    objects = [made, *made.get("$defs", {}).values()]
    fields = {name: node for one in objects for name, node in one.get("properties", {}).items()}
    worded = {name for name, node in fields.items() if holds_words(node)}

    if topic.name == "member.contact":
        assert topic.compacted
        assert topic.consumers == ("notifications",)
        assert worded == {"email"}
        return
    assert worded <= STAFF_TEXTS | CODES
    assert {name for name in fields if PERSONAL.search(name)} == set()


def holds_words(node: dict[str, Any]) -> bool:
    """Whether a field takes any string: neither an id, nor a time, nor one of an enumeration."""
    return any(
        arm.get("type") == "string"
        and not {"format", "enum"} & arm.keys()
        and not arm.get("pattern", "").startswith(r"^\d")
        for arm in arms(node)
    )


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_every_topic_has_an_owner_and_known_listeners(topic: Topic) -> None:
    assert topic.owner in SERVICES
    assert set(topic.consumers) <= SERVICES - {topic.owner}
    assert len(set(topic.consumers)) == len(topic.consumers)
    assert topic.partitions == 12
    assert topic.retention_ms == -1


def test_every_event_model_has_exactly_one_topic() -> None:
    written = [model for model in descendants(EventBody) if "topic" in vars(model)]

    assert len({topic.name for topic in TOPICS}) == len(TOPICS)
    assert sorted(BODIES) == sorted(model.event_type() for model in written)


def descendants(model: type[EventBody]) -> list[type[EventBody]]:
    """The events of the contracts; other tests may have models of their own."""
    below = [d for child in model.__subclasses__() for d in [child, *descendants(child)]]
    return list({d for d in below if d.__module__.startswith("coterie_contracts.")})
