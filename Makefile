# The front door. `make` lists the targets; each says what it does and fails with a reason.

SHELL := /bin/sh
PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# pyright: use the Node.js that the lock pins, and do not ask the network for a newer pyright.
export PYRIGHT_PYTHON_GLOBAL_NODE := 0
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.PHONY: help demo test check bench format lock clean

help: ## list the targets
	@echo "edgekernel: make <target>"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(STAMP) ## run a simulated greenhouse with an embedded broker in this terminal
	@echo "demo: a simulated greenhouse with an embedded MQTT broker; Ctrl-C ends it"
	@$(BIN)/edgekernel run examples/greenhouse/node.toml --sim --broker --live $(ARGS)

test: $(STAMP) ## run the tests (ARGS="-k relay" passes options to pytest)
	@echo "test: pytest, with a real mosquitto broker"
	@tools/ensure-mosquitto
	@PATH="$(CURDIR)/$(BIN):$$PATH:/usr/local/sbin:/usr/sbin" $(BIN)/python -m pytest $(ARGS)

check: $(STAMP) ## lint, formatting, types, import contracts
	@echo "check 1/5: ruff check (lint)"
	@$(BIN)/ruff check .
	@echo "check 2/5: ruff format (layout; 'make format' repairs it)"
	@$(BIN)/ruff format --check .
	@echo "check 3/5: mypy --strict (types)"
	@$(BIN)/mypy
	@echo "check 4/5: pyright (types)"
	@$(BIN)/pyright
	@echo "check 5/5: lint-imports (the arrows between packages)"
	@$(BIN)/lint-imports
	@echo "check: clean"

bench: $(STAMP) ## run every benchmark in benchmarks/
	@found=0; for file in benchmarks/bench_*.py; do \
		[ -e "$$file" ] || continue; \
		found=1; echo "bench: $$file"; $(BIN)/python "$$file" $(ARGS) || exit 1; \
	done; \
	if [ $$found = 0 ]; then echo "bench: there is no benchmarks/bench_*.py yet"; fi

format: $(STAMP) ## let ruff repair layout and import order
	@echo "format: ruff format, ruff check --fix"
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: $(STAMP) ## pin every dependency anew in constraints.txt (ARGS=--upgrade takes newer ones)
	@echo "lock: resolving pyproject.toml for Python 3.11 and later, every platform"
	@$(BIN)/uv pip compile pyproject.toml --no-config --quiet --universal --python-version 3.11 \
		--extra demo --extra mqtt --extra sim --group dev --generate-hashes \
		--no-header --no-annotate --no-emit-index-url --output-file constraints.txt $(ARGS)
	@echo "lock: constraints.txt has $$(grep -c '^[a-z]' constraints.txt) packages"

clean: ## remove the virtual environment and every cache
	@echo "clean: $(VENV), caches, build results"
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist

$(STAMP): constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "edgekernel needs Python 3.11 or newer, but '$(PYTHON)' is: $$($(PYTHON) --version 2>&1)" >&2; \
		echo "Install one and name it, for example: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "'$(PYTHON)' cannot make virtual environments: its venv module is missing." >&2; \
		echo "On Debian, Ubuntu and Raspberry Pi OS: sudo apt-get install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/pip || { echo "setup: making $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "setup: installing the pinned dependencies (constraints.txt)"
	@$(BIN)/pip install --quiet --no-input --disable-pip-version-check --require-hashes -r constraints.txt
	@echo "setup: installing edgekernel from this folder, editable"
	@$(BIN)/pip install --quiet --no-input --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
