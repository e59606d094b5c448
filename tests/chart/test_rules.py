"""The alerts: valid, tested, each with a runbook."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.conftest import ROOT, Render

ALERTS = Path(__file__).with_name("alerts.yaml")


@pytest.fixture
def rules(render: Render) -> dict[str, Any]:
    (rule,) = render({"metrics": {"rules": {"enabled": True}}}).kinds("PrometheusRule").values()
    spec: dict[str, Any] = rule["spec"]
    return spec


def names(rules: dict[str, Any]) -> set[str]:
    return {rule["alert"] for group in rules["groups"] for rule in group["rules"]}


def test_promtool(rules: dict[str, Any], tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("NOT RUN: promtool is not installed (Debian's package prometheus has it)")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules))
    shutil.copy(ALERTS, tmp_path)
    for command in (["check", "rules", "rules.yaml"], ["test", "rules", ALERTS.name]):
        done = subprocess.run([promtool, *command], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case_that_fires_and_one_that_does_not(rules: dict[str, Any]) -> None:
    cases = [case for test in yaml.safe_load(ALERTS.read_text())["tests"] for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == names(rules)
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == names(rules)


def test_every_alert_has_a_runbook(rules: dict[str, Any]) -> None:
    headings = re.findall(r"^## (\w+)", (ROOT / "docs" / "runbooks.md").read_text(), re.MULTILINE)
    assert sorted(headings) == sorted(names(rules))
    for rule in rules["groups"][0]["rules"]:
        assert rule["annotations"]["runbook_url"].endswith(f"#{rule['alert'].lower()}")


def test_matchers_are_in_every_query(render: Render) -> None:
    given = render({"metrics": {"rules": {"enabled": True, "matchers": 'namespace="research"'}}})
    (rule,) = given.kinds("PrometheusRule").values()
    for each in rule["spec"]["groups"][0]["rules"]:
        selectors = re.findall(r"\b(?:tardigrade|temporal)_\w+(\{[^}]*\})?", each["expr"])
        assert selectors
        assert all('namespace="research"' in selector for selector in selectors), each["expr"]
