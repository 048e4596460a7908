"""A page for each event, in Markdown, from the models and `topics` alone.

It answers what a subscriber asks, in that order: what happened, who sends it and when, by which
key, what is in it, what a record looks like, who else listens.
"""

from __future__ import annotations

import json
from typing import Any

from coterie_contracts.asyncapi import readable
from coterie_contracts.model import EventBody
from coterie_contracts.samples import sample
from coterie_contracts.schemas import schema, what_happened
from coterie_contracts.topics import TOPICS, Topic

__all__ = ["contents", "page", "page_name"]


def page_name(topic: Topic, body: type[EventBody]) -> str:
    return f"{topic.name}.v{body.version}.md"


def contents() -> str:
    """The table of all events by the service that sends them."""
    lines = [
        "# Every event",
        "",
        "Made from the models by `make contracts`. Headers are the same for all: see",
        "[asyncapi.yaml](../asyncapi.yaml) and [how to subscribe](../../docs/subscribe.md).",
    ]
    for owner in dict.fromkeys(topic.owner for topic in TOPICS):
        lines += ["", f"## {owner}", "", "| event | what happened | who listens |", "|---|---|---|"]
        lines += [
            f"| [{topic.name} v{body.version}]({page_name(topic, body)}) "
            f"| {_cell(what_happened(body).split('. ')[0])} | {_listeners(topic)} |"
            for topic in TOPICS
            if topic.owner == owner
            for body in topic.bodies
        ]
    return "\n".join(lines) + "\n"


def page(topic: Topic, body: type[EventBody]) -> str:
    """All that a subscriber needs to know of one version of an event."""
    made = schema(topic, body)
    stem = f"{topic.name}.v{body.version}"
    example = readable(sample(topic, body))
    golden = f"../examples/{topic.name}/v{body.version}/example.record.json"
    return f"""# {topic.name} v{body.version}

{made["description"]}

| | |
|---|---|
| type | `{body.event_type()}` |
| sent by | {topic.owner} |
| sent when | {_cell(body.sent_when)} |
| who listens | {_listeners(topic)} |
| key | `{topic.key}`, also `ce_subject` |
| partitions | {topic.partitions} |
| kept | {_kept(topic)} |
| lane | {topic.lane.value} |

## Fields

{_fields(made)}{_definitions(made)}
## Example

Headers, then the value; the same as exact bytes: [example.record.json]({golden}).

```json
{json.dumps(example["headers"], indent=2, ensure_ascii=False)}
```

```json
{json.dumps(example["data"], indent=2, ensure_ascii=False)}
```

JSON Schema: [{stem}.json](../schemas/{stem}.json). All events: [README.md](README.md).
"""


def _listeners(topic: Topic) -> str:
    return ", ".join(topic.consumers) or "no service of ours"


def _kept(topic: Topic) -> str:
    if topic.compacted:
        return "the last record of each key; a null value says that it is gone"
    return "for ever" if topic.retention_ms == -1 else f"{topic.retention_ms} ms"


def _fields(node: dict[str, Any]) -> str:
    required = set(node.get("required", ()))
    rows = ["| field | type | unit or limits | what it says |", "|---|---|---|---|"]
    for name, field in node.get("properties", {}).items():
        absent = "" if name in required else f"; default `{json.dumps(field.get('default'))}`"
        said = _cell(field.get("description", ""))
        rows.append(f"| `{name}` | {_type(field)} | {_limits(field)} | {said}{absent} |")
    return "\n".join(rows) + "\n"


def _definitions(made: dict[str, Any]) -> str:
    parts = []
    for name, node in made.get("$defs", {}).items():
        said = " ".join(node["description"].split())
        if "enum" in node:
            grows = " It may grow: read what you do not know as `unknown`."
            values = ", ".join(f"`{value}`" for value in node["enum"])
            more = grows if "unknown" in node["enum"] else ""
            parts.append(f"### {name}\n\n{said}{more}\n\n{values}\n")
        else:
            parts.append(f"### {name}\n\n{said}\n\n{_fields(node)}")
    return "\n" + "\n".join(parts) if parts else ""


def _type(node: dict[str, Any]) -> str:
    if "anyOf" in node:
        return " or ".join(_type(arm) for arm in node["anyOf"])
    if "$ref" in node:
        return str(node["$ref"]).rpartition("/")[2]
    if node.get("type") == "array":
        return f"list of {_type(node['items'])}"
    return str(node.get("format") or node.get("type"))


def _limits(node: dict[str, Any]) -> str:
    arms = [arm for arm in node.get("anyOf", [node]) if arm.get("type") != "null"]
    said = []
    for arm in arms:
        if unit := arm.get("x-unit"):
            said.append(str(unit))
        said += [f"{text} {arm[name]}" for name, text in _WORDS.items() if name in arm]
        if pattern := arm.get("pattern"):
            said.append(f"`{pattern}`".replace("|", "\\|"))
    return ", ".join(said)


def _cell(text: str) -> str:
    """Text inside a row of a table."""
    return " ".join(text.replace("|", "\\|").split()).removesuffix(".")


_WORDS = {
    "minimum": "at least",
    "maximum": "at most",
    "minLength": "length at least",
    "maxLength": "length at most",
}
