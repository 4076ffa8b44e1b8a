"""The connections between pods that the network policies allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from tests.support.kubernetes import Manifest, Pod, of_kind


@dataclass(frozen=True)
class Namespace:
    """Any pod of a namespace that is not ours."""

    name: str


@dataclass(frozen=True)
class Address:
    """What is no pod: a camera, a node, a server of the cloud."""

    ip: str


Party = Pod | Namespace | Address


def may_ask(
    source: Party, target: Party, port: int, manifests: Sequence[Manifest], protocol: str = "TCP"
) -> bool:
    """Whether `source` may open a connection to a port of `target`, by the policies of both of them."""
    names = target.ports if isinstance(target, Pod) else {}

    def is_open(way: str, own: Party, peers: str, other: Party) -> bool:
        rules = _rules(way, own, manifests)
        return rules is None or any(
            any(_means(peer, other) for peer in rule[peers]) and _has_port(rule, port, protocol, names)
            for rule in rules
        )

    return is_open("Egress", source, "to", target) and is_open("Ingress", target, "from", source)


def _rules(way: str, own: Party, manifests: Sequence[Manifest]) -> Sequence[Mapping[str, Any]] | None:
    """The rules of all policies for these pods in that direction; None: all connections are allowed."""
    if not isinstance(own, Pod):
        return None
    policies = [one["spec"] for one in of_kind(manifests, "NetworkPolicy")]
    meant = [one for one in policies if way in one["policyTypes"] and own.matches(one["podSelector"])]
    return [rule for one in meant for rule in one.get(way.lower(), ())] if meant else None


def _means(peer: Mapping[str, Any], party: Party) -> bool:
    ((kind, value),) = peer.items()
    if kind == "ipBlock":
        # Whether it means pods too is left to the network of the cluster: better not to count on it.
        return isinstance(party, Address) and _is_within(party.ip, value)
    if kind == "podSelector":
        return isinstance(party, Pod) and party.matches(value)
    wanted = {"kubernetes.io/metadata.name": party.name} if isinstance(party, Namespace) else None
    return bool(value["matchLabels"] == wanted)


def _is_within(ip: str, block: Mapping[str, Any]) -> bool:
    address = ip_address(ip)
    return address in ip_network(block["cidr"]) and not any(
        address in ip_network(one) for one in block.get("except", ())
    )


def _has_port(rule: Mapping[str, Any], port: int, protocol: str, names: Mapping[str, int]) -> bool:
    return "ports" not in rule or any(
        (names.get(one["port"], one["port"]), one["protocol"]) == (port, protocol) for one in rule["ports"]
    )
