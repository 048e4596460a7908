"""Which connections a set of NetworkPolicies lets through, as Kubernetes defines it.

A connection needs its source's egress and its target's ingress. A pod that no policy of a direction
selects is open in that direction; policies add up. Only what the manifests use is understood.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any, Final

NAMESPACE: Final = "coterie"


@dataclass(frozen=True)
class Peer:
    """A pod, or with `ip` an address that is no pod."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    namespace: str = NAMESPACE
    ip: str | None = None


def allowed(policies: Iterable[Mapping[str, Any]], source: Peer, target: Peer, port: int) -> bool:
    """Whether `source` may connect to `target` at `port`."""
    policies = list(policies)
    return _open(policies, source, target, port, "Egress") and _open(
        policies, target, source, port, "Ingress"
    )


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector matches; an empty one matches all."""
    unknown = set(selector) - {"matchLabels", "matchExpressions"}
    assert not unknown, unknown
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "In", expression
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return True


def _open(
    policies: list[Mapping[str, Any]], pod: Peer, other: Peer, port: int, direction: str
) -> bool:
    if pod.namespace != NAMESPACE or pod.ip is not None:
        return True  # others' policies are theirs
    applying = [
        policy["spec"]
        for policy in policies
        if direction in policy["spec"]["policyTypes"]
        and selects(policy["spec"]["podSelector"], pod.labels)
    ]
    if not applying:
        return True
    side = "to" if direction == "Egress" else "from"
    return any(
        _ports(rule, port) and _peers(rule.get(side), other)
        for spec in applying
        for rule in spec.get(direction.lower(), [])
    )


def _ports(rule: Mapping[str, Any], port: int) -> bool:
    return "ports" not in rule or any(row["port"] == port for row in rule["ports"])


def _peers(peers: list[Mapping[str, Any]] | None, other: Peer) -> bool:
    if peers is None:
        return True
    return any(_is_peer(peer, other) for peer in peers)


def _is_peer(peer: Mapping[str, Any], other: Peer) -> bool:
    if (block := peer.get("ipBlock")) is not None:
        if other.ip is None:
            return False
        address = ip_address(other.ip)
        excepted = any(address in ip_network(cidr) for cidr in block.get("except", []))
        return address in ip_network(block["cidr"]) and not excepted
    if other.ip is not None:
        return False
    namespaces = peer.get("namespaceSelector")
    named = {"kubernetes.io/metadata.name": other.namespace}
    in_namespace = (
        other.namespace == NAMESPACE if namespaces is None else selects(namespaces, named)
    )
    return in_namespace and selects(peer.get("podSelector", {}), other.labels)
