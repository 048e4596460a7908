"""What other teams install is generated from the models, complete, and free of personal data."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from jsonschema import Draft202012Validator

from coterie_contracts.export import ROOT, asyncapi, main, schema
from coterie_contracts.model import EventBody
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
    for name in ("schemas", "examples"):
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
    "name", ["schemas/reward.issued.v1.json", "examples/reward.issued/v1/example.record.json"]
)
def test_a_missing_file_is_noticed(
    copy: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (copy / name).unlink()

    assert check(copy) == 1
    assert f"{name} is missing" in capsys.readouterr().err


def test_an_orphan_is_noticed(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / "schemas" / "reward.invented.v1.json").write_text("{}")

    assert check(copy) == 1
    assert "reward.invented.v1.json belongs to no topic" in capsys.readouterr().err


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
    arms = [*node.get("anyOf", [node]), node.get("items", {})]
    return any(arm.get("type") == "string" and not {"format", "enum"} & arm.keys() for arm in arms)


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


def test_asyncapi_hangs_together() -> None:
    document = yaml.safe_load((ROOT / "asyncapi.yaml").read_text())

    assert document == asyncapi()
    assert set(document["channels"]) == {topic.name for topic in TOPICS}
    assert len(document["operations"]) == len(TOPICS)
    for reference in references(document):
        assert resolves(document, reference), reference


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_asyncapi_tells_how_a_topic_is_kept_and_keyed(topic: Topic) -> None:
    document = asyncapi()
    channel = document["channels"][topic.name]
    message = document["components"]["messages"][topic.body.event_type()]
    headers = Draft202012Validator(document["components"]["schemas"]["Headers"])
    example = message["examples"][0]

    assert channel["address"] == topic.name
    assert channel["x-owner"] == topic.owner
    assert channel["x-consumers"] == list(topic.consumers)
    assert channel["x-lane"] == topic.lane
    assert channel["bindings"]["kafka"]["partitions"] == topic.partitions
    assert channel["bindings"]["kafka"]["topicConfiguration"] == {
        "cleanup.policy": ["compact" if topic.compacted else "delete"],
        "retention.ms": topic.retention_ms,
    }
    assert message["bindings"]["kafka"]["key"]["format"] == "uuid"
    headers.validate(example["headers"])
    Draft202012Validator(schema(topic)).validate(example["payload"])


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [r for value in node.values() for r in references(value)]
    if isinstance(node, list):
        return [r for value in node for r in references(value)]
    return []


def resolves(document: Any, reference: str) -> bool:
    if not reference.startswith("#/"):
        return (ROOT / reference).is_file()
    node = document
    for part in reference.removeprefix("#/").split("/"):
        if part not in node:
            return False
        node = node[part]
    return True
