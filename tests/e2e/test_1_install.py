"""Install it: with default values, from plain manifests, and on a Temporal and a store of one's own."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import IMAGE_TAG, MINIO_IMAGE, PODS, TEMPORAL_IMAGE, external, tell
from tests.e2e.kube import ROOT, Namespace, helm, kubectl, remove
from tests.e2e.service import Service

pytestmark = pytest.mark.timeout(400)

FIND_LIBRARIES = """
from importlib.util import find_spec
print([name for name in ("litellm", "reportlab", "fastapi") if find_spec(name)])
"""

READ_STATUS = "print(open('/proc/1/status').read())"

CONNECT = """
import socket, sys

try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=4).close()
    print("reached")
except OSError as error:
    print("not reached:", error)
"""


def test_default_values(service: Service) -> None:
    helm("test", service.name, "--namespace", service.namespace.name)
    report = service.makes_a_report()
    tell(f"  helm test passed; a report of {report['pages']} pages was read back from MinIO")
    assert not [pod.name for pod in service.namespace.pods() if pod.restarts]


def test_an_image_holds_only_what_its_service_needs(service: Service) -> None:
    found = {}
    for component in PODS[:5]:
        (pod,) = service.namespace.pods(component)
        found[component] = ast.literal_eval(service.namespace.python(pod.name, FIND_LIBRARIES))
    assert found == {
        "gateway": ["fastapi"],
        "orchestrator": [],
        "llm-worker": ["litellm"],
        "pdf-worker": ["reportlab"],
        "simulator": [],
    }


def test_start_times_and_memory(service: Service) -> None:
    """One after the other, with everything there that they need, as on any later start."""
    namespace = service.namespace
    tell("  pod              container start to ready   resident memory")
    for component in PODS[:5]:
        deployment = f"deployment/{service.name}-{component}"
        namespace.kubectl("rollout", "restart", deployment)
        namespace.kubectl("rollout", "status", deployment, "--timeout=120s", timeout=130)
        (pod,) = namespace.wait_ready(1, component)
        resident = re.search(r"^VmRSS:\s+(\d+) kB", namespace.python(pod.name, READ_STATUS), re.MULTILINE)
        assert resident is not None
        assert pod.seconds_to_ready is not None
        tell(f"  {component:<16} {pod.seconds_to_ready:>10.0f} s {int(resident[1]) / 1024:>21.0f} MiB")


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Service]:
    """`kubectl apply` of deploy/k8s/dev; only the images' names are this cluster's."""
    namespace = Namespace("tardigrade-e2e-plain")
    (tmp_path / "tardigrade.yaml").write_text((ROOT / "deploy" / "k8s" / "dev" / "tardigrade.yaml").read_text())
    images = {
        "temporalio/temporal": TEMPORAL_IMAGE,
        "minio/minio": MINIO_IMAGE,
        **{f"localhost/tardigrade-{name}": f"localhost/tardigrade-{name}:{IMAGE_TAG}" for name in PODS[:5]},
    }
    changes = [
        {"name": name, "newName": image.rpartition(":")[0], "newTag": image.rpartition(":")[2]}
        for name, image in images.items()
    ]
    kustomization = {"resources": ["tardigrade.yaml"], "images": changes}
    (tmp_path / "kustomization.yaml").write_text(json.dumps(kustomization))
    namespace.kubectl("apply", "--kustomize", str(tmp_path))
    service = Service(namespace)
    yield service
    service.close()
    remove(namespace.name)


def test_plain_manifests(plain: Service) -> None:
    plain.namespace.wait_ready(len(PODS))
    plain.makes_a_report()


def reaches(service: Service, component: str, host: str, port: int) -> bool:
    """Tell whether a component's pod gets a connection."""
    (pod,) = service.namespace.pods(component)
    return service.namespace.python(pod.name, CONNECT, host, str(port)).startswith("reached")


def test_own_temporal_and_store(service: Service, backing: Service) -> None:
    namespace = Namespace("tardigrade-e2e-external")
    secret = json.loads(backing.namespace.kubectl("get", "secret", f"{backing.name}-minio", "--output=json"))
    copy = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "store"}, "data": secret["data"]}
    namespace.kubectl("apply", "--filename=-", stdin=json.dumps(copy))
    own = Service(namespace)
    try:
        own.install(external(backing))
        pods = namespace.wait_ready(5)
        assert {pod.component for pod in pods} == {"gateway", "orchestrator", "llm-worker", "pdf-worker", "simulator"}
        assert not namespace.kubectl("get", "statefulsets,persistentvolumeclaims", "--output=name")
        own.makes_a_report()

        store = f"{backing.name}-minio.{backing.namespace.name}.svc"
        assert reaches(own, "pdf-worker", store, 9000), "what is needed is let through"
        assert reaches(own, "llm-worker", "tardigrade-simulator", 9090), "what is needed is let through"
        assert not reaches(own, "pdf-worker", "tardigrade-simulator", 9090)
        assert not reaches(own, "orchestrator", store, 9000)
        # The same open address, for a release that does not name it.
        for component in ("pdf-worker", "orchestrator", "gateway", "llm-worker", "simulator"):
            assert not reaches(service, component, store, 9000), component
        tell("  NetworkPolicies: what is needed is let through, the PDF worker reaches neither simulator nor outside")
    finally:
        own.close()
        kubectl("delete", "namespace", namespace.name, "--wait=false")
