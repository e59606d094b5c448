"""The dashboard and the alerts ask for what the pods really serve."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import temporalio.bridge
from prometheus_client.parser import text_string_to_metric_families

from services.cli.stack import LocalStack
from tests.chart.conftest import CHART, Render

DASHBOARD: dict[str, Any] = json.loads((CHART / "files" / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]

# The SDK serves these only once something has gone wrong; that it knows them is looked up in its library.
ONLY_AFTER_A_FAILURE = {
    "temporal_activity_execution_failed_total": {"activity_type"},
    "temporal_workflow_task_execution_failed_total": {"failure_reason", "task_queue"},
    "temporal_request_failure_total": {"operation"},
}
# Added by Prometheus, or part of every histogram.
NOT_OURS = {"job", "instance", "le"}

SELECTOR = re.compile(r"\b((?:tardigrade|temporal|process)_\w+)\{([^}]*)\}")
GROUPING = re.compile(r"by \(([^)]*)\)")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, set[str]]]:
    """Return the names of all samples that the pods serve after a report, each with its labels."""
    stack = LocalStack(tmp_path_factory.mktemp("stack"), web_ui=False, in_memory=True)
    stack.start()
    try:
        reports = f"{stack.gateway_url}/v1/reports"
        made = httpx.post(reports, json={"prompt": "one fact about tardigrades"}).raise_for_status().json()
        deadline = time.monotonic() + 60
        while made["status"] in ("queued", "in_progress"):
            assert time.monotonic() < deadline, made
            made = httpx.get(f"{reports}/{made['id']}").raise_for_status().json()
        assert made["status"] == "completed", made
        found: dict[str, set[str]] = {}
        gateway_pod = stack.gateway.env["POD_HTTP_PORT"]
        for url in (
            stack.orchestrator.url,
            stack.llm_worker.url,
            stack.pdf_worker.url,
            f"http://127.0.0.1:{gateway_pod}",
        ):
            for family in text_string_to_metric_families(httpx.get(f"{url}/metrics").raise_for_status().text):
                if not family.samples:  # a counter with labels that has not counted yet
                    found.setdefault(f"{family.name}_total", set())
                for sample in family.samples:
                    found.setdefault(sample.name, set()).update(sample.labels)
        yield found
    finally:
        stack.stop()


def check(expression: str, served: dict[str, set[str]]) -> None:
    """Every metric is served, and with the labels that are asked for."""
    grouped = {label.strip() for group in GROUPING.findall(expression) for label in group.split(",")} - NOT_OURS
    selectors = SELECTOR.findall(expression)
    assert selectors, expression
    labels: set[str] = set()
    for name, matchers in selectors:
        assert name in served or name in ONLY_AFTER_A_FAILURE, f"nobody serves {name}"
        known = served.get(name) or ONLY_AFTER_A_FAILURE.get(name, set())
        asked = set(re.findall(r"(\w+)\s*[=!]", matchers)) - NOT_OURS
        if known:
            assert asked <= known, f"{name} has no label {asked - known}"
        labels |= known
    if labels:
        assert grouped <= labels, f"{expression} groups by {grouped - labels}"


@pytest.mark.timeout(180)
def test_every_panel_asks_for_what_is_served(served: dict[str, set[str]]) -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            check(target["expr"], served)


@pytest.mark.timeout(180)
def test_every_alert_asks_for_what_is_served(render: Render, served: dict[str, set[str]]) -> None:
    matchers = 'instance=~".*"'
    (rule,) = render({"metrics": {"rules": {"enabled": True, "matchers": matchers}}}).kinds("PrometheusRule").values()
    for each in rule["spec"]["groups"][0]["rules"]:
        check(each["expr"], served)


def test_the_sdk_knows_the_metrics_of_failures() -> None:
    (library,) = Path(temporalio.bridge.__path__[0]).glob("temporal_sdk_bridge*")
    content = library.read_bytes()
    for name in ONLY_AFTER_A_FAILURE:
        assert name.removeprefix("temporal_").removesuffix("_total").encode() in content, name


def test_every_panel_is_complete() -> None:
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert {panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"} == {
        "Outcome",
        "Money",
        "Provider",
        "PDF and object store",
        "Temporal",
        "Pods",
    }
    for panel in PANELS:
        assert panel["title"], panel["id"]
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}"
            assert target["legendFormat"], panel["title"]
            assert 'job=~"$job", instance=~"$instance"' in target["expr"], panel["title"]
            # A counter without a rate says nothing, and a fixed window breaks when one zooms.
            for name, _ in SELECTOR.findall(target["expr"]):
                if name.endswith(("_total", "_bucket")):
                    assert re.search(
                        rf"(rate|increase)\({name}\{{[^}}]*\}}\[\$__(rate_interval|range)\]", target["expr"]
                    )


def test_the_chart_ships_it(render: Render) -> None:
    shipped = render({"metrics": {"dashboard": {"enabled": True}}}).one("ConfigMap", "tardigrade-dashboard")
    assert shipped["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(shipped["data"]["tardigrade.json"]) == DASHBOARD
