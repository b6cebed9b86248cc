# `make` alone lists the commands.
SHELL := /bin/sh
# For a later Python, some dependencies have no wheel yet.
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))
PYTHON ?= $(or $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c '$(FITS)' >/dev/null 2>&1 && echo $$name && break; done),python3)
BIN := .venv/bin
# How many test files run at once: two more than there are cores, at most 8. Most wait for processes they have started.
SIDE_BY_SIDE ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores < 6 ? cores + 2 : 8)))
# If it is set, as in many containers, each process that the tests start compiles every module again.
unexport PYTHONDONTWRITEBYTECODE
# The lock file pins pip; a hint at a newer version would be the first thing that a newcomer reads.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
CODE := api schema workers domain cli bench tests

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

# The lines of the lock file for one package.
locked = sed -n '/^$(1)==/,/[^\\]$$/p' requirements-dev.lock
# Debian's Python may have pip, but not what installs it into an environment (python3-venv).
NO_PIP := import pip; from importlib.util import find_spec; print("" if find_spec("ensurepip") else "--without-pip")

# uv takes seconds where pip takes a minute, because it unpacks on every core. It ignores pip's configuration: if that
# names an index, or if uv fails, pip installs instead. Either way, the lock file names every package, with its hashes.
LOCKED := --quiet --no-deps --require-hashes -r requirements-dev.lock
.venv/.installed: requirements-dev.lock pyproject.toml
	@$(PYTHON) -c '$(FITS)' >/dev/null 2>&1 || { \
		echo "Hookline needs Python 3.11 to 3.14; $(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo 'not there')."; \
		echo "Name another one: make $(MAKECMDGOALS) PYTHON=/path/to/python3"; exit 1; }
	$(strip $(PYTHON) -m venv $(shell $(PYTHON) -c '$(NO_PIP)' 2>/dev/null) .venv)
	@[ -x $(BIN)/pip ] || $(call locked,pip) | $(PYTHON) -m pip --python .venv install --quiet --no-deps -r /dev/stdin
	@echo "Installing requirements-dev.lock"
	@$(call locked,uv) | $(BIN)/pip install --quiet --no-deps -r /dev/stdin
	@if $(BIN)/pip config list | grep index >/dev/null || ! $(BIN)/uv pip install --python .venv $(LOCKED); then \
		$(BIN)/pip install --no-compile $(LOCKED); fi
	$(BIN)/pip install -qq --no-build-isolation --no-deps -e .
	@touch $@

.PHONY: setup
setup: .venv/.installed ## The environment alone, in .venv/

# Node comes with the environment, so the pages are built with the same version everywhere.
web/node_modules/.installed: web/package-lock.json | setup
	cd web && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --no-audit --no-fund --loglevel=error
	@touch $@

WEB_SOURCES := $(shell find web -type f -not -path '*/node_modules/*' -not -path '*/dist/*' -not -path '*/generated/*' 2>/dev/null)
web/dist/.built: web/node_modules/.installed schema/schema.graphql $(WEB_SOURCES)
	cd web && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent build
	@touch $@

.PHONY: web
web: web/dist/.built ## The pages, from web/ into web/dist/

.PHONY: run
run: setup web ## Everything on this machine, at http://127.0.0.1:8000 (Ctrl-C stops it)
	$(BIN)/hookline up

.PHONY: test
test: setup web ## All tests, with real PostgreSQL, Redis and receivers
	$(BIN)/pytest -m "not alone" -n $(SIDE_BY_SIDE) --dist=loadfile --no-loadscope-reorder
	$(BIN)/pytest -m alone

.PHONY: test-oldest
test-oldest: setup ## The tests of domain, schema and workers, on the oldest PostgreSQL that is supported
	$(BIN)/pytest --postgres oldest -m "not alone" -n $(SIDE_BY_SIDE) --dist=loadfile tests/domain tests/schema tests/workers

.PHONY: test-providers
test-providers: setup ## The tests against the networks' real servers alone; none of these may be missing
	$(BIN)/pytest tests/providers --require-networks

.PHONY: chaos
chaos: setup ## Break everything at random for SECONDS=120 (SEED=n repeats a run)
	SECONDS=$(SECONDS) SEED=$(SEED) $(BIN)/python -m tests.e2e.chaos

.PHONY: check
check: setup audit web/node_modules/.installed ## Format, lint, types, import rules, vulnerabilities, schema contract
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd web && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent check
	@if [ -x ../shared/check-contract ]; then echo "check-contract schema/schema.graphql"; \
		$(BIN)/python ../shared/check-contract schema/schema.graphql; fi

# A vulnerability makes it fail. An index that does not answer is only reported.
.PHONY: audit
audit: setup ## Known vulnerabilities of what runs in production
	@told=$$(timeout 60 $(BIN)/pip-audit --strict --disable-pip --require-hashes -r requirements.lock \
		--progress-spinner off 2>&1); code=$$?; \
	if [ $$code -eq 0 ]; then echo "pip-audit: no known vulnerabilities"; \
	elif echo "$$told" | grep -q "known vulnerabilit"; then echo "$$told"; exit 1; \
	else echo "pip-audit: NOT CHECKED, for the index does not answer it here"; fi

.PHONY: format
format: setup ## Format the code and fix what the linter can
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

.PHONY: lock
lock: setup ## Renew the lock files from pyproject.toml
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --python-version 3.11 \
		pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --python-version 3.11 \
		pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --python-version 3.11 \
		pyproject.toml --extra traces -c requirements.lock -o requirements-traces.lock

.PHONY: keep-release
keep-release: setup ## The tables of this version, with rows in them, for the tests of later ones
	$(BIN)/python -m tests.upgrades.releases

.PHONY: bench
bench: setup ## The figures of docs/performance.md, as ratios of one run (ROW=name for one of them)
	$(BIN)/python -m bench $(ROW)
