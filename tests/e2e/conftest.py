"""The end-to-end suite: on the cluster of KUBECONFIG, in namespaces of its own. Run by `make e2e` only.

E2E_TEMPORAL_IMAGE, E2E_MINIO_IMAGE and E2E_PROMETHEUS_IMAGE replace the images that come from a registry. E2E_IMAGE_TAG
and E2E_NEXT_TAG are the tags of the project's own; the second one is what the suite upgrades to.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.kube import Namespace, kubectl, remove
from tests.e2e.service import Service

IMAGE_TAG = os.environ.get("E2E_IMAGE_TAG", "0.1.0")
NEXT_TAG = os.environ.get("E2E_NEXT_TAG", "0.1.0-next")
TEMPORAL_IMAGE = os.environ.get("E2E_TEMPORAL_IMAGE", "temporalio/temporal:1.9.1")
MINIO_IMAGE = os.environ.get("E2E_MINIO_IMAGE", "minio/minio:RELEASE.2025-09-07T16-13-09Z")
PROMETHEUS_IMAGE = os.environ.get("E2E_PROMETHEUS_IMAGE", "prom/prometheus:v3.8.0")

MONITORING = "tardigrade-e2e-monitoring"

IMAGES: dict[str, Any] = {
    "image": {"tag": IMAGE_TAG},
    "temporal": {"dev": {"image": TEMPORAL_IMAGE}},
    "objectStore": {"minio": {"image": MINIO_IMAGE}},
}
"""All that has to be said of a default installation here: where its images are."""

PODS = ("gateway", "orchestrator", "llm-worker", "pdf-worker", "simulator", "temporal", "minio")
WORKERS = ("orchestrator", "llm-worker", "pdf-worker")

_told: list[str] = []


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the suite out unless it is asked for by name: it needs a cluster and takes its time."""
    asked = any("e2e" in argument for argument in config.args)
    return None if asked else True


def tell(line: str) -> None:
    """Add a line to the report that is printed at the end."""
    _told.append(line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured."""
    if _told:
        terminalreporter.section("end-to-end report")
        for line in _told:
            terminalreporter.line(line)


@pytest.fixture(scope="session", autouse=True)
def cluster() -> str:
    """Return the cluster's version; without a cluster there is nothing to do."""
    version = kubectl("version", "--output=yaml")
    server = version.partition("serverVersion:")[2]
    found = next(line.split()[-1] for line in server.splitlines() if "gitVersion" in line)
    tell(f"Kubernetes {found}")
    return found


@pytest.fixture(autouse=True)
def _timed(request: pytest.FixtureRequest) -> Iterator[None]:
    begun = time.monotonic()
    yield
    tell(f"[{time.monotonic() - begun:5.0f} s] {request.node.name}")


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    """The release that most of the suite works on: default values, but for the images."""
    namespace = Namespace("tardigrade-e2e")
    service = Service(namespace)
    begun = time.monotonic()
    service.install(IMAGES)
    namespace.wait_ready(len(PODS))
    seconds = time.monotonic() - begun
    tell(f"default installation: {len(PODS)} pods ready {seconds:.0f} s after `helm install` (limit 120)")
    yield service
    service.close()
    remove(namespace.name)


@pytest.fixture(scope="session")
def backing() -> Iterator[Service]:
    """A Temporal and a MinIO in a namespace of their own: the chart's, with none of its own pods beside them."""
    namespace = Namespace("tardigrade-e2e-backing")
    service = Service(namespace, "backing-tardigrade")
    service.install({**IMAGES, "networkPolicy": {"enabled": False}, "defaults": {"replicas": 0}})
    namespace.wait_ready(2)
    yield service
    remove(namespace.name)


def external(backing: Service) -> dict[str, Any]:
    """Return the values that point a release at `backing`."""
    there = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": backing.namespace.name}}}]
    host = f"{backing.namespace.name}.svc"
    return {
        "image": {"tag": IMAGE_TAG},
        "temporal": {"address": f"{backing.name}-temporal.{host}:7233", "egress": there},
        "objectStore": {
            "endpoint": f"http://{backing.name}-minio.{host}:9000",
            "existingSecret": "store",
            "egress": there,
        },
    }
