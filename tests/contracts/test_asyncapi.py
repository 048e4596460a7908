"""One AsyncAPI 3 document tells a subscriber all; the official parser takes it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from coterie_contracts.asyncapi import asyncapi
from coterie_contracts.export import ROOT
from coterie_contracts.schemas import schema
from coterie_contracts.topics import TOPICS, Topic
from tests.contracts.conftest import Node


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
    own = Draft202012Validator(message["headers"]["allOf"][1])
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
    assert channel["x-key"] == topic.key
    assert message["bindings"]["kafka"]["key"]["format"] == "uuid"
    headers.validate(example["headers"])
    own.validate(example["headers"])
    assert not own.is_valid(example["headers"] | {"ce_type": "coterie.other.v1"})
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


def test_the_official_parser_accepts_it_and_every_example_fits(node: Node) -> None:
    done = node("check.mjs")

    assert done.stderr == ""
    assert done.stdout == f"{len(TOPICS)} channels, {len(TOPICS)} messages: accepted\n"


Spoil = Callable[[dict[str, Any]], Any]


def _message(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["messages"]["coterie.reward.issued.v1"]
    return found


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda d: d["operations"]["receive.reward.issued"].update(action="eat"), "allowed values"),
        (lambda d: d["channels"]["reward.issued"].pop("messages"), "does not exist"),
        (
            lambda d: _message(d)["payload"]["schema"].update({"$ref": "./schemas/gone.json"}),
            "no such file",
        ),
        (
            lambda d: _message(d)["examples"][0]["payload"].update(surprise=1),
            "coterie.reward.issued.v1: example payload: data must NOT have additional properties",
        ),
        (
            lambda d: _message(d)["examples"][0]["headers"].pop("ce_id"),
            "coterie.reward.issued.v1: example headers: data must have required property 'ce_id'",
        ),
    ],
)
def test_a_spoilt_document_is_refused_with_the_reason(
    node: Node, tmp_path: Path, spoil: Spoil, told: str
) -> None:
    shutil.copytree(ROOT / "schemas", tmp_path / "schemas")
    document = yaml.safe_load((ROOT / "asyncapi.yaml").read_text())
    spoil(document)
    (tmp_path / "asyncapi.yaml").write_text(yaml.safe_dump(document, sort_keys=False))

    done = node("check.mjs", str(tmp_path / "asyncapi.yaml"))

    assert done.returncode == 1
    assert told in done.stderr
