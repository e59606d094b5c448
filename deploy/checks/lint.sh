#!/usr/bin/env bash
# Checks the Dockerfile, the chart and the plain manifests. Needs no cluster and, once the tools are there, no network.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly CHART=deploy/helm/tardigrade
readonly VERSIONS=(1.30 1.34 1.37)
readonly SCHEMAS=build/schemas
# Kinds of operators: their schemas are not Kubernetes'.
readonly FOREIGN=ScaledObject,TriggerAuthentication,PodMonitor,ServiceMonitor,PrometheusRule,HTTPRoute

# What kube-score finds and is meant to be so:
exceptions=(
  # A limit on CPU slows a pod down that would otherwise use what nobody needs; the request is its share under load.
  --ignore-container-cpu-limit
  # A limit on scratch space would end pods; emptyDir has its own sizeLimit, and the root file system is read-only.
  --ignore-test container-ephemeral-storage-request-and-limit
  # The images are pinned by tag or digest, so what is on the node is right; "Always" breaks nodes without a registry.
  --ignore-test container-image-pull-policy
  # Readiness asks whether work is taken, liveness whether the process is stuck: they share a port, not a path.
  --ignore-test pod-probes-identical
  # User and group ids are above 10000 already; on OpenShift the platform chooses them.
  --ignore-test container-security-context-user-group-id
  # The development server and MinIO of a first installation have one pod by nature.
  --ignore-test statefulset-has-poddisruptionbudget
  --ignore-test statefulset-has-host-podantiaffinity
  # They are reached by a Service with an address of its own: clients keep it when the pod moves.
  --ignore-test statefulset-has-servicename
  # Spread is asked for with topologySpreadConstraints, which kube-score does not count.
  --ignore-test deployment-has-host-podantiaffinity
  # With the default of one replica a budget would only keep nodes from being drained; values-production.yaml has them.
  --ignore-test deployment-has-poddisruptionbudget
  # One replica is the default; in production those without `replicas` belong to KEDA, which kube-score does not know.
  --ignore-test deployment-replicas
)

say() { printf '== %s\n' "$*"; }
render() { helm template tardigrade "$CHART" --namespace tardigrade --kube-version "$1.0" "${@:2}"; }

say "hadolint"
.venv/bin/hadolint --failure-threshold style deploy/images/Dockerfile

say "generated documentation and manifests"
.venv/bin/python deploy/checks/chart_docs.py --check
deploy/checks/manifests.sh --check

say "helm lint"
helm lint --quiet --strict "$CHART"
for values in "$CHART"/ci/*-values.yaml "$CHART"/values-production.yaml; do
  helm lint --quiet --strict "$CHART" --values "$values"
done

say "kubeconform for Kubernetes ${VERSIONS[*]}"
.venv/bin/python deploy/checks/kube_schemas.py "$SCHEMAS" "${VERSIONS[@]}"
conform() {
  kubeconform -strict -summary -skip "$FOREIGN" \
    -schema-location "$SCHEMAS/$1/{{ .ResourceKind }}{{ .KindSuffix }}.json" "${@:2}"
}
for version in "${VERSIONS[@]}"; do
  for values in "$CHART"/ci/*-values.yaml "$CHART"/values-production.yaml; do
    render "$version" --values "$values" | conform "$version" || { echo "$values for Kubernetes $version" >&2; exit 1; }
  done
  conform "$version" deploy/k8s/*/*.yaml
done

say "kube-score"
for values in "$CHART"/ci/default-values.yaml "$CHART"/values-production.yaml; do
  score=$(render 1.34 --values "$values" | kube-score score --output-format ci --kubernetes-version v1.34 "${exceptions[@]}" -) || true
  [[ $score == *"[OK]"* ]] || { printf 'kube-score said nothing of %s:\n%s\n' "$values" "$score" >&2; exit 1; }
  if findings=$(grep -Ev '^\[(OK|SKIPPED)\]' <<<"$score"); then
    printf '%s:\n%s\n' "$values" "$findings" >&2
    exit 1
  fi
done
