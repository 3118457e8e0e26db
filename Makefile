# The five words everybody uses; CI runs the same.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ONLY ?=
COUNT ?= 20
SEED ?= 0
SWEEP ?=

.PHONY: help setup demo test bench faults lint clean
.DEFAULT_GOAL := help

help: ## list the words
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 10

setup: $(READY) ## install everything into .venv, at the locked versions

$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Korvai needs Python 3.11 (looked for $(PYTHON)); install it, or: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY) ## the main job: a graph, images, a model, and classes by Cypher
	$(BIN)/korvai demo

test: $(READY) ## all tests, on a real Neo4j and a real Redis
	$(BIN)/python -m pytest $(ARGS)

bench: $(READY) ## measurements side by side; make bench ONLY=<area>
	$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY))

faults: $(READY) ## kill processes at random and look; make faults COUNT=n SEED=s, SWEEP=1 for every failpoint
	$(BIN)/python -m tests.support.faults --count $(COUNT) --seed $(SEED) $(if $(SWEEP),--sweep)

lint: $(READY) ## style and import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

clean: ## remove the environment and caches; your data under KORVAI_HOME stays
	rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache build *.egg-info
