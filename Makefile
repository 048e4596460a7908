# Everything that people and the build server run. Needs Python 3.11 or later and make.

PYTHON ?= python3
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := $(CURDIR)/.venv
BIN := .venv/bin
UV := $(shell command -v uv 2>/dev/null || echo $(BIN)/uv)
PYTEST_ARGS ?=
BENCH_ARGS ?=
SEEDS ?= 20
FAULTS_ARGS ?=
HISTORIES ?= ../shared/data
export COTERIE_HISTORIES ?= $(abspath $(HISTORIES))

.DEFAULT_GOAL := help
.PHONY: help install demo up test check contracts manifests kustomize kafka faults faults-selftest bench clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/installed ## Install everything into the project's own .venv

# uv is taken from the machine when it is there, else installed into .venv from the package index.
.venv/installed: uv.lock pyproject.toml contracts/pyproject.toml chassis/pyproject.toml \
		$(wildcard services/*/pyproject.toml) replay/pyproject.toml deploy/local/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Coterie needs Python 3.11 or later: pass PYTHON=/path/to/python3.11"; exit 1; }
	@command -v uv >/dev/null || test -x $(BIN)/uv || \
		{ $(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet uv; }
	@echo "Installing what is needed into .venv, once; the first time it may take a minute or two"
	@$(UV) sync --quiet --python $(PYTHON) --all-packages --locked --inexact
	@touch $@

demo: install ## Play a season of a community through the whole platform, then audit it
	@$(BIN)/coterie demo

up: install ## Start the platform and keep it up until Ctrl-C
	@$(BIN)/coterie up

kafka: install ## Fetch Apache Kafka for the tests, where Java and Maven are there
	@if command -v java >/dev/null && command -v mvn >/dev/null; then \
		$(BIN)/python -c 'from coterie_replay.brokers.apache import fetch; fetch()'; \
	else echo "no Java with Maven: tests that need Apache Kafka are skipped aloud"; fi

test: kafka ## Run the tests on real parts; PYTEST_ARGS="tests/local -k name" narrows them
	@$(UV) sync --quiet --python $(PYTHON) --all-packages --locked --inexact --group interop
	$(BIN)/pytest $(PYTEST_ARGS)

check: kustomize ## Lint, format, types, imports, generated files, manifests, lock file
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m coterie_contracts.export --check
	$(BIN)/python -m deploy.kubernetes.tools.generate --check
	$(BIN)/python -m deploy.kubernetes.tools.check
	$(UV) lock --check

contracts: install ## Write JSON Schemas, AsyncAPI and the page of each event from the contracts
	$(BIN)/python -m coterie_contracts.export

manifests: install ## Write what the contracts imply for a cluster
	$(BIN)/python -m deploy.kubernetes.tools.generate

kustomize: install ## Build kustomize into build/bin, once; needs Go
	@$(BIN)/python -m deploy.kubernetes.tools.kustomize

faults: kafka ## Storms of faults on a platform under load; SEED=n repeats one, SEEDS=20, KINDS=a,b
	$(BIN)/python -m tests.faults $(if $(SEED),--seed $(SEED),--seeds $(SEEDS)) \
		$(if $(KINDS),--kinds "$(KINDS)") $(FAULTS_ARGS)

faults-selftest: kafka ## Break ten promises, one after the other: each must be noticed
	$(BIN)/python -m tests.faults --selftest $(FAULTS_ARGS)

bench: kafka ## Measure, and write build/bench.json; BENCH_ARGS="relay_vs_raw_send" measures one row
	@$(UV) sync --quiet --python $(PYTHON) --all-packages --locked --inexact --group bench
	$(BIN)/python -m tests.bench $(BENCH_ARGS)

clean: ## Remove what was installed, fetched, built and kept by the platform
	rm -rf .venv build dist .coterie
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis contracts/interop/node_modules
