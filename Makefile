# Everything sets itself up: a machine needs Python 3.11.4 or newer with venv, make, and nothing else.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --warn-undefined-variables
# Hundreds of processes are started here: without bytecode each of them compiles everything anew, for a second or two.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The SageMaker SDK, which is for model/pipeline.py and for tests of what is emulated: never beside the operator.
SDK := .venv-sdk
SDK_READY := $(SDK)/.ready
# The embedded platform: a distribution of its own, beside the operator's.
PLATFORM := operator/eep_platform
UV := VIRTUAL_ENV=$(VENV) $(BIN)/uv
UV_VERSION := 0.13.9

# A name on the PATH proves nothing (it may be a shim, or lack venv): the first Python that really works is taken.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	$$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11, 4))' 2>/dev/null \
	&& command -v $$python && break; done)

CRDS := $(BIN)/python -m ephemeral_endpoints.api.schema.crds --reference docs/reference.md --chart charts/ephemeral-endpoints crds
PAGES := $(BIN)/python -m ephemeral_endpoints.deploy.pages docs
# One small file of the sources of the page that the forwarder sends.
PAGE := $(BIN)/python -m eep_platform.tools.page
IAM := $(BIN)/python -m ephemeral_endpoints.deploy.generate examples/aws
# Passed on to uv when locking, for example UPGRADE=--upgrade or UPGRADE='--upgrade-package kopf'.
UPGRADE ?=
# The regions of make prices: REGIONS='us-east-1 eu-central-1'; by default those that the table has.
REGIONS ?=
# The story that make demo tells: pull-request, lifetime or training.
STORY ?= pull-request
# Passed on to the benchmark, for example BENCH=--full or BENCH='--sizes 1,30'.
BENCH ?=
# Of the tests; one more than there are cores is hardly faster, takes two gigabytes more, and has time run out here and there.
WORKERS ?= 2
# Passed on to the faults, for example CHAOS=--covering or CHAOS='--lanes 12'.
CHAOS ?=
# hdrhistogram names pbr, which only its own build needs, and which brings setuptools.
LOCK = $(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11.4 \
	--no-emit-package pbr --no-emit-package setuptools \
	--custom-compile-command 'make lock' $(UPGRADE)

.PHONY: help
help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: $(READY) ## Show the whole story on this machine, with no cloud account; STORY=lifetime shows how previews end, STORY=training the way to production
	$(BIN)/eep local demo $(STORY)

.PHONY: up
up: $(READY) ## Start the embedded platform with the operator on it, and leave it running
	$(BIN)/eep local up --operator

.PHONY: down
down: $(READY) ## Stop the embedded platform
	$(BIN)/eep local down

.PHONY: test
test: lint sdk ## Lint, and run all tests, of which some have every AWS operation go wrong once
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: bench
bench: $(READY) ## Measure the operator, and write docs/benchmarks.md
	$(BIN)/eep local bench $(BENCH)

.PHONY: chaos
chaos: $(READY) ## Have every call to AWS and to GitHub go wrong in every way, and write docs/reliability.md
	$(BIN)/python -m eep_platform.chaos --page docs/reliability.md $(CHAOS)

.PHONY: lint
lint: $(READY) ## Check style, types, layers, and that the generated files are current
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --explicit-package-bases tests
	$(BIN)/lint-imports
	$(CRDS) --check
	$(IAM) --check
	$(PAGES) --check
	$(PAGE) --check

.PHONY: fmt
fmt: $(READY) ## Format the code and mend what can be mended without thought
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

.PHONY: generate
generate: $(READY) ## Write the CRDs, the chart's copies, the IAM policies, the generated pages of docs, and the page of endpoints
	$(CRDS)
	$(IAM)
	$(PAGES)
	$(PAGE)

.PHONY: lock
lock: $(READY) ## Resolve the dependencies of pyproject.toml anew into the lock files
	$(LOCK) --extra model --extra dev --no-emit-package ephemeral-endpoints --constraint model/requirements.lock \
		pyproject.toml $(PLATFORM)/pyproject.toml --output-file requirements.lock
	$(LOCK) --constraint requirements.lock pyproject.toml --output-file requirements-runtime.lock
	echo 'uv==$(UV_VERSION)' | $(LOCK) - --output-file requirements-bootstrap.lock
	$(LOCK) model/requirements.in --output-file model/requirements.lock
	$(LOCK) --group sdk --output-file model/sdk.lock

.PHONY: pins
pins: $(READY) ## Pin images that build, and actions of workflows, to what their tags name now
	$(BIN)/python -m eep_platform.tools.pins
	$(CRDS)

.PHONY: prices
prices: $(READY) ## Renew the table of prices from AWS's price lists
	$(BIN)/python -m eep_platform.tools.prices $(REGIONS)

.PHONY: setup
setup: $(READY) ## Make the virtual environment; everything else does so by itself

.PHONY: sdk
sdk: $(SDK_READY) ## Make the virtual environment of the SageMaker SDK; the tests that need it do so by themselves

.PHONY: clean
clean: ## Remove what was made here, but not the state of a running platform
	rm -rf $(VENV) $(SDK) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find operator tests model -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements.lock requirements-bootstrap.lock pyproject.toml $(PLATFORM)/pyproject.toml
	@test -n '$(PYTHON)' || { echo 'No Python 3.11.4 or newer with its venv module was found. Install one (on Debian 13:' \
	'apt-get install python3-venv), or name one: make PYTHON=/path/to/python3' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bootstrap.lock
	$(UV) pip sync --quiet --require-hashes requirements.lock
	$(UV) pip install --quiet --no-deps --no-build-isolation --editable . --editable $(PLATFORM)
	@touch $@

$(SDK_READY): model/sdk.lock | $(READY)
	$(PYTHON) -m venv --without-pip $(SDK)
	VIRTUAL_ENV=$(SDK) $(BIN)/uv pip sync --quiet --require-hashes model/sdk.lock
	@touch $@
