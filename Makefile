# One place for what a person types. `make demo` and `make test` do all their set-up.
VENV   := .venv
BIN    := $(VENV)/bin
PYTHON ?= python3
STAMP  := $(VENV)/.installed
# CHROMIUM: the browser that the tests drive; installed from Debian when there is none.
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser)

.PHONY: help demo up test setup browser check lock page clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    everything on a simulated exchange; prints the addresses, Ctrl-C stops it"
	@echo "make up      the same on the real broker; needs UPSTOX_ACCESS_TOKEN"
	@echo "make test    the whole suite, against real servers (what CI runs)"
	@echo "make setup   only the environment: .venv, locked dependencies, compiled kernels"
	@echo "make check   format, lint, types, import rules"
	@echo "make lock    remake requirements.txt after a change in pyproject.toml"
	@echo "make page    rebuild dashboard/static from dashboard/web (needs Node)"

setup: $(STAMP)

$(STAMP): requirements.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "cannot make a virtual environment: install python3-venv" >&2; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9"
	$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	$(BIN)/optionlake prepare
	@touch $(STAMP)

demo: setup
	@$(BIN)/optionlake demo

up: setup
	@$(BIN)/optionlake up

browser:
ifeq ($(CHROMIUM),)
	@if [ "$$(id -u)" = 0 ]; then S=; else S=sudo; fi; \
	  echo "installing chromium for the browser tests"; \
	  $$S apt-get update -qq && $$S env DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null || \
	  { echo "no chromium: install it, or set CHROMIUM to a browser's path" >&2; exit 2; }
endif

test: setup browser
	@$(BIN)/python -m pytest

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

lock:
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra test \
	  --generate-hashes --no-emit-index-url --no-header --output-file requirements.txt pyproject.toml

page:
	cd dashboard/web && npm ci --no-audit --no-fund && npm test && npm run build

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
