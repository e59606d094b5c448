"""Who reaches whom: the NetworkPolicies as sets of (peer, port)."""

import json
from typing import Any

import pytest

from tests.chart.conftest import Render, Rendered

DNS = {("namespace kube-system", 53)}
TEMPORAL = {("temporal", 7233)}
STORE = {("minio", 9000)}
MONITORING = ("namespace monitoring", 9090)
TEST = ("test", 9090)


def peer(of: dict[str, Any]) -> str:
    """Return a peer in a word or two."""
    pods = of.get("podSelector", {}).get("matchLabels", {}).get("app.kubernetes.io/component")
    if pods and "namespaceSelector" not in of:
        return str(pods)
    if "ipBlock" in of:
        return f"{of['ipBlock']['cidr']} but {len(of['ipBlock'].get('except', []))} ranges"
    if names := of.get("namespaceSelector", {}).get("matchLabels"):
        return f"namespace {names['kubernetes.io/metadata.name']}"
    return json.dumps(of)


def ways(rendered: Rendered, component: str, direction: str) -> set[tuple[str, int]]:
    """Return the ways in (`ingress`) or out (`egress`) of a component."""
    spec = rendered.component("NetworkPolicy", component)["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == component
    return {
        (peer(other), port["port"])
        for rule in spec[direction]
        for other in rule["to" if direction == "egress" else "from"]
        for port in rule["ports"]
    }


def test_every_pod_is_closed(render: Render) -> None:
    rendered = render()
    policies = rendered.kinds("NetworkPolicy").values()
    closed = {each["metadata"]["labels"]["app.kubernetes.io/component"] for each in policies}
    pods = {
        each["metadata"]["labels"]["app.kubernetes.io/component"]
        for each in rendered.objects
        if each["kind"] in ("Deployment", "StatefulSet", "Pod")
    }
    assert closed == pods


def test_ways_out(render: Render) -> None:
    rendered = render()
    assert ways(rendered, "pdf-worker", "egress") == DNS | TEMPORAL | STORE
    assert ways(rendered, "orchestrator", "egress") == DNS | TEMPORAL
    assert ways(rendered, "gateway", "egress") == DNS | TEMPORAL | STORE
    assert ways(rendered, "llm-worker", "egress") == DNS | TEMPORAL | STORE | {("simulator", 9090)}
    for server in ("simulator", "temporal", "minio"):
        assert ways(rendered, server, "egress") == set()


def test_ways_in(render: Render) -> None:
    rendered = render()
    for worker in ("orchestrator", "llm-worker", "pdf-worker"):
        assert ways(rendered, worker, "ingress") == {MONITORING, TEST}
    assert ways(rendered, "gateway", "ingress") == {MONITORING, TEST, ("test", 8080), ('{"podSelector": {}}', 8080)}
    assert ways(rendered, "simulator", "ingress") == {MONITORING, TEST, ("llm-worker", 9090)}
    assert ways(rendered, "minio", "ingress") == {("gateway", 9000), ("llm-worker", 9000), ("pdf-worker", 9000)}
    assert ways(rendered, "temporal", "ingress") == {
        (component, 7233) for component in ("gateway", "orchestrator", "llm-worker", "pdf-worker")
    }


def test_only_the_llm_worker_leaves_the_cluster(render: Render) -> None:
    rendered = render({"simulator": {"enabled": False}, "llm": {"existingSecret": "llm"}})
    assert ways(rendered, "llm-worker", "egress") == DNS | TEMPORAL | STORE | {("0.0.0.0/0 but 6 ranges", 443)}
    for component in ("pdf-worker", "gateway", "orchestrator"):
        assert not any("/" in other for other, _ in ways(rendered, component, "egress"))


@pytest.mark.parametrize(
    ("base", "port"),
    [("http://vllm:8000/v1", 8000), ("https://llm.example.com/v1", 443), ("http://llm.example.com", 80)],
)
def test_the_providers_port_is_that_of_its_address(render: Render, base: str, port: int) -> None:
    models = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "models"}}}
    llm = {"existingSecret": "llm", "apiBase": base, "egress": [models]}
    rendered = render({"simulator": {"enabled": False}, "llm": llm})
    assert ways(rendered, "llm-worker", "egress") == DNS | TEMPORAL | STORE | {("namespace models", port)}


def test_own_servers_are_reached_where_they_are_said_to_be(render: Render) -> None:
    rendered = render(file="ci/external-values.yaml")
    assert ways(rendered, "pdf-worker", "egress") == DNS | {("namespace temporal", 7233), ("namespace storage", 9000)}
    assert ways(rendered, "orchestrator", "egress") == DNS | {("namespace temporal", 7233)}


def test_keda_is_let_in_only_where_it_scales(render: Render) -> None:
    plain = ways(render(), "temporal", "ingress")
    scaled = ways(render({"components": {"pdfWorker": {"keda": {"enabled": True}}}}), "temporal", "ingress")
    ((other, port),) = scaled - plain
    assert "keda-operator" in other
    assert port == 7233
