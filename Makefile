# The front door. `make` lists the targets; each says what it does and fails with a reason.

SHELL := /bin/sh
PYTHON ?= python3
ARGS ?=
# The whole suite runs on two processes, a file at a time; a part of it, with ARGS, on one.
JOBS ?= $(if $(ARGS),,-n 2 --dist loadfile)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH_VENV := .venv-bench
BENCH_STAMP := $(BENCH_VENV)/.installed
COMPILE := uv pip compile pyproject.toml --no-config --quiet --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate --no-emit-index-url

# pyright: use the Node.js that the lock pins, and do not ask the network for a newer pyright.
export PYRIGHT_PYTHON_GLOBAL_NODE := 0
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-cluster test-home-assistant test-new-mosquitto test-wire check bench load \
	soak stress docs image image-test format lock clean

help: ## list the targets
	@echo "edgekernel: make <target>"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-19s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(STAMP) ## run a simulated greenhouse with an embedded broker in this terminal
	@echo "demo: a simulated greenhouse with an embedded MQTT broker; Ctrl-C ends it"
	@$(BIN)/edgekernel run examples/greenhouse/node.toml --sim --broker --live $(ARGS)

test: $(STAMP) ## run the tests (ARGS="-k relay" passes options to pytest)
	@echo "test: pytest, with a real mosquitto broker"
	@tools/ensure-mosquitto
	@tools/ensure-systemd
	@tools/ensure-tshark >/dev/null || [ "$$CI" != true ] # without it tests/wire is skipped
	@tools/fetch-foreign-suites $(VENV)
	@PATH="$(CURDIR)/$(BIN):$$PATH:/usr/local/sbin:/usr/sbin" $(BIN)/python -m pytest $(JOBS) $(ARGS)

test-home-assistant: $(STAMP) ## run a node in a real Home Assistant (needs Python 3.13 or 3.14)
	@echo "test-home-assistant: Home Assistant's own schemas, and its core on a real mosquitto"
	@tools/ensure-mosquitto
	@HOME_ASSISTANT_PYTHON="$$(tools/ensure-home-assistant $(BIN)/uv)" || exit 1; \
		export HOME_ASSISTANT_PYTHON PATH="$(CURDIR)/$(BIN):$$PATH:/usr/local/sbin:/usr/sbin"; \
		echo "test-home-assistant: with $$HOME_ASSISTANT_PYTHON"; \
		$(BIN)/python -m pytest tests/home_assistant $(ARGS)

test-cluster: $(STAMP) ## run a node on a cluster of three NATS servers, one of which is killed
	@echo "test-cluster: three nats-servers with JetStream and MQTT on the loopback"
	@tools/ensure-nats
	@TEST_CLUSTER=1 PATH="$(CURDIR)/$(BIN):$$PATH:/usr/local/sbin:/usr/sbin" \
		$(BIN)/python -m pytest tests/cluster $(ARGS)

test-new-mosquitto: $(STAMP) ## run the tests of a closed broker on mosquitto 2.1 (needs apt-get)
	@echo "test-new-mosquitto: Debian's mosquitto 2.1, with the configuration for 2.1 and that for 2.0"
	@there="$$(tools/fetch-mosquitto-2.1 $(VENV)/mosquitto-2.1)" || exit 1; \
		for dialect in 2.1 2.0; do \
			MOSQUITTO_DIALECT=$$dialect PATH="$$there:$(CURDIR)/$(BIN):$$PATH" \
				$(BIN)/python -m pytest tests/mqtt/site tests/mqtt/test_tls.py \
				tests/mqtt/test_websockets.py tests/mqtt/homie/test_access.py \
				tests/mqtt/fleet/test_secured.py tests/cli/test_broker.py $(ARGS) || exit 1; \
		done

test-wire: $(STAMP) ## let tshark read what a node and its clients send; `make test` has it too
	@echo "test-wire: what is sent to a real mosquitto, recorded, and decoded by tshark"
	@tools/ensure-mosquitto
	@tools/ensure-tshark
	@PATH="$(CURDIR)/$(BIN):$$PATH:/usr/local/sbin:/usr/sbin" $(BIN)/python -m pytest tests/wire $(ARGS)

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

bench: $(BENCH_STAMP) ## run every benchmark (ARGS=--quick for a short run, ARGS=--readme keeps it)
	@tools/ensure-mosquitto
	@found=0; for file in benchmarks/bench_*.py; do \
		[ -e "$$file" ] || continue; \
		found=1; echo "bench: $$file"; $(BENCH_VENV)/bin/python "$$file" $(ARGS) || exit 1; \
	done; \
	if [ $$found = 0 ]; then echo "bench: there is no benchmarks/bench_*.py yet"; fi

load: $(STAMP) ## put 1,000 nodes on a mosquitto and measure (ARGS="--nodes 200 --seconds 20")
	@tools/ensure-mosquitto
	@PATH="$(CURDIR)/$(BIN):$$PATH:/usr/local/sbin:/usr/sbin" $(BIN)/python -m benchmarks.load_nodes $(ARGS)

soak: $(STAMP) ## let a node live through 30 bad days, and see that nothing grows (ARGS="--days 9")
	@echo "soak: a whole node through bad days in simulated time; a day takes about 7 s"
	@nice $(BIN)/python -m tests.soak $(ARGS)

stress: $(STAMP) ## let threads write to random signal graphs (ARGS="--seconds 600")
	@$(BIN)/python -m tests.core.stress_signals $(ARGS)

docs: $(STAMP) ## write the pages of docs/ that are made from the code
	@echo "docs: drivers and boards"
	@$(BIN)/python tools/generate-docs

image: $(STAMP) ## build the image for a Raspberry Pi (as root; ARGS="--with-broker")
	@tools/ensure-mmdebstrap image
	@$(BIN)/python -m images.build $(ARGS)

image-test: $(STAMP) ## build the image, boot it in QEMU and drive it over MQTT (as root)
	@tools/ensure-mmdebstrap image-test
	@tools/ensure-mosquitto
	@$(BIN)/python -m images.build
	@$(BIN)/python -m images.build --with-broker
	@PATH="$(CURDIR)/$(BIN):$$PATH:/usr/local/sbin:/usr/sbin" $(BIN)/python -m pytest images/test -s \
		-o faulthandler_timeout=0 $(ARGS)

format: $(STAMP) ## let ruff repair layout and import order
	@echo "format: ruff format, ruff check --fix"
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: $(STAMP) ## pin every dependency anew in constraints.txt (ARGS=--upgrade takes newer ones)
	@echo "lock: resolving pyproject.toml for Python 3.11 and later, every platform"
	@$(BIN)/$(COMPILE) --extra demo --extra mqtt --extra secure --extra sim --group dev \
		--output-file constraints.txt $(ARGS)
	@$(BIN)/$(COMPILE) --extra mqtt --group bench --constraints constraints.txt \
		--output-file benchmarks/constraints.txt $(ARGS)
	@$(BIN)/uv pip compile pyproject.toml --no-config --quiet --python-version 3.13 \
		--python-platform aarch64-manylinux_2_34 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --extra pi --extra mqtt --extra modbus --extra display --extra secure \
		--constraints constraints.txt --output-file images/requirements.txt $(ARGS)
	@for file in constraints.txt benchmarks/constraints.txt images/requirements.txt; do \
		echo "lock: $$file has $$(grep -c '^[a-z]' $$file) packages"; done

clean: ## remove the virtual environment and every cache
	@echo "clean: $(VENV), $(BENCH_VENV), caches, build results"
	@rm -rf $(VENV) $(BENCH_VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist

$(STAMP): constraints.txt pyproject.toml
	$(call install,$(VENV),constraints.txt)

$(BENCH_STAMP): benchmarks/constraints.txt pyproject.toml
	$(call install,$(BENCH_VENV),benchmarks/constraints.txt)

# $(call install,folder of the virtual environment,file of pinned packages)
define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "edgekernel needs Python 3.11 or newer, but '$(PYTHON)' is: $$($(PYTHON) --version 2>&1)" >&2; \
		echo "Install one and name it, for example: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "'$(PYTHON)' cannot make virtual environments: its venv module is missing." >&2; \
		echo "On Debian, Ubuntu and Raspberry Pi OS: sudo apt-get install python3-venv" >&2; exit 1; }
	@test -x $(1)/bin/pip || { echo "setup: making $(1)"; $(PYTHON) -m venv $(1); }
	@echo "setup: installing the pinned dependencies ($(2))"
	@$(1)/bin/pip install --quiet --no-input --disable-pip-version-check --require-hashes -r $(2)
	@echo "setup: installing edgekernel from this folder, editable"
	@$(1)/bin/pip install --quiet --no-input --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
endef
