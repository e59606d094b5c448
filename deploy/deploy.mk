# Images, chart, plain manifests, end-to-end suite. Included by the Makefile.

# The Go tools are taken from the PATH, or built once into build/tools.
TOOLS := $(CURDIR)/build/tools
export PATH := $(PATH):$(TOOLS)

GO_TOOL_helm := helm.sh/helm/v3/cmd/helm@v3.19.4
GO_TOOL_kubeconform := github.com/yannh/kubeconform/cmd/kubeconform@v0.7.0
GO_TOOL_kube-score := github.com/zegl/kube-score/cmd/kube-score@v1.20.0

.PHONY: chart-tools tool-% images image-sizes load manifests chart-docs lint-deploy e2e

tool-%:
	@command -v $* >/dev/null || { command -v go >/dev/null || { \
	  echo "NOT RUN: $* is not on the PATH, and without Go it cannot be built ($(GO_TOOL_$*))" >&2; exit 1; }; \
	  echo "building $* from its Go module"; \
	  GOBIN=$(TOOLS) CGO_ENABLED=0 go install -trimpath -ldflags="-s -w" $(GO_TOOL_$*); }

chart-tools: tool-helm tool-kubeconform tool-kube-score ## Build the chart's tools where they are missing

images: ## Build all images (IMAGE_BUILDER=docker|podman|buildah, IMAGE_TAG, BASE_IMAGE)
	deploy/images/build.sh

image-sizes: ## Print the size of each image
	deploy/images/build.sh sizes

load: ## Put the images in the cluster (kind, minikube, or LOAD_IMAGE="command": called with an archive)
	deploy/images/build.sh load

manifests: tool-helm ## Render deploy/k8s from the chart
	deploy/checks/manifests.sh

chart-docs: $(DEV) ## Write the chart's README and the schema's descriptions from values.yaml
	.venv/bin/python deploy/checks/chart_docs.py

lint-deploy: $(DEV) chart-tools ## Check Dockerfile, chart and manifests
	deploy/checks/lint.sh

e2e: $(DEV) tool-helm ## Install, use, scale, scrape, kill, upgrade and remove the service on a real cluster (see deploy/e2e.sh)
	deploy/e2e.sh
