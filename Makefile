# One virtual environment, two stamps: the demo needs the runtime alone, the gates need the tools as well.
.SHELLFLAGS := -eu -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

# One resolution for Linux on x86_64 and aarch64 and for every Python from the floor up ("fewest": one version
# of each package for all of them, the one that the tests ran with). No registry address may enter the lock.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links

.PHONY: help setup demo web web-test test test-long lint types imports check fmt lock upgrade clean
.PHONY: engine-tables crash-matrix fault-matrix move-campaign idle-agent primacy-pairs planted-bugs storm e2e soak-ui screenshots

help:  ## list the targets
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 18

setup: $(RUNTIME)  ## create .venv with the spotguard command
	@echo 'ready: $(BIN)/spotguard --help'

$(RUNTIME): requirements/runtime.txt pyproject.toml
	@if ! [ -x $(BIN)/pip ]; then \
	  for python in $(PYTHON) python3.11 python3.12 python3.13 python3; do \
	    if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	      $$python -m venv --clear $(VENV); break; \
	    fi; \
	  done; \
	  [ -x $(BIN)/pip ] || { echo 'SpotGuard needs Python 3.11 or newer with venv (or: make setup PYTHON=/path/to/python)' >&2; exit 1; }; \
	fi
	$(PIP) install --require-hashes -r requirements/runtime.txt
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): $(RUNTIME) requirements/dev.txt
	$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

# make demo PRICES='a.csv.gz b.csv.gz' ONDEMAND=c.csv.gz AGENTS=5 DAYS=30 SPEED=600 SEED=1 PORT=8001 HEADLESS=1 ARGS='--any --other'
demo: web  ## the whole system on a simulated cloud (PRICES= ONDEMAND= AGENTS= DAYS= SPEED= SEED= PORT= HEADLESS=1 ARGS=)
	$(BIN)/spotguard demo $(strip \
	  $(foreach file,$(PRICES),--prices '$(file)') $(if $(ONDEMAND),--ondemand '$(ONDEMAND)') \
	  $(if $(AGENTS),--agents $(AGENTS)) $(if $(DAYS),--days $(DAYS)) $(if $(SPEED),--speed $(SPEED)) \
	  $(if $(SEED),--seed $(SEED)) $(if $(PORT),--port $(PORT)) $(if $(filter-out 0,$(HEADLESS)),--headless) $(ARGS))

web: $(RUNTIME)  ## build the dashboard into the package; nothing to do when its inputs are the same
	@$(BIN)/python web/build.py

web-test: web  ## the dashboard's types, rules and components
	$(BIN)/python web/build.py --npm run --silent check

# one more than there are processors: tests wait now and then
PYTEST = $(BIN)/pytest -q -n $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )) --dist loadfile

test: $(DEV)  ## run the tests that take seconds (ARGS='-k lease')
	$(PYTEST) -m 'not long' $(ARGS)

test-long: $(DEV)  ## run the others: real hosts, MariaDB, whole tables, a little of each campaign
	$(PYTEST) -m long $(ARGS)

lint: $(DEV)  ## ruff: rules and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(DEV)  ## mypy, strict
	$(BIN)/mypy

imports: $(DEV)  ## the floors of the house
	$(BIN)/lint-imports --no-logo

check: lint types imports web-test test test-long  ## everything that CI runs

# The lab: the shipped processes on a simulated EC2 over HTTP. Each ends with one JSON object, and with 1 if it failed.
LAB = $(BIN)/python -m tests.lab

crash-matrix: $(DEV)  ## kill -9 at every effect of every step (ARGS='--sample 20 --kind volume --only NAME --labs 2')
	$(LAB) crash-matrix $(ARGS)

fault-matrix: $(DEV)  ## every error of EC2 at every call of every step, and answers that come late or never (ARGS=)
	$(LAB) fault-matrix $(ARGS)

move-campaign: $(DEV)  ## moves under a continuous writer: lost, doubled, downtime (MOVES=200 ARGS='--kind synced')
	$(LAB) move-campaign --moves $(or $(MOVES),200) $(ARGS)

idle-agent: $(DEV)  ## memory and CPU of an agent that has nothing to do (MINUTES=10)
	$(LAB) idle-agent --minutes $(or $(MINUTES),10)

primacy-pairs: $(DEV)  ## every pair of events at every place of docs/primacy.md, in the simulated world
	$(BIN)/python -m tests.primacy.pairs

planted-bugs: $(DEV)  ## plant every bug of the list and look who notices (ARGS='--only NAME --seeds 200 --workers 2')
	$(BIN)/python -m tests.planted $(ARGS)

storm: $(DEV)  ## 200 workloads of one zone are interrupted at one instant (ARGS='--agents 200 --bystanders 40')
	$(BIN)/python -m tests.storm $(ARGS)

engine-tables: $(DEV)  ## the tables of docs/engine.md anew, about 10 CPU minutes (DATA= ARGS=--full: all windows, hours)
	$(BIN)/python -m spotguard.bench.engine_tables $(or $(DATA),../shared/data) $(ARGS)

# The browser is the machine's own Chromium (/usr/bin/chromium).
e2e: $(DEV) web  ## browser stories, axe on every page, figures as JSON (ARGS='--only figures --agents 10000')
	$(BIN)/python -m tests.e2e $(ARGS)

soak-ui: $(DEV) web  ## the figures with an hour of live updates
	$(BIN)/python -m tests.e2e --only figures --live-minutes 60 $(ARGS)

screenshots: $(DEV) web  ## each page, light and dark, into docs/screenshots
	$(BIN)/python -m tests.e2e --shots docs/screenshots

fmt: $(DEV)  ## put the sources in order
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format

lock: $(DEV)  ## re-lock requirements/ from pyproject.toml, keeping the pins that still fit
	$(COMPILE) $(UPGRADE) pyproject.toml --group build -o requirements/runtime.txt
	$(COMPILE) $(UPGRADE) --group dev -c requirements/runtime.txt -o requirements/dev.txt

upgrade: UPGRADE := --upgrade
upgrade: lock  ## re-lock with the newest versions

clean:  ## remove everything that make made
	rm -rf $(VENV) build dist web/node_modules web/src/api/schema.d.ts src/spotguard/api/built .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
