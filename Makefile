# Every target needs no more than Python 3.11+, make and git; uv is fetched where it is missing.
# `make` lists the targets.

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

RUN := .venv/.ready-to-run
DEV := .venv/.ready-to-develop
PY := .venv/bin/python
EXTRAS := orchestrator llm pdf gateway simulator cli

# litellm would fetch its price table from GitHub at every start; the one in its wheel is as old as its pin.
export LITELLM_LOCAL_MODEL_COST_MAP := True
# The environment is the project's own, whatever else is active in the caller's shell.
unexport VIRTUAL_ENV
# As it was typed: make would take the dollar of "$5" for a variable of its own.
ifdef PROMPT
override PROMPT := $(value PROMPT)
export PROMPT
endif

.PHONY: help setup local demo demo-crash format lint test test-extras fuzz gallery \
	bench bench-pdf bench-cost bench-streams lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

## Use

demo: $(RUN) ## Make one report on this machine: make demo PROMPT="…" (LLM_API_KEY or .env: a real model)
	@.venv/bin/tardigrade demo

demo-crash: $(RUN) ## Kill things, and count what the model's provider billed
	@.venv/bin/tardigrade demo-crash

local: $(RUN) ## Run the whole service on this machine until Ctrl-C
	@.venv/bin/tardigrade local

## Develop

setup: $(DEV) ## Install everything that developing needs into .venv

format: $(DEV) ## Format the code and mend what ruff can mend
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

lint: $(DEV) ## Check format, style, types, that no service imports another, image, chart and manifests
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	$(PY) -m pytest -q tests/unit/test_boundaries.py
	@if command -v go >/dev/null || command -v helm >/dev/null; then $(MAKE) lint-deploy; \
		else echo "### NOT RUN: the chart was not checked, since there is neither helm nor Go to build it with"; fi

test: $(DEV) ## Run all tests: make test ARGS="tests/unit -k ledger"
	$(PY) -m pytest -n 2 --dist loadfile $(ARGS)

test-extras: ## Import each service in an environment with nothing but its own extra
	@for extra in $(EXTRAS); do \
		UV_PROJECT_ENVIRONMENT=build/extras/$$extra .ci/uv sync --quiet --locked --no-dev --extra $$extra \
		&& build/extras/$$extra/bin/python .ci/import_service.py $$extra || exit 1; done

fuzz: $(DEV) ## Feed hostile and random Markdown to the PDF renderer, 5,000 cases
	FUZZ_CASES=5000 $(PY) -m pytest -q --timeout=0 tests/unit/pdf/test_fuzz.py

gallery: $(DEV) ## Render tests/fixtures/gallery to PDFs and pictures in build/gallery
	$(PY) -m benchmarks.gallery build/gallery

lock: ## Bring uv.lock up to date after a change of pyproject.toml
	.ci/uv lock

## Measure; JSON lines on stdout

bench: $(DEV) ## Reports per second, latency, start time and memory of each service
	@$(PY) -m benchmarks.pipeline
	@$(PY) -m benchmarks.start

bench-pdf: ## Milliseconds a page and memory, beside other PDF libraries (WeasyPrint needs Pango: libpangoft2-1.0-0)
	@.ci/uv sync --quiet --locked --extra pdf --group bench --env build/bench
	@build/bench/bin/python -m benchmarks.pdf

bench-cost: $(DEV) ## Tokens billed under kills, beside the plain way
	@$(PY) -m benchmarks.cost $(ARGS)

bench-streams: $(DEV) ## Streams that one LLM worker carries, and CPU a chunk
	@$(PY) -m benchmarks.streams

include deploy/deploy.mk

clean: ## Remove what make has made; reports and state in .tardigrade stay
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

# Two steps, so that the first `make demo` does not wait for the developer's tools.
$(RUN): pyproject.toml uv.lock
	@.ci/uv sync --locked --inexact --no-dev --all-extras
	@touch $@

$(DEV): pyproject.toml uv.lock
	@.ci/uv sync --locked --all-extras
	@touch $(RUN) $@
