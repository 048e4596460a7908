"""Exactly the connections that the platform makes are open, and exactly the topics it declares."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any, Final

import pytest

from coterie_contracts.topics import TOPICS, consumed_by
from tests.deploy.conftest import Overlay
from tests.deploy.flows import Peer, allowed

SERVICES: Final = ("membership", "feedback", "recognition", "notifications")
PORTS: Final = (53, 80, 443, 5432, 6443, 8000, 9090, 9091, 9093)
DNS: Final = Peer("dns", {"k8s-app": "kube-dns"}, "kube-system")
GATEWAY: Final = Peer("gateway", {"app": "gateway"}, "gateway")
POSTGRES_OPERATOR: Final = Peer("postgres operator", {"app": "cnpg"}, "cnpg-system")
KEDA: Final = Peer("keda", {"app": "keda-operator"}, "keda")
ELSEWHERE: Final = Peer("elsewhere", {"app.kubernetes.io/part-of": "coterie"}, "other")
STRANGER: Final = Peer("stranger", {"app": "stranger"})
WORLD: Final = Peer("world", ip="203.0.113.7")
INSIDE: Final = Peer("kubernetes api", ip="10.96.0.1")
OUTSIDERS: Final = (DNS, GATEWAY, POSTGRES_OPERATOR, KEDA, ELSEWHERE, WORLD, INSIDE)
_STRIMZI: Final = {"strimzi.io/cluster": "coterie"}
KAFKA: Final = Peer("kafka", _STRIMZI | {"strimzi.io/name": "coterie-kafka"})
ENTITIES: Final = Peer("entities", _STRIMZI | {"strimzi.io/name": "coterie-entity-operator"})

Flow = tuple[str, str, int]


def peers_of(overlay: Overlay) -> list[Peer]:
    """All pods of the namespace: the workloads', the databases', Kafka's, and one of nobody."""
    workloads = [
        Peer(name, template["metadata"]["labels"]) for name, template in overlay.pods().items()
    ]
    databases = [
        Peer(name, cluster["spec"]["inheritedMetadata"]["labels"] | {"cnpg.io/cluster": name})
        for name, cluster in overlay.of("Cluster").items()
    ]
    return [*workloads, *databases, KAFKA, ENTITIES, STRANGER]


def policies_of(overlay: Overlay) -> list[Mapping[str, Any]]:
    """The rendered policies, and those that Strimzi makes of the Kafka resource."""
    (listener,) = overlay.of("Kafka")["coterie"]["spec"]["kafka"]["listeners"]
    own = [{"podSelector": {"matchLabels": _STRIMZI}}]
    of_kafka = {
        "spec": {
            "podSelector": {"matchLabels": KAFKA.labels},
            "policyTypes": ["Ingress"],
            "ingress": [
                {
                    "from": listener["networkPolicyPeers"],
                    "ports": [{"port": listener["port"]}],
                },
                {"from": own, "ports": [{"port": 9090}, {"port": 9091}]},
            ],
        }
    }
    return [*overlay.of("NetworkPolicy").values(), of_kafka]


def expected_flows(peers: list[Peer]) -> set[Flow]:
    flows = {(peer.name, DNS.name, 53) for peer in peers}
    for service in SERVICES:
        api, relay, database = f"{service}-api", f"{service}-relay", f"{service}-db"
        flows |= {(GATEWAY.name, api, 8000), (api, WORLD.name, 443)}
        flows |= {(api, database, 5432), (f"{service}-migrate", database, 5432)}
        flows |= {(relay, database, 5432), (relay, KAFKA.name, 9093)}
        if consumed_by(service):
            consumer = f"{service}-consumer"
            flows |= {(consumer, database, 5432), (consumer, KAFKA.name, 9093)}
        flows |= {(database, database, 5432), (database, database, 8000)}
        flows |= {(POSTGRES_OPERATOR.name, database, port) for port in (5432, 8000)}
    operated = [f"{service}-db" for service in SERVICES] + [KAFKA.name, ENTITIES.name]
    flows |= {
        (name, to.name, port) for name, to, port in product(operated, (WORLD, INSIDE), (443, 6443))
    }
    flows |= {(name, KAFKA.name, port) for name in ("kafka", "entities") for port in (9090, 9091)}
    return flows | {(KEDA.name, KAFKA.name, 9093)}


def test_the_flows_that_exist_are_open_and_no_other(overlay: Overlay) -> None:
    peers, policies = peers_of(overlay), policies_of(overlay)
    pairs = [(source, target) for source in peers for target in (*peers, DNS, WORLD, INSIDE)]
    pairs += [(source, target) for source in OUTSIDERS for target in peers]
    open_ = {
        (source.name, target.name, port)
        for source, target in pairs
        for port in PORTS
        if allowed(policies, source, target, port)
    }
    expected = expected_flows(peers)
    assert open_ - expected == set(), "open although nothing needs it"
    assert expected - open_ == set(), "needed and closed"


def test_every_policy_of_ours_selects_somebody(overlay: Overlay) -> None:
    from tests.deploy.flows import selects

    peers = peers_of(overlay)
    idle = [
        name
        for name, policy in overlay.of("NetworkPolicy").items()
        if not any(selects(policy["spec"]["podSelector"], peer.labels) for peer in peers)
    ]
    assert idle == []


def granted(overlay: Overlay, user: str) -> set[tuple[str, str, str]]:
    acls = overlay.of("KafkaUser")[user]["spec"]["authorization"]["acls"]
    assert {acl["resource"]["patternType"] for acl in acls} == {"literal"}
    assert {acl["type"] for acl in acls} == {"allow"}
    assert all("host" not in acl for acl in acls)
    return {
        (acl["resource"]["type"], acl["resource"]["name"], operation)
        for acl in acls
        for operation in acl["operations"]
    }


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_do_what_is_declared_and_nothing_else(overlay: Overlay, service: str) -> None:
    expected = set()
    for topic in TOPICS:
        if topic.owner == service:
            expected |= {("topic", topic.name, "Write"), ("topic", topic.name, "Describe")}
        if service in topic.consumers:
            expected |= {("topic", topic.name, "Read"), ("topic", topic.name, "Describe")}
            expected |= {("group", f"coterie.{service}.{topic.lane.value}", "Read")}
    assert granted(overlay, f"coterie-{service}") == expected


def test_nobody_else_has_a_right_but_to_see_lag(overlay: Overlay) -> None:
    users = set(overlay.of("KafkaUser"))
    assert users == {"coterie-lag", *(f"coterie-{service}" for service in SERVICES)}
    seen = granted(overlay, "coterie-lag")
    assert {operation for _, _, operation in seen} == {"Describe"}
    assert {name for kind, name, _ in seen if kind == "topic"} == {
        topic.name for topic in TOPICS if topic.consumers
    }


def test_personal_data_is_read_by_those_alone_who_reach_people(overlay: Overlay) -> None:
    readers = {
        user
        for user in overlay.of("KafkaUser")
        if ("topic", "member.contact", "Read") in granted(overlay, user)
    }
    assert readers == {"coterie-notifications"}


def test_every_topic_is_there_as_the_contracts_say(overlay: Overlay) -> None:
    rendered = {
        name: (
            topic["spec"]["partitions"],
            topic["spec"]["config"]["retention.ms"],
            topic["spec"]["config"]["cleanup.policy"] == "compact",
        )
        for name, topic in overlay.of("KafkaTopic").items()
    }
    assert rendered == {
        topic.name: (topic.partitions, str(topic.retention_ms), topic.compacted) for topic in TOPICS
    }
