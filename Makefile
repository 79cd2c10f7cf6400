# `make` uses the active virtual environment, else makes .venv.
VENV := $(if $(VIRTUAL_ENV),$(VIRTUAL_ENV),.venv)
PYTHON := $(VENV)/bin/python
# Named apart, so that a CPU build of the same version can take its place.
TORCH ?= torch==2.13.0
BACKENDS ?= tensorflow jax torch
INFERENCE_BACKENDS ?= numpy openvino
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: help quickstart test check format clean

help:
	@echo "make quickstart  install, fine-tune the bundled sample, export, compare"
	@echo "make test        install what tests need, run the suite on each backend"
	@echo "make check       format, lint, types"
	@echo "make clean       remove what the other targets made"

$(PYTHON):
	python3 -m venv $(VENV)

$(VENV)/.installed-run: $(PYTHON) pyproject.toml
	$(PYTHON) -m pip install --quiet -e ".[export]"
	touch $@

$(VENV)/.installed-test: $(PYTHON) pyproject.toml
	$(PYTHON) -m pip install --quiet $(TORCH)
	$(PYTHON) -m pip install --quiet -e ".[test]"
	$(PYTHON) -m pip check
	touch $@

quickstart: $(VENV)/.installed-run
	$(PYTHON) -m keras_albert quickstart

# Two at a time: each keeps one core busy. The output of each comes when it is
# done. What does not depend on the backend is a part of its own.
test: $(VENV)/.installed-test
	$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-once \
		$(addprefix test-,$(BACKENDS) $(INFERENCE_BACKENDS))

test-once: $(VENV)/.installed-test
	@echo "== whatever the backend"
	KERAS_BACKEND=tensorflow $(PYTHON) -m pytest -m once

test-%: $(VENV)/.installed-test
	@echo "== $*"
	KERAS_BACKEND=$* $(PYTHON) -m pytest -m "not once"

check: $(VENV)/.installed-test
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy

format: $(VENV)/.installed-test
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

clean:
	rm -rf .venv build dist runs *.egg-info .mypy_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
