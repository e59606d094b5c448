"""Every value is documented, used, and misspelt ones are refused."""

import importlib.util
import json
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import jsonschema
import pytest
import yaml

from tests.chart.conftest import CHART, ROOT, RefusedError, Render, helm_template

VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())


def _docs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("chart_docs", ROOT / "deploy" / "checks" / "chart_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DOCS = _docs()
LEAVES = [path for path in DOCS.leaves(VALUES) if path[0] != "components"]

# Values that only say where a check stands: they change what is accepted, not what is rendered.
ONLY_CHECKED = {("gateway", "acceptUnauthenticated")}


def test_every_value_has_a_comment() -> None:
    described = [value.path for value in DOCS.documented((CHART / "values.yaml").read_text())]
    missing = [".".join(path) for path in LEAVES if not any(path[: len(known)] == known for known in described)]
    assert not missing


def _changed(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return f"{value}x" if value else "changed"
        case [str(), *_]:
            return ["203.0.113.0/24"]
        case list():
            return [{"name": "changed"}]
        case dict():
            return {"changed": "yes"}
        case _:
            return 7


def _nested(path: tuple[str, ...], value: Any) -> str:
    for key in reversed(path):
        value = {key: value}
    return json.dumps(value)


def _outcome(file: str, path: tuple[str, ...] = (), value: Any = None) -> str:
    """Return what is rendered, or why it is refused, without what differs from run to run."""
    change = [] if not path else ["--set-json", f"{path[0]}={json.dumps(json.loads(_nested(path[1:], value)))}"]
    try:
        text = helm_template("--values", str(CHART / file), "--skip-schema-validation", *change)
    except RefusedError as refused:
        return str(refused)
    return "\n".join(line for line in text.splitlines() if "AWS_SECRET_ACCESS_KEY:" not in line)


@pytest.mark.timeout(300)
def test_every_value_is_used() -> None:
    files = [f"ci/{file.name}" for file in (CHART / "ci").glob("*.yaml")]
    files += ["values-production.yaml"]
    before = {file: _outcome(file) for file in files}
    assert before == {file: _outcome(file) for file in files}

    def used(path: tuple[str, ...]) -> bool:
        changed = _changed(DOCS.at(VALUES, path))
        return any(_outcome(file, path, changed) != before[file] for file in files)

    todo = [path for path in LEAVES if path not in ONLY_CHECKED]
    with ThreadPoolExecutor(2) as pool:
        unused = [".".join(path) for path, hit in zip(todo, pool.map(used, todo), strict=True) if not hit]
    assert not unused


def _objects(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, list):
        return [found for item in node for found in _objects(item)]
    if not isinstance(node, dict):
        return []
    own = [node] if "properties" in node and node.get("type") == "object" else []
    return own + [found for item in node.values() for found in _objects(item)]


def test_the_schema_is_one_and_closed() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(VALUES, SCHEMA)
    # podSecurityContext is Kubernetes' own object, and may hold what is not named here.
    open_ones = [each for each in _objects(SCHEMA) if each.get("additionalProperties") is not False]
    assert [sorted(each["properties"]) for each in open_ones] == [
        sorted(VALUES["podSecurityContext"]),
        ["type"],
    ]


@pytest.mark.parametrize(
    "values",
    [
        {"simulater": {"enabled": False}},
        {"llm": {"modle": "x"}},
        {"temporal": {"tls": {"enable": True}}},
        {"objectStore": {"minio": {"persistence": {"sise": "1Gi"}}}},
        {"gateway": {"service": {"ports": 1}}},
        {"defaults": {"replica": 2}},
        {"components": {"pdf-worker": {"replicas": 2}}},
        {"components": {"pdfWorker": {"keda": {"enable": True}}}},
        {"metrics": {"rules": {"threshold": 1}}},
        {"networkPolicy": {"dns": [{"podSelektor": {}}]}},
    ],
    ids=json.dumps,
)
def test_a_misspelt_key_is_refused(render: Render, values: dict[str, Any]) -> None:
    with pytest.raises(RefusedError, match=r"additional properties .* not allowed"):
        render(values)


@pytest.mark.parametrize(
    "values",
    [
        {"llm": {"maxCallSeconds": 0}},
        {"llm": {"resume": "sometimes"}},
        {"llm": {"maxCostUsd": -1}},
        {"temporal": {"address": "https://temporal:7233"}},
        {"objectStore": {"endpoint": "minio:9000"}},
        {"objectStore": {"bucket": "Not A Bucket"}},
        {"gateway": {"service": {"type": "ExternalName"}}},
        {"components": {"gateway": {"replicas": -1}}},
        {"components": {"gateway": {"image": {"digest": "sha256:short"}}}},
        {"podSecurityContext": {"runAsNonRoot": False}},
        {"podSecurityContext": {"runAsUser": 0}},
        {"defaults": {"resources": {"limit": {}}}},
    ],
    ids=json.dumps,
)
def test_a_value_out_of_range_is_refused(render: Render, values: dict[str, Any]) -> None:
    with pytest.raises(RefusedError, match="values don't meet the specifications of the schema"):
        render(values)
