"""One JSON Schema (2020-12) for each version of an event: what a producer sends, exactly.

Closed for producers: a record holds these fields and no other. Readers are tolerant, so what a
reader takes is another, wider schema; the evolution gate holds the two against each other.
"""

from __future__ import annotations

import json
from inspect import cleandoc
from typing import Any, Final

from coterie_contracts.envelope import CONTENT_TYPE, REPLAY_HEADER
from coterie_contracts.model import EventBody
from coterie_contracts.samples import sample
from coterie_contracts.topics import Topic

__all__ = ["DIALECT", "headers", "reader_schema", "schema", "what_happened"]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_UUID: Final = {"type": "string", "format": "uuid"}
_TIME: Final = {"type": "string", "format": "date-time"}
_TEXT: Final = {"type": "string"}
_REQUIRED_HEADERS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "ce_specversion": ({"const": "1.0"}, "of CloudEvents"),
    "ce_id": (_UUID, "the event's id, the same on every delivery: deduplicate by it"),
    "ce_source": (_TEXT, "`coterie/<service>` that decided it"),
    "ce_type": (_TEXT, "`coterie.<topic>.v<version>`"),
    "ce_subject": (_UUID, "id of the aggregate that changed"),
    "ce_time": (_TIME, "when it happened on its community's clock"),
    "ce_partitionkey": (_UUID, "the Kafka key, as text; equals `ce_subject`"),
    "ce_actor": (_TEXT, "who did it: `person:<uuid>`, `system` or `importer`"),
    "ce_causationid": (_UUID, "the event or command that led to it"),
    "ce_correlationid": (_UUID, "the first of that chain"),
    "ce_recordedtime": (_TIME, "when it was written, on the clock of the writer's database"),
}
_OTHER_HEADERS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "content-type": ({"const": CONTENT_TYPE}, "of the value; it is UTF-8"),
    "ce_brandid": (_UUID, "the tenant"),
    "ce_communityid": (_UUID, "absent only for facts of a brand"),
    "ce_sequence": (
        {"type": "string", "pattern": "^[1-9][0-9]{0,17}$"},
        "counts the published changes of the subject from 1 without gaps",
    ),
    "ce_clock": (_TEXT, "`driven` where the community's clock is not the wall's"),
    "traceparent": (_TEXT, "W3C trace context"),
    REPLAY_HEADER: (_TEXT, "present on replayed events: rebuild state, repeat no effect"),
}


def schema(topic: Topic, body: type[EventBody] | None = None) -> dict[str, Any]:
    """The schema of a topic's data in its current version or in `body`, with its example."""
    body = body or topic.body
    made = body.model_json_schema(mode="serialization")
    _close(made)
    example = json.loads(sample(topic, body).data.model_dump_json())
    return {
        "$schema": DIALECT,
        "$id": f"urn:coterie:schema:{body.event_type()}",
        "title": body.__name__,
        "description": what_happened(body),
        **{key: value for key, value in made.items() if key not in {"title", "description"}},
        "examples": [example],
    }


def reader_schema(body: type[EventBody]) -> dict[str, Any]:
    """What a reader with this model takes: fields it does not know, and values of enumerations
    that have `unknown`."""
    made = body.model_json_schema(mode="validation")
    _open(made)
    return made


def headers() -> dict[str, Any]:
    """The schema of a record's headers, each as UTF-8 text."""
    known = _REQUIRED_HEADERS | _OTHER_HEADERS
    return {
        "type": "object",
        "required": list(_REQUIRED_HEADERS),
        "properties": {
            name: shape | {"description": text} for name, (shape, text) in known.items()
        },
    }


def what_happened(body: type[EventBody]) -> str:
    """The event in words."""
    return cleandoc(body.__doc__ or "")


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


def _open(node: Any) -> None:
    if isinstance(node, dict):
        if "unknown" in node.get("enum", ()):
            del node["enum"]
        for value in node.values():
            _open(value)
    elif isinstance(node, list):
        for value in node:
            _open(value)
