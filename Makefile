# One place for what a person types. `make demo` and `make test` do all their set-up.
VENV   := .venv
BIN    := $(VENV)/bin
PYTHON ?= python3
STAMP  := $(VENV)/.installed
# The packages that we are measured against stay out of the product's environment.
BENCH  := .venv-bench
# uv makes the environment: it needs neither ensurepip nor the right to change the system's Python.
TOOLS  := .tools
UV     := UV_PYTHON_DOWNLOADS=never $(TOOLS)/bin/uv
# Root installs a Debian package itself; others through sudo, where they have it.
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo)
install = { echo "installing $(1)" && $(AS_ROOT) apt-get update -qq && \
  $(AS_ROOT) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
  $(1) >/dev/null; } || { echo "missing: install Debian's packages $(1)" >&2; exit 2; }

.PHONY: help demo up test setup zones browser check bench chaos endurance lock page clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    everything on a simulated exchange; prints the addresses, Ctrl-C stops it"
	@echo "make up      the same on the real broker; needs UPSTOX_ACCESS_TOKEN"
	@echo "make test    the whole suite, against real servers (what CI runs)"
	@echo "make setup   only the environment: .venv, locked dependencies, compiled kernels"
	@echo "make check   format, lint, types, import rules"
	@echo "make bench   implied volatility and Greeks against every other package, in $(BENCH)"
	@echo "make chaos   kill, starve and cut off the feed; its books into docs/reliability.md"
	@echo "make endurance   half an hour of load and outages; their tables into docs/reliability.md"
	@echo "make lock    remake requirements*.txt after a change in pyproject.toml"
	@echo "make page    rebuild dashboard/static from dashboard/web (needs Node)"

setup: zones $(STAMP)

$(TOOLS)/bin/uv:
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check \
	  --root-user-action=ignore --target $(TOOLS) "uv>=0.13,<0.14" || \
	  { echo "cannot install uv: install Debian's package python3-pip" >&2; exit 2; }

$(STAMP): requirements.txt pyproject.toml | $(TOOLS)/bin/uv
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) $(VENV)
	$(UV) pip sync --quiet --python $(BIN)/python requirements.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	$(BIN)/optionlake prepare
	@touch $(STAMP)

demo: setup
	@$(BIN)/optionlake demo

up: setup
	@$(BIN)/optionlake up

# System packages, by name and only where they are missing.
zones:
	@test -e /usr/share/zoneinfo/UTC || $(call install,tzdata)

browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
	  $(call install,chromium fonts-dejavu-core)

test: setup browser
	@$(BIN)/python -m pytest

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

bench: setup
	@test -x $(BENCH)/bin/python || $(UV) venv --quiet --python $(PYTHON) $(BENCH)
	$(UV) pip sync --quiet --python $(BENCH)/bin/python requirements-bench.txt
	$(UV) pip install --quiet --python $(BENCH)/bin/python --no-deps --editable .
	$(BENCH)/bin/python -m benchmarks pricing

chaos: setup
	$(BIN)/python -m tools.chaos --write

RELIABILITY := docs/reliability.md

endurance: setup
	$(BIN)/python -m tools.endurance load --minutes 10 --write $(RELIABILITY)
	$(BIN)/python -m tools.endurance outage --minutes 10 --write $(RELIABILITY)
	$(BIN)/python -m tools.endurance outage --minutes 10 --kill --write $(RELIABILITY)

COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 \
  --generate-hashes --no-emit-index-url --no-header

# Not after setup: what is installed by the old lock may lack what the code already needs.
lock: $(TOOLS)/bin/uv
	$(COMPILE) --extra test --output-file requirements.txt pyproject.toml
	$(COMPILE) --extra bench --constraint requirements.txt --output-file requirements-bench.txt \
	  pyproject.toml

page:
	cd dashboard/web && npm ci --no-audit --no-fund && npm test && npm run build

clean:
	rm -rf $(VENV) $(BENCH) $(TOOLS) .pytest_cache .mypy_cache .ruff_cache .hypothesis
