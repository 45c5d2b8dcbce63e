# On a fresh machine with Python >= 3.11 and make: `make demo`, `make test`, `make test-long`,
# `make docs`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
READY := $(VENV)/.ready
READY_FOR_DOCS := $(VENV)/.ready-for-docs
LONG := long

.PHONY: demo test test-long test-browser peers lint bench docs clean

demo: $(READY)
	$(BIN)/labkit run autopilot --station virtual --seed 11 --out demo-output

test: $(READY)
	$(BIN)/pytest -n 2 --dist worksteal -q -m "not long and not browser"

# Whole runs of the virtual lab: faults, red team, dry runs, examples of the documentation.
test-long: $(READY)
	$(BIN)/pytest -n 2 --dist worksteal -q -m "$(LONG)"

# The live page in Chromium, which must be on PATH.
test-browser: $(READY)
	$(BIN)/pytest -q -m browser

# Others' clients on the simulated bench, in an environment of their own: they bring much along.
peers: .venv-peers/.ready
	.venv-peers/bin/pytest -q -W ignore tests/peers

.venv-peers/.ready: pyproject.toml constraints.txt
	$(MAKE) .venv-peers/.base VENV=.venv-peers READY=.venv-peers/.base
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group peers
	touch $@

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python -m benchmarks

docs: $(READY_FOR_DOCS)
	rm -rf docs/api/generated
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs docs/_build/html
	@echo "docs/_build/html/index.html"

clean:
	rm -rf $(VENV) .venv-3.* .venv-peers demo-output docs/_build docs/api/generated .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) 'pip>=25.1' # knows dependency groups
	$(PIP) -e . --group dev
	$(BIN)/python -m compileall -q analysis instruments labkit simulation
	$(BIN)/labkit doctor --compile > /dev/null # what the first run would wait for
	touch $@

$(READY_FOR_DOCS): $(READY)
	$(PIP) --group docs
	touch $@
