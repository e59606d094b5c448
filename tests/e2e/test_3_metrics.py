"""A Prometheus in the cluster: every pod is scraped, every query answered, the alert fires and resolves."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.e2e.conftest import IMAGE_TAG, MONITORING, PROMETHEUS_IMAGE, tell
from tests.e2e.kube import CHART, Namespace, PortForward, helm, kubectl, remove, until
from tests.e2e.service import Service

pytestmark = pytest.mark.timeout(400)

MANIFEST = Path(__file__).with_name("prometheus.yaml").read_text()
DISCOVER = json.dumps(Path(__file__).with_name("discover.py").read_text())
SCRAPED = ("gateway", "orchestrator", "llm-worker", "pdf-worker", "simulator")

NAMES = {
    "tardigrade_reports_total",
    "tardigrade_report_seconds_bucket",
    "tardigrade_llm_calls_total",
    "tardigrade_llm_tokens_total",
    "tardigrade_llm_wasted_tokens_total",
    "tardigrade_llm_cost_usd_total",
    "tardigrade_llm_call_seconds_bucket",
    "tardigrade_llm_errors_total",
    "tardigrade_pdf_render_seconds_bucket",
    "tardigrade_pdf_pages_total",
    "tardigrade_object_store_seconds_bucket",
    "tardigrade_http_requests_total",
    "tardigrade_http_request_seconds_bucket",
    "temporal_num_pollers",
    "temporal_activity_schedule_to_start_latency_seconds_bucket",
    "temporal_workflow_task_schedule_to_start_latency_seconds_bucket",
    "temporal_worker_task_slots_used",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
}


class Prometheus:
    """The Prometheus of the suite."""

    def __init__(self, url: str) -> None:
        self._url = url

    def get(self, path: str, **parameters: str) -> Any:
        """Return the `data` of an answer."""
        answer = httpx.get(f"{self._url}/api/v1/{path}", params=parameters, timeout=15)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def up(self) -> dict[str, str]:
        """Return the health of each target by its component."""
        return {target["labels"]["job"]: target["health"] for target in self.get("targets")["activeTargets"]}

    def firing(self) -> set[str]:
        """Return the task queues for which the no-pollers alert fires."""
        return {
            alert["labels"]["task_queue"]
            for alert in self.get("alerts")["alerts"]
            if alert["labels"]["alertname"] == "TardigradeNoPollers" and alert["state"] == "firing"
        }


def rules() -> str:
    """Return the alert rules as the chart has them, as a rule file."""
    options = ("--kube-version=1.34.0", "--set=metrics.rules.enabled=true", "--show-only=templates/rules.yaml")
    text = helm("template", "tardigrade", str(CHART), *options)
    return yaml.safe_dump(yaml.safe_load(text)["spec"], width=10_000)


@pytest.fixture(scope="module")
def prometheus(service: Service) -> Iterator[Prometheus]:
    namespace = Namespace(MONITORING)
    filled = MANIFEST.replace("NAMESPACE", service.namespace.name).replace("MONITORING", MONITORING)
    filled = filled.replace("IMAGE", PROMETHEUS_IMAGE).replace("RULES", rules().replace("\n", "\n    "))
    filled = filled.replace("PYTHON", f"localhost/tardigrade-simulator:{IMAGE_TAG}").replace("DISCOVER", DISCOVER)
    kubectl("apply", "--filename=-", stdin=filled)
    # The release's policies let a Prometheus in from the namespaces that metrics.from names.
    for component in SCRAPED:
        policy = f"{service.name}-{component}"
        peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": MONITORING}}}
        patch = [{"op": "add", "path": "/spec/ingress/0/from/-", "value": peer}]
        service.namespace.kubectl("patch", "networkpolicy", policy, "--type=json", f"--patch={json.dumps(patch)}")
    namespace.wait_ready(1)
    with PortForward(MONITORING, "deployment/prometheus", 9090) as forward:
        yield Prometheus(forward.url)
    remove(MONITORING)


def test_every_pod_is_scraped(service: Service, prometheus: Prometheus) -> None:
    expected = dict.fromkeys(SCRAPED, "up")
    until("every target is up", lambda: prometheus.up() == expected, 60)
    # One failed attempt, so that there is something to count.
    service.finish([service.start("Metrics [[simulator: fault=server-error:first=1]]")], seconds=60)

    def known() -> set[str] | None:
        names = set(prometheus.get("label/__name__/values"))
        return names if names >= NAMES else None

    names = until(f"there are {NAMES}", known, 60)
    tell(f"  Prometheus: {len(expected)} targets up, {len(names)} metrics, all {len(NAMES)} of the design among them")


def test_the_dashboards_queries_are_answered(prometheus: Prometheus) -> None:
    dashboard = json.loads((CHART / "files" / "dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]

    def with_data() -> int | None:
        filled = [query.replace("$__rate_interval", "1m").replace("$__range", "1h") for query in queries]
        answers = [prometheus.get("query", query=re.sub(r"\$(job|instance)", ".*", query)) for query in filled]
        found = sum(bool(answer["result"]) for answer in answers)
        return found if found >= len(queries) * 0.7 else None

    found = until("most queries have data", with_data, 60, every=5)
    tell(f"  dashboard: {len(queries)} queries valid, {found} with data (the rest count failures that did not happen)")


def test_the_alert_fires_and_resolves(service: Service, prometheus: Prometheus) -> None:
    loaded = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert {rule["health"] for rule in loaded} == {"ok"}
    assert not prometheus.firing()
    worker = f"deployment/{service.name}-pdf-worker"
    service.namespace.kubectl("scale", worker, "--replicas=0")
    until("the alert fires", lambda: prometheus.firing() == {"tardigrade-pdf"}, 120, every=2)
    service.namespace.kubectl("scale", worker, "--replicas=1")
    until("the alert resolves", lambda: not prometheus.firing(), 60, every=2)
    service.namespace.wait_ready(1, "pdf-worker")
    tell(f"  alerts: {len(loaded)} rules loaded; TardigradeNoPollers fired with 0 PDF workers and resolved with 1")
