# Everything a developer does here, one target each. `make help` lists them.

SHELL := /bin/sh
.DEFAULT_GOAL := help

BIN := .venv/bin
PYTHON3 := $(BIN)/python

# Passed on to the program behind the target: make lab LAB_ARGS=--no-browser
LAB_ARGS ?=
TEST_ARGS ?=
BENCH_ARGS ?=

# What is compiled once and kept is what users have: without it every process compiles all it imports.
unexport PYTHONDONTWRITEBYTECODE

# JupyterLab refuses to run as root unless it is told that this is meant.
ALLOW_ROOT := $(shell [ "$$(id -u)" -ne 0 ] || echo --allow-root)

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##### Set up and use

.PHONY: setup
setup: ## Install everything into .venv (done again only when pyproject.toml changes)
	@.ci/setup

.PHONY: lab
lab: setup ## Open JupyterLab on the first example (LAB_ARGS="--no-browser --port 8899" passes options)
	$(BIN)/jupyter lab $(ALLOW_ROOT) $(LAB_ARGS) examples/01-first-cell.ipynb

##### Test

.PHONY: test
test: setup ## Run every test, those on a real Kubernetes included where it can run (TEST_ARGS="-k name" passes options)
	@.ci/debian chromium fonts-dejavu-core
	@$(PYTHON3) -m tests.suite $(TEST_ARGS)

.PHONY: bench
bench: setup ## Measure speed against its baselines: a table, and build/bench.json
	$(PYTHON3) -m tests.bench $(BENCH_ARGS)

.PHONY: cluster
cluster: setup ## Start the test cluster and say how to use it with kubectl and from a notebook
	@$(PYTHON3) -m tests.cluster up

.PHONY: cluster-down
cluster-down: setup ## Take the test cluster down, leaving nothing of it on this machine
	@$(PYTHON3) -m tests.cluster down

##### Check and build

.PHONY: watch
watch: setup ## Build the extension for JupyterLab anew whenever its sources change; reload the page to see it
	@PATH="$(CURDIR)/$(BIN):$$PATH" jlpm watch

.PHONY: check
check: format lint types layers docs package ## Format, lint, types, layers, docs and wheel: all that CI asks for besides the tests

.PHONY: format
format: setup ## Say which files are not formatted (`.venv/bin/ruff format` mends them)
	$(BIN)/ruff format --check .

.PHONY: lint
lint: setup ## Run ruff's rules, and ESLint's and Prettier's over the extension for JupyterLab
	$(BIN)/ruff check .
	@PATH="$(CURDIR)/$(BIN):$$PATH" jlpm lint

.PHONY: types
types: setup ## Check the types (mypy and tsc, strict)
	$(BIN)/mypy
	@PATH="$(CURDIR)/$(BIN):$$PATH" jlpm types

.PHONY: layers
layers: setup ## Check that imports point down only (import-linter)
	@# Its cache does not notice when a module becomes a package.
	$(BIN)/lint-imports --no-logo --no-cache

.PHONY: docs
docs: setup ## Build the documentation into build/docs; a warning is an error
	@# From the beginning each time: pages are made from code, whose changes Sphinx does not see.
	$(BIN)/sphinx-build --fresh-env --fail-on-warning --keep-going --quiet --builder html docs build/docs
	@echo "build/docs/index.html"

.PHONY: wheel
wheel: setup ## Build the wheel into dist/
	@rm -rf dist workbench/gpu_workbench/labextension labextension/lib
	$(BIN)/uv build --quiet --wheel --out-dir dist --python $(PYTHON3) .
	@ls dist/*.whl

.PHONY: package
package: wheel ## Build the wheel, look into it, install it into an empty environment, and look at JupyterLab there
	@.ci/debian chromium fonts-dejavu-core
	$(PYTHON3) .ci/check_wheel.py dist

.PHONY: clean
clean: ## Remove what was built here (not .venv, nor what is cached in your home folder)
	rm -rf build dist workbench/gpu_workbench/labextension labextension/lib .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find workbench tests docs -name __pycache__ -type d -prune -exec rm -rf {} +
