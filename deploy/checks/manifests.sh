#!/usr/bin/env bash
# Renders deploy/k8s from the chart. With --check: fails when what is checked in differs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly CHART=deploy/helm/tardigrade

render() { # VALUES
  echo "# Rendered from deploy/helm/tardigrade by \`make manifests\`. Do not edit."
  helm template tardigrade "$CHART" --namespace tardigrade --kube-version 1.34.0 --skip-tests --values "$1"
}

target=deploy/k8s
if [ "${1:-}" = --check ]; then
  target=$(mktemp -d)
  trap 'rm -rf "$target"' EXIT
fi
mkdir -p "$target/dev" "$target/production"
render deploy/k8s/dev-values.yaml >"$target/dev/tardigrade.yaml"
render "$CHART/values-production.yaml" >"$target/production/tardigrade.yaml"

if [ "${1:-}" = --check ]; then
  for set in dev production; do
    diff -ru "deploy/k8s/$set" "$target/$set" || { echo "deploy/k8s/$set does not fit the chart; run \`make manifests\`" >&2; exit 1; }
  done
fi
