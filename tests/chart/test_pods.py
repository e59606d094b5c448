"""What every pod is like, whatever the values."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.chart.conftest import CHART, Render

FILES = ["values-production.yaml", *(f"ci/{file.name}" for file in sorted((CHART / "ci").glob("*.yaml")))]
WORKERS = ("orchestrator", "llm-worker", "pdf-worker")


def container(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the one container of a pod."""
    (only,) = spec["containers"]
    found: dict[str, Any] = only
    return found


@pytest.mark.parametrize("file", FILES)
def test_every_pod_is_restricted(render: Render, file: str) -> None:
    pods = render(file=file).pods()
    assert pods
    for name, spec in pods.items():
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert container(spec)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        assert not any("hostPath" in volume for volume in spec.get("volumes", [])), name
        assert {"requests", "limits"} <= container(spec)["resources"].keys(), name


@pytest.mark.parametrize("file", FILES)
def test_every_component_is_probed_on_the_pod_port(render: Render, file: str) -> None:
    rendered = render(file=file)
    for deployment in rendered.kinds("Deployment").values():
        only = container(deployment["spec"]["template"]["spec"])
        assert {"name": "metrics", "containerPort": 9090} in only["ports"]
        paths = {kind: only[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
        assert paths == {
            "startup": {"path": "/livez", "port": "metrics"},
            "liveness": {"path": "/livez", "port": "metrics"},
            "readiness": {"path": "/readyz", "port": "metrics"},
        }


@pytest.mark.parametrize("file", FILES)
def test_no_secret_in_a_configmap_or_an_argument(render: Render, file: str) -> None:
    rendered = render(file=file)
    for config in rendered.kinds("ConfigMap").values():
        named = [key for key in config["data"] if any(word in key for word in ("KEY", "SECRET", "PASSWORD"))]
        assert not [key for key in named if not key.endswith("_PATH")]
    for spec in rendered.pods().values():
        for variable in container(spec).get("env", []):
            if any(word in variable["name"] for word in ("KEY", "SECRET", "PASSWORD")):
                known = variable.get("value") == "the-simulator-asks-for-no-key"
                assert known or "secretKeyRef" in variable["valueFrom"], variable
        assert not [word for word in container(spec).get("args", []) if "key" in word.lower()]


def test_the_grace_period_follows_from_the_longest_call(render: Render) -> None:
    def grace(values: dict[str, Any], component: str) -> int:
        pod = render(values).component("Deployment", component)["spec"]["template"]["spec"]
        seconds: int = pod["terminationGracePeriodSeconds"]
        return seconds

    assert grace({}, "llm-worker") == 660
    assert grace({"llm": {"maxCallSeconds": 900}}, "llm-worker") == 960
    assert render({"llm": {"maxCallSeconds": 900}}).component("ConfigMap", "llm-worker")["data"][
        "LLM_MAX_CALL_SECONDS"
    ] == ("900")


def test_only_the_gateway_waits_before_it_stops(render: Render) -> None:
    pods = render().pods().items()
    hooks = {name: container(spec)["lifecycle"] for name, spec in pods if "lifecycle" in container(spec)}
    assert hooks == {"tardigrade-gateway": {"preStop": {"sleep": {"seconds": 5}}}}


def test_a_changed_setting_restarts_just_the_pods_that_have_it(render: Render) -> None:
    def checksums(values: dict[str, Any]) -> dict[str, str]:
        return {
            name: each["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
            for name, each in render(values).kinds("Deployment").items()
        }

    before, after = checksums({}), checksums({"llm": {"concurrency": 7}})
    assert {name for name in before if before[name] != after[name]} == {"tardigrade-llm-worker"}


def test_images(render: Render) -> None:
    rendered = render(
        {
            "image": {"registry": "registry.example.com/team", "tag": "7", "pullSecrets": ["registry"]},
            "components": {
                "gateway": {"image": {"digest": "sha256:" + "a" * 64}},
                "pdfWorker": {"image": {"repository": "other.example.com/pdf", "tag": "8"}},
            },
        }
    )
    images = {name: container(spec)["image"] for name, spec in rendered.pods().items()}
    assert images["tardigrade-gateway"] == f"registry.example.com/team/tardigrade-gateway@sha256:{'a' * 64}"
    assert images["tardigrade-pdf-worker"] == "other.example.com/pdf:8"
    assert images["tardigrade-llm-worker"] == "registry.example.com/team/tardigrade-llm-worker:7"
    assert all(spec["imagePullSecrets"] == [{"name": "registry"}] for spec in rendered.pods().values())
    assert container(render().pods()["tardigrade-gateway"])["image"] == "localhost/tardigrade-gateway:0.1.0"


def test_an_autoscaler_owns_the_replicas(render: Render) -> None:
    rendered = render(
        {"components": {"llmWorker": {"keda": {"enabled": True}}, "gateway": {"autoscaling": {"enabled": True}}}}
    )
    assert "replicas" not in rendered.component("Deployment", "llm-worker")["spec"]
    assert "replicas" not in rendered.component("Deployment", "gateway")["spec"]
    assert rendered.component("Deployment", "pdf-worker")["spec"]["replicas"] == 1
    scaled = rendered.component("ScaledObject", "llm-worker")["spec"]
    assert scaled["minReplicaCount"] == 1
    (trigger,) = scaled["triggers"]
    assert trigger["type"] == "temporal"
    assert trigger["metadata"] == {
        "endpoint": "tardigrade-temporal.research.svc:7233",
        "namespace": "default",
        "taskQueue": "tardigrade-llm",
        "queueTypes": "activity",
        "targetQueueSize": "5",
    }
    assert rendered.component("HorizontalPodAutoscaler", "gateway")["spec"]["scaleTargetRef"]["name"] == (
        "tardigrade-gateway"
    )


def test_the_queues_are_those_of_the_services(render: Render) -> None:
    from services.contracts import queues

    values = {"components": {key: {"keda": {"enabled": True}} for key in ("orchestrator", "llmWorker", "pdfWorker")}}
    found = {
        each["spec"]["triggers"][0]["metadata"]["taskQueue"] for each in render(values).kinds("ScaledObject").values()
    }
    assert found == {queues.WORKFLOWS, queues.LLM, queues.PDF}


def test_a_constraint_gets_the_components_selector(render: Render) -> None:
    constraint = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
    rendered = render({"defaults": {"topologySpreadConstraints": [constraint]}})
    pod = rendered.component("Deployment", "pdf-worker")["spec"]["template"]["spec"]
    (spread,) = pod["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"]["app.kubernetes.io/component"] == "pdf-worker"
    own = {"matchLabels": {"team": "research"}}
    rendered = render({"defaults": {"topologySpreadConstraints": [{**constraint, "labelSelector": own}]}})
    pod = rendered.component("Deployment", "pdf-worker")["spec"]["template"]["spec"]
    assert pod["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"]["team"] == "research"


def test_a_component_overrides_the_defaults(render: Render) -> None:
    rendered = render(
        {
            "defaults": {"replicas": 2, "podLabels": {"team": "research"}, "pdb": {"enabled": True}},
            "components": {"gateway": {"replicas": 3, "pdb": {"enabled": False}}},
        }
    )
    assert rendered.component("Deployment", "gateway")["spec"]["replicas"] == 3
    assert rendered.component("Deployment", "pdf-worker")["spec"]["replicas"] == 2
    assert rendered.component("Deployment", "gateway")["spec"]["template"]["metadata"]["labels"]["team"] == "research"
    assert "tardigrade-gateway" not in rendered.kinds("PodDisruptionBudget")
    assert rendered.component("PodDisruptionBudget", "pdf-worker")["spec"]["maxUnavailable"] == 1


def test_workers_register_as_a_deployment_only_when_asked(render: Render) -> None:
    for worker in WORKERS:
        assert "TEMPORAL_DEPLOYMENT_NAME" not in render().component("ConfigMap", worker)["data"]
    versioned = render({"temporal": {"workerVersioning": {"enabled": True}}, "image": {"tag": "7"}})
    for worker in WORKERS:
        data = versioned.component("ConfigMap", worker)["data"]
        assert data["TEMPORAL_DEPLOYMENT_NAME"] == f"tardigrade-{worker}"
        assert data["TEMPORAL_WORKER_BUILD_ID"] == "7"
    assert "TEMPORAL_DEPLOYMENT_NAME" not in versioned.component("ConfigMap", "gateway")["data"]


def test_own_temporal_and_store_come_with_nothing_of_ours(render: Render) -> None:
    rendered = render(file="ci/external-values.yaml")
    assert not rendered.kinds("StatefulSet")
    assert not rendered.kinds("Secret")
    assert not [name for name in rendered.kinds("Service") if name.endswith(("-temporal", "-minio"))]
    worker = rendered.component("Deployment", "llm-worker")["spec"]["template"]["spec"]
    secrets = {variable["name"]: variable["valueFrom"]["secretKeyRef"]["name"] for variable in container(worker)["env"]}
    assert secrets == {"AWS_ACCESS_KEY_ID": "minio", "AWS_SECRET_ACCESS_KEY": "minio", "LLM_API_KEY": "llm"}
    settings = rendered.component("ConfigMap", "llm-worker")["data"]
    mounts = {mount["mountPath"] for mount in container(worker)["volumeMounts"]}
    for name in (
        "TEMPORAL_TLS_CLIENT_CERT_PATH",
        "TEMPORAL_TLS_CLIENT_KEY_PATH",
        "TEMPORAL_TLS_SERVER_CA_CERT_PATH",
        "AWS_CA_BUNDLE",
    ):
        assert str(Path(settings[name]).parent) in mounts, name


def test_temporal_cloud_with_an_api_key(render: Render) -> None:
    rendered = render(file="values-production.yaml")
    for component in ("gateway", *WORKERS):
        pod = rendered.component("Deployment", component)["spec"]["template"]["spec"]
        keys = [variable for variable in container(pod)["env"] if variable["name"] == "TEMPORAL_API_KEY"]
        assert keys == [
            {"name": "TEMPORAL_API_KEY", "valueFrom": {"secretKeyRef": {"name": "temporal", "key": "api-key"}}}
        ]
        assert rendered.component("ConfigMap", component)["data"]["TEMPORAL_TLS"] == "true"
    authentication = rendered.one("TriggerAuthentication", "tardigrade-temporal")["spec"]["secretTargetRef"]
    assert authentication == [{"parameter": "apiKey", "name": "temporal", "key": "api-key"}]


def test_the_simulator_is_off_in_production(render: Render) -> None:
    rendered = render(file="values-production.yaml")
    assert "tardigrade-simulator" not in json.dumps(rendered.objects)
