#!/usr/bin/env bash
# Runs the end-to-end suite with images built from this tree, and says how long each part took.
#
# On the cluster of KUBECONFIG; without one, on the cluster that CLUSTER_UP (default: ../shared/cluster/cluster) starts
# and takes down again. CLUSTER_UP is called with `up`, `down`, `env` and `build CONTEXT TAG [build arguments]`.
# Exits 0 without either, and says loudly that nothing was run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly STARTER=${CLUSTER_UP:-../shared/cluster/cluster}

step() { # NAME command…
  local begun=$SECONDS name=$1 status=0; shift
  echo "== $name"
  "$@" || status=$?
  echo "== $name took $((SECONDS - begun)) s"
  return $status
}

if [ -z "${KUBECONFIG:-}" ] && [ ! -x "$STARTER" ]; then
  echo "############################################################################"
  echo "# NOT RUN: end-to-end tests. KUBECONFIG is not set, and there is no $STARTER"
  echo "############################################################################"
  exit 0
fi

if [ -z "${KUBECONFIG:-}" ]; then
  step "cluster up" "$STARTER" up
  trap '"$STARTER" down' EXIT
  eval "$("$STARTER" env)"
  export IMAGE_BUILDER="$STARTER build"
  export E2E_TEMPORAL_IMAGE=localhost/temporal:local E2E_MINIO_IMAGE=localhost/minio:local
  export E2E_PROMETHEUS_IMAGE=localhost/prometheus:local
fi

images() {
  IMAGE_TAG=$1 deploy/images/build.sh build || return
  # A builder of one's own loads what it builds.
  case ${IMAGE_BUILDER:-docker} in docker | podman | buildah) IMAGE_TAG=$1 deploy/images/build.sh load ;; esac
}

version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
export E2E_IMAGE_TAG=$version E2E_NEXT_TAG=$version-next
step "images" images "$E2E_IMAGE_TAG"
SERVICES="orchestrator gateway pdf_worker llm_worker" step "images to upgrade to" images "$E2E_NEXT_TAG"
step "image sizes" deploy/images/build.sh sizes

suite() { "${PYTHON:-.venv/bin/python}" -m pytest tests/e2e "$@"; }

# A small node that starts, kills and upgrades everything at once can miss a deadline. What failed is named and run once
# more; what fails again fails the run.
again() {
  echo "== FAILED at first (see above); once more"
  suite --last-failed
}
step "end-to-end suite" suite || step "end-to-end suite, what failed" again
