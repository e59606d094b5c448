"""Upgrade and roll back under load; uninstall."""

import json
import threading
from typing import Any

import pytest

from tests.e2e.conftest import IMAGE_TAG, IMAGES, NEXT_TAG, PODS, tell
from tests.e2e.kube import helm
from tests.e2e.service import Service

pytestmark = pytest.mark.timeout(400)

# The provider is no part of the service: it stays while the service is upgraded.
NEXT: dict[str, Any] = {
    **IMAGES,
    "image": {"tag": NEXT_TAG},
    "components": {"simulator": {"image": {"tag": IMAGE_TAG}}},
}


def tags(service: Service) -> dict[str, str]:
    """Return the image tag of each component's one pod."""
    pods = service.namespace.wait_ready(len(PODS), seconds=150)
    return {pod.component: pod.image.rpartition(":")[2] for pod in pods if pod.component in PODS[:4]}


def under_load(service: Service, topic: str, change: Any) -> None:
    """Make a change while reports run and are started; check that none fails and none is paid twice."""
    before = sum(service.bill().values())
    reports = service.start_many(10, topic, tokens=300, rate=20)
    changing = threading.Thread(target=change)
    changing.start()
    reports += service.start_many(10, f"{topic}, meanwhile,", tokens=300, rate=20)
    changing.join()
    ended = service.finish(reports, seconds=180)
    assert sum(service.bill().values()) - before == len(ended)
    assert sum(report["spend"]["wasted_tokens"] for report in ended) == 0
    outcomes = {name for report in ended for name in report["spend"]["outcomes"]}
    tell(f"  {topic}: {len(ended)} reports completed, {len(ended)} requests billed, outcomes {sorted(outcomes)}")


def test_upgrade_and_rollback(service: Service) -> None:
    under_load(service, "upgrade", lambda: service.install(NEXT, wait=True))
    assert set(tags(service).values()) == {NEXT_TAG}
    revisions = json.loads(helm("history", service.name, "--namespace", service.namespace.name, "--output=json"))
    earlier = str(revisions[-2]["revision"])
    options = ("--namespace", service.namespace.name, "--wait", "--timeout=180s")
    under_load(service, "rollback", lambda: helm("rollback", service.name, earlier, *options))
    assert set(tags(service).values()) == {IMAGE_TAG}


def test_uninstall_leaves_only_the_volumes(service: Service) -> None:
    service.uninstall()
    kinds = (
        "all,configmaps,secrets,serviceaccounts,networkpolicies,ingresses,poddisruptionbudgets,persistentvolumeclaims"
    )
    left = set(service.namespace.kubectl("get", kinds, "--output=name").split())
    # Kubernetes' own, in every namespace.
    left -= {"configmap/kube-root-ca.crt", "serviceaccount/default"}
    assert left == {
        f"persistentvolumeclaim/data-{service.name}-temporal-0",
        f"persistentvolumeclaim/data-{service.name}-minio-0",
    }
    tell("  uninstall left the two volumes, as documented, and nothing else")
