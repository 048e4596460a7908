"""JSON Schemas, one AsyncAPI document and golden examples, all from the models and `topics`.

`python -m coterie_contracts.export` writes what is missing or stale; with `--check` it writes
nothing and names every file that is, and every break with the newest release. An example that
exists is never written again, because its bytes must decode for ever.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections.abc import Iterator
from importlib.metadata import version
from inspect import cleandoc
from pathlib import Path
from typing import Any, Final

import yaml

from coterie_contracts.compatibility import release_breaks
from coterie_contracts.envelope import CONTENT_TYPE, Event, Message, encode
from coterie_contracts.model import EventBody
from coterie_contracts.samples import sample
from coterie_contracts.topics import TOPICS, Topic

__all__ = ["asyncapi", "golden", "main", "schema"]

ROOT: Final = Path(__file__).resolve().parents[1]
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
VERSION: Final = version("coterie-contracts")
_REQUIRED_HEADERS: Final = (
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_subject",
    "ce_time",
    "ce_partitionkey",
    "ce_actor",
    "ce_causationid",
    "ce_correlationid",
    "ce_recordedtime",
)
_OTHER_HEADERS: Final = {
    "content-type": CONTENT_TYPE,
    "ce_brandid": "the tenant",
    "ce_communityid": "absent only for facts of a brand",
    "ce_sequence": "counts the published changes of the subject from 1 without gaps",
    "ce_clock": "`driven` where the community's clock is not the wall's",
    "traceparent": "W3C trace context",
    "coterie-replay": "present on replayed events: rebuild state, repeat no effect",
}


def schema(topic: Topic) -> dict[str, Any]:
    """The JSON Schema of a topic's data, closed for producers, with its golden example."""
    made = topic.body.model_json_schema(mode="serialization")
    _close(made)
    example = json.loads(sample(topic).data.model_dump_json())
    return {
        "$schema": DIALECT,
        "$id": f"urn:coterie:schema:{topic.body.event_type()}",
        "title": topic.body.__name__,
        "description": cleandoc(topic.body.__doc__ or ""),
        **{key: value for key, value in made.items() if key not in {"title", "description"}},
        "examples": [example],
    }


def asyncapi() -> dict[str, Any]:
    """One AsyncAPI 3 document: a channel a topic, as a subscriber sees it."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Coterie's events",
            "version": VERSION,
            "description": "CloudEvents 1.0 on Kafka in binary mode. Deduplicate by `ce_id`.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": {f"receive.{topic.name}": _operation(topic) for topic in TOPICS},
        "components": {
            "messages": {topic.body.event_type(): _message(topic) for topic in TOPICS},
            "schemas": {"Headers": _headers()},
        },
    }


def golden(topic: Topic) -> dict[Path, str]:
    """The example of a topic, readable and as exact bytes, by file."""
    event = sample(topic)
    folder = ROOT / "examples" / topic.name / f"v{topic.body.version}"
    return {
        folder / "example.json": _pretty(readable(event)),
        folder / "example.record.json": _pretty(record(encode(event))),
    }


def readable(event: Event[EventBody]) -> dict[str, Any]:
    """Attributes and data of an event, as its record carries them."""
    headers = {name: value.decode() for name, value in encode(event).headers}
    return {"headers": headers, "data": json.loads(event.data.model_dump_json())}


def record(message: Message) -> dict[str, Any]:
    """The bytes of a record in base64."""
    value = None if message.value is None else base64.b64encode(message.value).decode()
    return {
        "topic": message.topic,
        "key": base64.b64encode(message.key).decode(),
        "headers": [[name, base64.b64encode(raw).decode()] for name, raw in message.headers],
        "value": value,
    }


def main(arguments: list[str] | None = None) -> int:
    """Write or check; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, name stale files")
    parser.add_argument("--root", type=Path, default=ROOT, help="the folder of the contracts")
    given = parser.parse_args(arguments)
    faults = list(_check(given.root)) if given.check else []
    if not given.check:
        _write(given.root)
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    return 1 if faults else 0


def _generated() -> dict[Path, str]:
    files = {
        ROOT / "schemas" / f"{topic.name}.v{topic.body.version}.json": _pretty(schema(topic))
        for topic in TOPICS
    }
    text = yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=100)
    files[ROOT / "asyncapi.yaml"] = text
    return files


def _examples() -> dict[Path, str]:
    return {path: text for topic in TOPICS for path, text in golden(topic).items()}


def _check(root: Path) -> Iterator[str]:
    generated = {root / path.relative_to(ROOT): text for path, text in _generated().items()}
    examples = {root / path.relative_to(ROOT) for path in _examples()}
    for path, text in generated.items():
        if not path.is_file():
            yield f"{path.relative_to(root)} is missing: run `make contracts`"
        elif path.read_text() != text:
            yield f"{path.relative_to(root)} differs from the models: run `make contracts`"
    for path in sorted(examples):
        if not path.is_file():
            yield f"{path.relative_to(root)} is missing: run `make contracts`"
    known = generated.keys() | examples
    for path in sorted([*(root / "schemas").glob("*"), *(root / "examples").rglob("*.json")]):
        if path not in known:
            yield f"{path.relative_to(root)} belongs to no topic: delete it"
    yield from release_breaks(root)


def _write(root: Path) -> None:
    for path, text in _generated().items():
        _put(root / path.relative_to(ROOT), text)
    for path, text in _examples().items():
        if not (target := root / path.relative_to(ROOT)).is_file():
            _put(target, text)


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _channel(topic: Topic) -> dict[str, Any]:
    return {
        "address": topic.name,
        "description": cleandoc(topic.body.__doc__ or ""),
        "messages": {"event": {"$ref": f"#/components/messages/{topic.body.event_type()}"}},
        "bindings": {
            "kafka": {
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": ["compact" if topic.compacted else "delete"],
                    "retention.ms": topic.retention_ms,
                },
            }
        },
        "x-owner": topic.owner,
        "x-consumers": list(topic.consumers),
        "x-lane": topic.lane.value,
    }


def _operation(topic: Topic) -> dict[str, Any]:
    return {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "messages": [{"$ref": f"#/channels/{topic.name}/messages/event"}],
    }


def _message(topic: Topic) -> dict[str, Any]:
    example = readable(sample(topic))
    return {
        "name": topic.body.event_type(),
        "title": topic.body.__name__,
        "contentType": CONTENT_TYPE,
        "headers": {"$ref": "#/components/schemas/Headers"},
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": f"./schemas/{topic.name}.v{topic.body.version}.json"},
        },
        "bindings": {
            "kafka": {"key": {"type": "string", "format": "uuid", "description": "ce_subject"}}
        },
        "examples": [{"headers": example["headers"], "payload": example["data"]}],
    }


def _headers() -> dict[str, Any]:
    properties: dict[str, Any] = {name: {"type": "string"} for name in _REQUIRED_HEADERS}
    for name, meaning in _OTHER_HEADERS.items():
        properties[name] = {"type": "string", "description": meaning}
    return {"type": "object", "required": list(_REQUIRED_HEADERS), "properties": properties}


def _close(node: Any) -> None:
    """Producers send exactly these properties."""
    if isinstance(node, dict):
        if node.get("type") == "object" and "properties" in node:
            node["additionalProperties"] = False
        for value in node.values():
            _close(value)
    elif isinstance(node, list):
        for value in node:
            _close(value)


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
