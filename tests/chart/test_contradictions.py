"""Values that contradict each other are refused with a sentence that says what to do."""

from typing import Any

import pytest

from tests.chart.conftest import RefusedError, Render

PEER = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "elsewhere"}}}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"simulator": {"enabled": False}}, "Make a Secret with the provider's key under LLM_API_KEY"),
        ({"llm": {"existingSecret": "llm"}}, "Set simulator.enabled=false to use your provider"),
        ({"llm": {"apiBase": "http://vllm:8000/v1"}}, "Set simulator.enabled=false to use your provider"),
        ({"llm": {"maxCallSeconds": 100}}, r"llm.firstTokenSeconds \(120\) .* must be shorter than llm.maxCallSeconds"),
        ({"gateway": {"ingress": {"enabled": True}}}, "set gateway.acceptUnauthenticated=true"),
        ({"gateway": {"httpRoute": {"enabled": True}}}, "set gateway.acceptUnauthenticated=true"),
        ({"gateway": {"service": {"type": "LoadBalancer"}}}, "the gateway authenticates nobody"),
        ({"gateway": {"service": {"type": "NodePort"}}}, "the gateway authenticates nobody"),
        (
            {"gateway": {"acceptUnauthenticated": True, "ingress": {"enabled": True}}},
            "Name the namespace of your ingress controller or load balancer in gateway.from",
        ),
        (
            {"gateway": {"acceptUnauthenticated": True, "httpRoute": {"enabled": True}, "from": [PEER]}},
            "name the Gateway that the route belongs to",
        ),
        ({"temporal": {"address": "temporal:7233"}}, "Set temporal.egress to its peers"),
        ({"objectStore": {"endpoint": "https://s3.example.com"}}, "Set objectStore.egress to its peers"),
        ({"temporal": {"existingSecret": "cloud"}}, "Set temporal.address"),
        ({"temporal": {"tls": {"enabled": True}}}, "Set temporal.address"),
        (
            {"temporal": {"address": "t:7233", "egress": [PEER], "tls": {"existingSecret": "certificate"}}},
            "Set temporal.tls.enabled=true",
        ),
        (
            {"metrics": {"podMonitor": {"enabled": True}, "serviceMonitor": {"enabled": True}}},
            "scraped, and counted, twice",
        ),
        (
            {"components": {"llmWorker": {"autoscaling": {"enabled": True}, "keda": {"enabled": True}}}},
            "components.llmWorker has both autoscaling and keda on",
        ),
        ({"components": {"gateway": {"keda": {"enabled": True}}}}, "Use components.gateway.autoscaling"),
        (
            {"components": {"pdfWorker": {"keda": {"enabled": True, "minReplicas": 5, "maxReplicas": 2}}}},
            r"minReplicas \(5\) is above maxReplicas \(2\)",
        ),
    ],
)
def test_refused(render: Render, values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RefusedError, match=sentence):
        render(values)


def test_what_is_said_to_be_authenticated_is_exposed(render: Render) -> None:
    exposed = {"acceptUnauthenticated": True, "from": [PEER], "ingress": {"enabled": True, "host": "r.example.com"}}
    assert render({"gateway": exposed}).component("Ingress", "gateway")["spec"]["rules"][0]["host"] == "r.example.com"
