"""Write Kubernetes' strict schemas as kubeconform reads them, from the kubernetes-validate wheel: no network needed.

python deploy/checks/kube_schemas.py FOLDER 1.30 1.34 ...

The wheel's files refer to one common file by an absolute path, which kubeconform cannot follow; here each kind gets a
file that holds all it refers to.
"""

import json
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

SOURCE = files("kubernetes_validate") / "kubernetes-json-schema"
COMMON = "/api/_definitions.json"
DEFINITIONS = "#/$defs/"

# The kinds that the chart makes. Those of operators (PodMonitor, ScaledObject, …) are no part of Kubernetes' schemas.
KINDS = (
    "configmap-v1",
    "deployment-apps-v1",
    "horizontalpodautoscaler-autoscaling-v2",
    "ingress-networking-v1",
    "networkpolicy-networking-v1",
    "pod-v1",
    "poddisruptionbudget-policy-v1",
    "secret-v1",
    "service-v1",
    "serviceaccount-v1",
    "statefulset-apps-v1",
)


def local(node: Any, used: set[str]) -> Any:
    """Return the schema with references into itself and without its address; `used` gets the names referred to."""
    if isinstance(node, list):
        return [local(item, used) for item in node]
    if not isinstance(node, dict):
        return node
    copy = {key: local(value, used) for key, value in node.items() if key not in ("$id", "$schema")}
    reference = copy.get("$ref")
    if isinstance(reference, str):
        copy["$ref"] = reference.removeprefix(COMMON)
        used.add(copy["$ref"].removeprefix(DEFINITIONS))
    return copy


def bundle(kind: dict[str, Any], common: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a kind with everything that it refers to."""
    todo: set[str] = set()
    whole: dict[str, Any] = local(kind, todo)
    definitions: dict[str, Any] = {}
    while todo:
        name = todo.pop()
        if name not in definitions:
            definitions[name] = local(common[name], todo)
    return whole | {"$defs": definitions}


def main() -> None:
    """Write FOLDER/<version>/<kind>.json."""
    folder, versions = Path(sys.argv[1]), sys.argv[2:]
    for version in versions:
        source = SOURCE / f"v{version}.0-local-strict"
        common = json.loads((source / "_definitions.json").read_text())["$defs"]
        (folder / version).mkdir(parents=True, exist_ok=True)
        for kind in KINDS:
            schema = bundle(json.loads((source / f"{kind}.json").read_text()), common)
            (folder / version / f"{kind}.json").write_text(json.dumps(schema))


if __name__ == "__main__":
    main()
