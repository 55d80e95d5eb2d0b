# make demo: a fresh machine to two evaluated models.  make test: linter, types and the whole suite.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test fast lint format simd no-simd

demo: .venv/installed
	PATH="$(CURDIR)/$(BIN):$$PATH" bash scripts/demo.sh

test: lint
	$(BIN)/pytest -n 4 --durations 20

fast: .venv/installed-dev
	$(BIN)/pytest -m "not slow and not real and not slurm"

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

simd: .venv/installed
	bash scripts/simd.sh on $(BIN)/python

no-simd: .venv/installed
	bash scripts/simd.sh off $(BIN)/python

.venv/installed: pyproject.toml
	$(PYTHON) -c 'import ensurepip, sys; sys.version_info >= (3, 11) or sys.exit("needs Python 3.11: make PYTHON=python3.12")'
	test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/installed-dev: pyproject.toml .venv/installed
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@
