"""Wrong values: each is told what is wrong."""

import json

import pytest

from tests.e2e.conftest import external, tell
from tests.e2e.kube import Namespace, remove, until
from tests.e2e.service import Service, refused

pytestmark = pytest.mark.timeout(400)


def test_no_simulator_and_no_key() -> None:
    sentence = refused({"simulator.enabled": "false"})
    assert "Make a Secret with the provider's key under LLM_API_KEY" in sentence


def test_wrong_store_secret_and_temporal_unreachable(backing: Service) -> None:
    namespace = Namespace("tardigrade-e2e-wrong")
    service = Service(namespace)
    try:
        _store_secret(namespace, "wrong-password-of-the-store")
        service.install(external(backing))
        namespace.wait_ready(1, "orchestrator")
        line = until("the log says what is wrong", lambda: _waiting(service, "the object store"), 60)
        assert "AWS_SECRET_ACCESS_KEY" in line, line
        assert not any(pod.ready for component in ("llm-worker", "pdf-worker") for pod in namespace.pods(component))
        tell(f"  wrong S3 secret: not ready; the log says: {json.loads(line)['reason'][:150]}")

        backing.namespace.kubectl("scale", "statefulset", f"{backing.name}-temporal", "--replicas=0")
        backing.namespace.wait_ready(1)
        secret = json.loads(backing.namespace.kubectl("get", "secret", f"{backing.name}-minio", "--output=json"))
        namespace.kubectl("delete", "secret", "store")
        copy = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "store"}, "data": secret["data"]}
        namespace.kubectl("apply", "--filename=-", stdin=json.dumps(copy))
        old = {pod.name for pod in namespace.pods()}
        namespace.kubectl("rollout", "restart", "deployment")
        line = until("the log says what is waited for", lambda: _waiting(service, "Temporal", but=old), 90)
        assert backing.namespace.name in line
        tell(f"  Temporal unreachable: pods wait; the log says: {json.loads(line)['reason'][:150]}")
        backing.namespace.kubectl("scale", "statefulset", f"{backing.name}-temporal", "--replicas=1")
        pods = namespace.wait_ready(5)
        assert not [pod.name for pod in pods if pod.restarts]
        service.makes_a_report()
        tell("  Temporal came: all pods ready without a restart, and a report was made")
    finally:
        service.close()
        remove(namespace.name)


def _store_secret(namespace: Namespace, password: str) -> None:
    data = {"AWS_ACCESS_KEY_ID": "tardigrade", "AWS_SECRET_ACCESS_KEY": password}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "store"}, "stringData": data}
    namespace.kubectl("apply", "--filename=-", stdin=json.dumps(secret))


def _waiting(service: Service, what: str, but: frozenset[str] | set[str] = frozenset()) -> str | None:
    """Return the log line with which a PDF worker says what it waits for."""
    for pod in service.namespace.pods("pdf-worker"):
        if pod.name not in but and pod.container_id:
            for line in service.namespace.kubectl("logs", pod.name).splitlines():
                if f"waiting for {what}" in line:
                    return line
    return None
