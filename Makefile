# make run    everything from a bare machine to a live picture        (make run ARGS="--style neon")
# make test   the whole test suite; names what it skipped and why
# make lint   formatting, lint, types, import layers
# make bench  speed of this machine, one JSON line at the end
PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test lint format bench audit clean

run: $(VENV)/.installed
	@exec $(BIN)/phosphene run $(ARGS)

test: $(VENV)/.installed-dev
ifeq ($(ARGS),)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -q tests/unit -m "not slow"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -q tests/unit -m slow
	@$(BIN)/python -m pytest --durations=15 tests/process tests/gpu tests/e2e
else
	@$(BIN)/python -m pytest $(ARGS)
endif

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed
	@$(BIN)/phosphene bench $(ARGS)

audit: $(VENV)/.installed-dev
	$(BIN)/pip install --quiet pip-audit
	$(BIN)/pip-audit

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@PYTHON=$(PYTHON) sh .ci/environment $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing phosphene (PyTorch is large; the first time takes minutes)"
	@$(BIN)/python -m pip install --disable-pip-version-check -q --progress-bar on -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(BIN)/python -m pip install --disable-pip-version-check -q --progress-bar on -c constraints.txt -e '.[dev]'
	@# the original, for the tests that compare with it (its own requirements pin an old world), and the hotkeys of other
	@# systems (on Linux its requirements want a compiler)
	@$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps streamdiffusion==0.1.1 pynput==1.8.2
	@touch $@
