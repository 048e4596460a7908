"""Writes what the contracts' table of topics implies for a cluster: `--check` only compares.

Topics, who may read and write them, and how far consumers scale are said once, in
`coterie_contracts.topics`; the files here must never say it differently.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import yaml

from coterie_chassis.topics import owned_by
from coterie_contracts.topics import TOPICS, Lane, Topic, consumed_by

__all__ = ["CLUSTER", "SERVICES", "documents", "group_of", "main"]

SERVICES: Final = tuple(dict.fromkeys(topic.owner for topic in TOPICS))
CLUSTER: Final = "coterie"
LAG_READER: Final = "coterie-lag"
KUBERNETES: Final = Path(__file__).resolve().parents[1]
_LABELS: Final = {"strimzi.io/cluster": CLUSTER}
_STRIMZI: Final = "kafka.strimzi.io/v1"
_LAG_THRESHOLD: Final = {Lane.PROMPT: 500, Lane.BULK: 5_000}
_HEADER: Final = "# Generated from coterie_contracts.topics: change that, then `make manifests`.\n"


def group_of(service: str, lane: Lane) -> str:
    """A lane's consumer group, as the chassis names it with its default prefix."""
    return f"coterie.{service}.{lane}"


def documents() -> dict[str, list[dict[str, Any]]]:
    """The generated files below `components/`, by path."""
    consumers = [service for service in SERVICES if consumed_by(service)]
    return {
        "strimzi/topics.yaml": [_topic(topic) for topic in TOPICS],
        "strimzi/users.yaml": [*map(_user, SERVICES), _lag_reader(consumers)],
        "keda/scaling.yaml": [_scaled(service) for service in consumers],
    }


def main(arguments: Iterable[str] | None = None) -> int:
    """Write or compare; the exit code is 1 where a file is not what the table implies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, exit 1 if outdated")
    check = parser.parse_args(None if arguments is None else list(arguments)).check
    outdated = []
    for name, rows in documents().items():
        path = KUBERNETES / "components" / name
        text = _HEADER + yaml.safe_dump_all(rows, sort_keys=False, width=100)
        if not path.exists() or path.read_text() != text:
            outdated.append(str(path.relative_to(KUBERNETES)))
            if not check:
                path.write_text(text)
    if outdated and check:
        sys.stderr.write(f"outdated: {', '.join(outdated)}; run `make manifests`\n")
    return int(check and bool(outdated))


def _lanes(service: str) -> list[Lane]:
    return [lane for lane in Lane if any(topic.lane is lane for topic in consumed_by(service))]


def _topic(topic: Topic) -> dict[str, Any]:
    """Copies and the least of them in sync are the cluster's, so that they differ by overlay."""
    return {
        "apiVersion": _STRIMZI,
        "kind": "KafkaTopic",
        "metadata": {"name": topic.name, "labels": _LABELS},
        "spec": {"partitions": topic.partitions, "config": topic.config},
    }


def _user(service: str) -> dict[str, Any]:
    acls = [_allow("topic", topic.name, "Write", "Describe") for topic in owned_by(service)]
    acls += [_allow("topic", topic.name, "Read", "Describe") for topic in consumed_by(service)]
    acls += [_allow("group", group_of(service, lane), "Read") for lane in _lanes(service)]
    return _user_of(f"coterie-{service}", acls)


def _lag_reader(consumers: Iterable[str]) -> dict[str, Any]:
    """What scales consumers sees how far groups are and how long topics are, and reads nothing."""
    acls = []
    for service in consumers:
        acls += [_allow("group", group_of(service, lane), "Describe") for lane in _lanes(service)]
    consumed = [topic.name for topic in TOPICS if topic.consumers]
    acls += [_allow("topic", name, "Describe") for name in consumed]
    return _user_of(LAG_READER, acls)


def _user_of(name: str, acls: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": _STRIMZI,
        "kind": "KafkaUser",
        "metadata": {"name": name, "labels": _LABELS},
        "spec": {
            "authentication": {"type": "tls"},
            "authorization": {"type": "simple", "acls": acls},
        },
    }


def _allow(kind: str, name: str, *operations: str) -> dict[str, Any]:
    return {
        "type": "allow",
        "resource": {"type": kind, "name": name, "patternType": "literal"},
        "operations": list(operations),
    }


def _scaled(service: str) -> dict[str, Any]:
    """More instances than partitions would idle, and each change of their number stops a group."""
    partitions = min(topic.partitions for topic in consumed_by(service))
    slowly = {"type": "Pods", "value": 1, "periodSeconds": 300}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {
            "name": f"{service}-consumer",
            "labels": {
                "app.kubernetes.io/part-of": "coterie",
                "app.kubernetes.io/name": service,
                "app.kubernetes.io/component": "consumer",
            },
        },
        "spec": {
            "scaleTargetRef": {"name": f"{service}-consumer"},
            "minReplicaCount": 1,
            "maxReplicaCount": partitions,
            "pollingInterval": 15,
            "fallback": {
                "failureThreshold": 4,
                "replicas": 2,
                "behavior": "currentReplicasIfHigher",
            },
            "advanced": {
                "horizontalPodAutoscalerConfig": {
                    "behavior": {
                        "scaleUp": {"stabilizationWindowSeconds": 60},
                        "scaleDown": {"stabilizationWindowSeconds": 900, "policies": [slowly]},
                    }
                }
            },
            "triggers": [_trigger(service, lane) for lane in _lanes(service)],
        },
    }


def _trigger(service: str, lane: Lane) -> dict[str, Any]:
    """Without a topic the lag of all topics of the group counts. All values are strings."""
    return {
        "type": "kafka",
        "metadata": {
            "bootstrapServers": f"{CLUSTER}-kafka-bootstrap:9093",
            "consumerGroup": group_of(service, lane),
            "lagThreshold": str(_LAG_THRESHOLD[lane]),
            "offsetResetPolicy": "earliest",
            "allowIdleConsumers": "false",
            "tls": "enable",
        },
        "authenticationRef": {"name": LAG_READER},
    }


if __name__ == "__main__":
    raise SystemExit(main())
