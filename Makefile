# make run   measure the embedded pair, predict, compare, open the dashboard (APP=0: no dashboard)
# make test  lint, types, documentation, tests
# make docs  the documentation as a site, in build/site
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= runs
APP ?= 1

.PHONY: run test setup lint types docs bench screenshots clean
.DEFAULT_GOAL := run

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -c constraints.txt torch
	$(BIN)/pip install --quiet -c constraints.txt -e '.[all,dev,docs]'
	touch $@

run: setup
	$(BIN)/speculens profile --out $(OUT)
	$(BIN)/speculens predict --out $(OUT)
	$(BIN)/speculens validate --out $(OUT) --report $(OUT)/report.html
	@if [ "$(APP)" != "0" ]; then $(BIN)/speculens app --data $(OUT); fi

test: setup lint types docs
	$(BIN)/pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --site-dir build/site

bench: setup
	$(BIN)/speculens bench

screenshots: setup
	$(BIN)/python tests/browser/screenshots.py screenshots

clean:
	rm -rf runs screenshots .pytest_cache .mypy_cache .ruff_cache
