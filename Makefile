# `make demo` and `make test` work on a fresh machine: each makes the virtual environment it needs.
PYTHON ?= python3
VENV ?= .venv
PIP_ARGS ?=
BIN := $(VENV)/bin

.PHONY: demo test test-all check clean

demo: $(VENV)/.demo
	$(BIN)/python cookbook/demo.py

test: $(VENV)/.dev
	$(BIN)/python -m pytest --cov --cov-report=term --cov-fail-under=90

test-all: $(VENV)/.dev
	$(BIN)/python -m pytest -m "slow or not slow"

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build dist *.egg-info demo.html demo.library

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install $(PIP_ARGS) -c constraints.txt -e ".[mini]" scikit-image
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install $(PIP_ARGS) -c constraints.txt -e ".[mini,clip,dev]"
	touch $@
