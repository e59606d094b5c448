#!/usr/bin/env bash
# Builds the images, puts them in a cluster, prints their sizes.
#
#   build.sh [build|load|sizes]
#
# IMAGE_BUILDER  docker, podman or buildah (the first that is found), or a command that is called as
#                COMMAND CONTEXT TAG [build arguments] and builds, or builds and loads
# IMAGE_TAG      default: the project's version
# BASE_IMAGE     default: the Dockerfile's
# SERVICES       default: all
# LOAD_IMAGE     a command that is called with an archive, for nodes that are neither kind's nor minikube's
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
TAG=${IMAGE_TAG:-$VERSION}
read -ra services <<<"${SERVICES:-orchestrator gateway simulator pdf_worker llm_worker}"

die() { printf 'error: %s\n' "$*" >&2; exit 1; }
image() { printf 'localhost/tardigrade-%s:%s' "${1//_/-}" "$TAG"; }

builder() {
  if [ -n "${IMAGE_BUILDER:-}" ]; then echo "$IMAGE_BUILDER"; return; fi
  local name
  for name in docker podman buildah; do
    command -v "$name" >/dev/null && { echo "$name"; return; }
  done
  die "no docker, podman or buildah on the PATH. Install one, or set IMAGE_BUILDER to a command that builds."
}

build() { # SERVICE
  local use epoch; use=$(builder)
  epoch=$(git log -1 --format=%ct 2>/dev/null || echo 0)
  local arguments=(--file deploy/images/Dockerfile --build-arg "SERVICE=$1" --build-arg "VERSION=$VERSION"
    --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)")
  [ -z "${BASE_IMAGE:-}" ] || arguments+=(--build-arg "BASE_IMAGE=$BASE_IMAGE")
  case $use in
    docker) SOURCE_DATE_EPOCH=$epoch docker build --quiet "${arguments[@]}" --tag "$(image "$1")" . ;;
    podman | buildah) "$use" build --quiet --timestamp "$epoch" "${arguments[@]}" --tag "$(image "$1")" . ;;
    *) read -ra command <<<"$use"; "${command[@]}" . "$(image "$1")" --timestamp "$epoch" "${arguments[@]}" ;;
  esac
  echo "built $(image "$1")"
}

archive() { # SERVICE FILE
  case $(builder) in
    docker) docker save --output "$2" "$(image "$1")" ;;
    podman) podman save --quiet --format oci-archive --output "$2" "$(image "$1")" ;;
    buildah) buildah push --quiet "$(image "$1")" "oci-archive:$2:$(image "$1")" ;;
    *) die "IMAGE_BUILDER is a command of your own: it has to load what it builds." ;;
  esac
}

load() { # SERVICE
  local context file; context=$(kubectl config current-context)
  file=$(mktemp -d)/image.tar
  archive "$1" "$file"
  if [ -n "${LOAD_IMAGE:-}" ]; then
    read -ra command <<<"$LOAD_IMAGE"; "${command[@]}" "$file"
  else
    case $context in
      kind-*) kind load image-archive "$file" --name "${context#kind-}" ;;
      minikube*) minikube image load "$file" --profile "$context" ;;
      *) die "the context $context is neither kind's nor minikube's. Set LOAD_IMAGE to a command that takes an archive." ;;
    esac
  fi
  rm -r "$(dirname "$file")"
  echo "loaded $(image "$1")"
}

size() { # SERVICE
  local bytes
  case $(builder) in
    docker) bytes=$(docker image inspect --format '{{.Size}}' "$(image "$1")") ;;
    podman) bytes=$(podman image inspect --format '{{.Size}}' "$(image "$1")") ;;
    buildah) bytes=$(buildah images --json "$(image "$1")" | sed -n 's/.*"size": "\(.*\)".*/\1/p') ;;
    *) bytes=$(kubectl get nodes --output json | python3 deploy/images/node_size.py "$(image "$1")") ;;
  esac
  printf '%-45s %s\n' "$(image "$1")" "$(numfmt --to=iec "$bytes" 2>/dev/null || echo "$bytes")"
}

case ${1:-build} in
  build | load) for service in "${services[@]}"; do "${1:-build}" "$service"; done ;;
  sizes) for service in "${services[@]}"; do size "$service"; done ;;
  *) die "usage: build.sh [build|load|sizes]" ;;
esac
