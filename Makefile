# Each target does its own set-up: Python 3.11 or later, git and make are all it needs; with npm the conformance suite runs too.
SHELL := /bin/bash
PYTHON ?= python3
# Three for two cores: a test that waits, for a server's answer or a time-out, leaves its core to another.
JOBS ?= 3
VENV := .venv
BIN := $(VENV)/bin

# A stamp names the exact requirements it stands for: set-up runs again when they change, and only then.
RUNTIME_STAMP := $(VENV)/runtime-$(shell cat requirements/runtime.txt requirements/build.txt pyproject.toml | cksum | cut -d ' ' -f 1)
DEV_STAMP := $(VENV)/dev-$(shell cat requirements/*.txt pyproject.toml | cksum | cut -d ' ' -f 1)
NODE := 22.23.3
NODE_PINS := @modelcontextprotocol/conformance@0.2.0-alpha.12 @modelcontextprotocol/inspector@2.12.0 \
  @modelcontextprotocol/sdk@1.32.2 mcp-remote@0.15.1 @anthropic-ai/mcpb@2.1.2 \
  @modelcontextprotocol/ext-apps@2.0.4 playwright-core@1.65.1 axe-core@4.14.1
NODE_STAMP := node_modules/ready-$(shell echo "$(NODE) $(NODE_PINS)" | cksum | cut -d ' ' -f 1)
SBOM_VENV := .venv-sbom
SBOM_STAMP := $(SBOM_VENV)/ready-$(shell cat requirements/sbom.txt | cksum | cut -d ' ' -f 1)
PROGRAMS := zsh fish nginx chromium
CEPH := ceph-mon ceph-osd radosgw ceph-common

# What `make test` and `make nightly` hand to pytest. COVERAGE=1 measures branches, subprocesses included.
PYTEST := $(if $(COVERAGE),$(BIN)/coverage run -m,$(BIN)/python -m) pytest
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test coverage check lint types imports nightly pythons node ceph programs bench docs sbom bundle requirements clean

help:
	@echo "make demo     the whole job of an agent on sample packages, over MCP"
	@echo "make test     the tests; those that need what is not installed here are skipped and say so"
	@echo "make coverage  the tests, and which branches they reach"
	@echo "make check    all of what CI runs: lint, types, import rules, tests"
	@echo "make nightly  all tests, with their long profiles"
	@echo "make pythons  the tests with each newer Python that this machine has"
	@echo "make bench    start, size, call and engine benchmarks, results in bench/results"
	@echo "make docs     writes docs/reference again from the code"
	@echo "make bundle   a bundle for desktop clients (MCPB) in build; with npm"
	@echo "make sbom     build/sbom.json: what an installation brings (CycloneDX)"

demo: $(RUNTIME_STAMP)
	@$(BIN)/quilt-mcp demo

test: $(DEV_STAMP) node
	HYPOTHESIS_PROFILE=$${HYPOTHESIS_PROFILE:-ci} $(PYTEST) -m "not nightly" -n $(JOBS) --dist loadgroup $(ARGS)

nightly: $(DEV_STAMP) node
	HYPOTHESIS_PROFILE=nightly QUILT_MCP_SEARCH_QUERIES=4000 QUILT_MCP_STACK_QUERIES=400 $(PYTEST) --timeout 3600 -n $(JOBS) --dist loadgroup $(ARGS)

coverage:
	rm -f .coverage .coverage.*
	$(MAKE) test COVERAGE=1
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# With each newer Python that this machine has, in an environment of its own.
pythons:
	@for version in 3.12 3.13 3.14; do python$$version -c "" 2>/dev/null || continue; \
		echo "== Python $$version"; $(MAKE) test PYTHON=python$$version VENV=.venv-$$version COVERAGE= || exit 1; done

check:
	@.ci/run

lint: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV_STAMP)
	$(BIN)/pyright --pythonpath $(BIN)/python

imports: $(DEV_STAMP)
	$(BIN)/lint-imports

# What is tested on Node is skipped where there is no npm to install it.
node: $(if $(shell command -v npm),$(NODE_STAMP))

# The second S3 server of the tests, from the packages of Debian 12. It takes root: CI asks for it, `make test` never does.
ceph:
	@dpkg -s $(CEPH) >/dev/null 2>&1 || { echo "Installing $(CEPH)"; \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y $(CEPH) >/dev/null; }

# The shells that completion is tried in, beside bash; a proxy and a browser before a server of many users. As root on Debian, for
# CI, as above.
programs:
	@dpkg -s $(PROGRAMS) >/dev/null 2>&1 || { echo "Installing $(PROGRAMS)"; \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y $(PROGRAMS) >/dev/null; }

docs: $(DEV_STAMP)
	$(BIN)/python docs/generate.py

bench: $(DEV_STAMP)
	for script in $$(grep -l '^if __name__' bench/*.py | grep -v -e bare_server -e nightly); do echo "== $$script"; $(BIN)/python $$script || exit 1; done
	$(BIN)/python docs/generate.py

requirements: $(DEV_STAMP)
	$(BIN)/python requirements/compile.py

# What an installation brings, from the pinned requirements; written anew each time, the same each time.
sbom: $(SBOM_STAMP)
	@mkdir -p build
	$(SBOM_VENV)/bin/python -W ignore -m cyclonedx_py requirements --pyproject pyproject.toml --output-reproducible --short-PURLs \
		--spec-version 1.6 -o build/sbom.json requirements/runtime.txt

# The source as a bundle for desktop clients, packed by the format's own tool.
bundle: node
	$(PYTHON) deploy/mcpb/bundle.py build/mcpb
	node_modules/.bin/node node_modules/@anthropic-ai/mcpb/dist/cli/cli.js pack build/mcpb build/quilt-mcp.mcpb

clean:
	rm -rf $(VENV) .venv-* node_modules build .coverage*

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "quilt-mcp needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.11 <target>"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: sudo apt-get install python3-venv"; exit 1; }
	@echo "Making a virtual environment in $(VENV)"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)

$(RUNTIME_STAMP): | $(VENV)/pyvenv.cfg
	@echo "Installing quilt-mcp and what it needs into $(VENV) (about a minute the first time)"
	@$(BIN)/python -m pip install -qq --require-hashes -r requirements/runtime.txt -r requirements/build.txt
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/runtime-* && touch $@

$(DEV_STAMP): $(RUNTIME_STAMP)
	@echo "Installing what the tests need into $(VENV)"
	@$(BIN)/python -m pip install -qq --require-hashes -r requirements/dev.txt
	@rm -f $(VENV)/dev-* && touch $@

$(SBOM_STAMP):
	@echo "Installing what writes the SBOM into $(SBOM_VENV)"
	@$(PYTHON) -m venv --clear $(SBOM_VENV)
	@$(SBOM_VENV)/bin/python -m pip install -qq --require-hashes -r requirements/sbom.txt
	@touch $@

# Pinned on the command line, no lock file: the conformance suite wants a newer Node than most systems have, so Node comes along.
# No package's script is run. The package `node` has one, which installs the binary's own package: that is named here instead.
NODE_BINARY = $$(node -p '(process.platform + process.arch == "darwinarm64" ? "node-bin-" : "node-") + process.platform + "-" + process.arch')@$(NODE)
$(NODE_STAMP):
	@echo "Installing the conformance suite and other clients into node_modules"
	@mkdir -p node_modules
	@npm install --ignore-scripts --no-save --no-package-lock --no-audit --no-fund --loglevel=error $(NODE_BINARY) $(NODE_PINS)
	@rm -f node_modules/ready-* && touch $@
