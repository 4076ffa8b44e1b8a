"""The network policies: every service reaches what it needs, and nothing else."""

from __future__ import annotations

import pytest

from tests.support.kubernetes import OVERLAYS, Manifest, environment, of_kind, overlay, pod, pods
from tests.support.kubernetes_network import Address, Namespace, Party, may_ask

CAMERA = Address("192.0.2.10")
METADATA = Address("169.254.169.254")
"""The address where cloud machines get their credentials."""


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    return overlay(request.param)


def test_each_pod_reaches_only_what_its_service_needs() -> None:
    manifests = overlay("cpu")
    policies = {one["metadata"]["name"]: one["spec"] for one in of_kind(manifests, "NetworkPolicy")}
    reach = {
        one.name: {
            name for name, spec in policies.items() if "egress" in spec and one.matches(spec["podSelector"])
        }
        for one in pods(manifests)
    }
    kafka, redis = {"to-names", "to-kafka"}, {"to-names", "to-redis"}
    assert reach == {
        "ingest": kafka | {"to-cameras"},
        "detect": kafka,
        "classify": kafka,
        "sink": kafka | redis,
        "api": redis,
        "command": kafka | redis | {"to-cameras", "to-prometheus", "to-workers"},
        "topics": kafka,
    }


def test_the_ports_of_the_policies_are_those_of_the_settings() -> None:
    manifests = overlay("cpu")
    variables = environment(pod(manifests, "sink"), manifests)
    for address in (
        variables["KAFKA_BOOTSTRAP_SERVERS"],
        variables["REDIS_URL"].removesuffix("/0").removeprefix("redis://"),
    ):
        host, _, port = address.rpartition(":")
        home = Namespace(host.rpartition(".")[2])
        assert may_ask(pod(manifests, "sink"), home, int(port), manifests)
        assert not may_ask(pod(manifests, "sink"), Namespace("default"), int(port), manifests)


def test_the_command_can_audit_workers_and_probe_cameras(manifests: list[Manifest]) -> None:
    command = pod(manifests, "command")
    assert may_ask(command, Namespace("monitoring"), 9090, manifests)
    assert may_ask(command, CAMERA, 554, manifests)
    for one in pods(manifests):
        if one.is_worker:
            assert may_ask(command, one, one.ports["http"], manifests), one.name


def test_workers_answer_prometheus_and_the_command_alone(manifests: list[Manifest]) -> None:
    for one in pods(manifests):
        if one.is_worker:
            port = one.ports["http"]
            assert may_ask(Namespace("monitoring"), one, port, manifests)
            assert not may_ask(Namespace("default"), one, port, manifests)
            assert [other.name for other in pods(manifests) if may_ask(other, one, port, manifests)] == [
                "command"
            ]


def test_ingest_and_the_command_alone_reach_cameras(manifests: list[Manifest]) -> None:
    cameras: list[Party] = [CAMERA, *(one for one in pods(manifests) if one.name == "camera")]
    for camera in cameras:
        assert {one.name for one in pods(manifests) if may_ask(one, camera, 8554, manifests)} == {
            "ingest",
            "command",
        }


@pytest.mark.parametrize("protocol", ["UDP", "TCP"])
def test_cluster_and_node_cache_resolve_names(manifests: list[Manifest], protocol: str) -> None:
    for resolver in (Namespace("kube-system"), Address("169.254.20.10"), Address("169.254.25.10")):
        for one in pods(manifests):
            assert may_ask(one, resolver, 53, manifests, protocol), one.name


def test_no_pod_reaches_the_credentials_of_cloud_machines(manifests: list[Manifest]) -> None:
    named = {
        port["port"]
        for one in of_kind(manifests, "NetworkPolicy")
        for rule in one["spec"].get("egress", ())
        for port in rule.get("ports", ())
    }
    for port in named | {80, 443}:
        for protocol in ("TCP", "UDP"):
            assert [
                one.name for one in pods(manifests) if may_ask(one, METADATA, port, manifests, protocol)
            ] == []
