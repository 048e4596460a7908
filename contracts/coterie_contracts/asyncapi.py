"""One AsyncAPI 3 document for the whole platform, as a subscriber sees it: a channel a topic.

Schemas are referred to where they lie, so that document and schemas cannot tell two stories.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any, Final

from coterie_contracts.envelope import CONTENT_TYPE, Event, encode
from coterie_contracts.model import EventBody
from coterie_contracts.samples import sample
from coterie_contracts.schemas import headers, what_happened
from coterie_contracts.topics import TOPICS, Topic

__all__ = ["asyncapi", "readable"]

VERSION: Final = version("coterie-contracts")


def asyncapi() -> dict[str, Any]:
    """The document: channels, operations, messages with key, headers, payload and example."""
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
            "messages": {
                body.event_type(): _message(topic, body)
                for topic in TOPICS
                for body in topic.bodies
            },
            "schemas": {"Headers": headers()},
            "correlationIds": {"chain": {"location": "$message.header#/ce_correlationid"}},
        },
    }


def readable(event: Event[EventBody]) -> dict[str, Any]:
    """Attributes and data of an event, as its record carries them."""
    attributes = {name: value.decode() for name, value in encode(event).headers}
    return {"headers": attributes, "data": json.loads(event.data.model_dump_json())}


def _channel(topic: Topic) -> dict[str, Any]:
    return {
        "address": topic.name,
        "description": f"{what_happened(topic.body)} Sent when {topic.body.sent_when}.",
        "messages": {
            f"v{body.version}": {"$ref": f"#/components/messages/{body.event_type()}"}
            for body in topic.bodies
        },
        "bindings": {
            "kafka": {
                "topic": topic.name,
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
        "x-key": topic.key,
    }


def _operation(topic: Topic) -> dict[str, Any]:
    channel = f"#/channels/{topic.name}"
    return {
        "action": "receive",
        "summary": f"Read from {topic.owner}: {topic.name}",
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/v{body.version}"} for body in topic.bodies],
    }


def _message(topic: Topic, body: type[EventBody]) -> dict[str, Any]:
    example = readable(sample(topic, body))
    own = {
        "ce_type": {"const": body.event_type()},
        "ce_source": {"const": f"coterie/{topic.owner}"},
    }
    key = {"type": "string", "format": "uuid", "description": f"`{topic.key}`, also `ce_subject`"}
    return {
        "name": body.event_type(),
        "title": body.__name__,
        "summary": what_happened(body).splitlines()[0],
        "contentType": CONTENT_TYPE,
        "correlationId": {"$ref": "#/components/correlationIds/chain"},
        "headers": {
            "type": "object",
            "allOf": [{"$ref": "#/components/schemas/Headers"}, {"properties": own}],
        },
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": f"./schemas/{topic.name}.v{body.version}.json"},
        },
        "bindings": {"kafka": {"key": key}},
        "examples": [{"name": "golden", "headers": example["headers"], "payload": example["data"]}],
    }
