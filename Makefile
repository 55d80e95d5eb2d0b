# make demo: a fresh machine to two evaluated models.  make test: linter, types and the whole suite.
PYTHON ?= python3
BIN := .venv/bin

# never two installs into one .venv at a time
.NOTPARALLEL:
.PHONY: demo test fast lint format simd no-simd

demo: .venv/installed
	PATH="$(CURDIR)/$(BIN):$$PATH" bash scripts/demo.sh

test: .venv/installed-dev
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy & types=$$!; $(BIN)/pytest -n 4 --durations 20; status=$$?; wait $$types && exit $$status

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

.venv/installed .venv/installed-dev: pyproject.toml
	test -x $(BIN)/pip || { $(PYTHON) -c 'import ensurepip, sys; sys.version_info >= (3, 11) or \
		sys.exit("needs Python 3.11 or newer: make PYTHON=python3.12")' && $(PYTHON) -m venv .venv; }
	$(BIN)/pip install --quiet --editable '.$(if $(findstring dev,$@),[dev])'
	touch $@
