# Needs only make and Python >= 3.11; every target does its own set-up in $(VENV).
#
#   make demo     solve the bundled crystals and compare with the truth
#   make test     run the tests
#   make lint     style, formatting, types and the order of imports
#   make venv     only the set-up, with the development tools
#   make clean    remove the set-up and everything generated
#
# PYTHON=python3.12   use this interpreter
# PIP_FLAGS=...       further options for pip, such as --index-url or --find-links
# CONSTRAINTS=...     pin versions by this file, such as constraints-lowest.txt
# PYTEST_FLAGS=...    further options for pytest, such as --run-slow, -k NAME or -n 0 (one process)

VENV ?= .venv
PYTHON ?=
CONSTRAINTS ?= constraints.txt
PIP_FLAGS ?=
PYTEST_FLAGS ?=
DEMO ?= demo

PYTHONS := $(PYTHON) $(if $(PYTHON),,python3 python python3.14 python3.13 python3.12 python3.11)
bin := $(VENV)/bin
run_ready := $(VENV)/.ready-run
dev_ready := $(VENV)/.ready-dev
install := $(bin)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -c $(CONSTRAINTS)

.PHONY: demo test lint venv clean

demo: $(run_ready)
	$(bin)/crysformer demo --overwrite -o $(DEMO)

lint: $(dev_ready)
	$(bin)/ruff check
	$(bin)/ruff format --check
	$(bin)/mypy
	$(bin)/lint-imports

test: $(dev_ready)
	OMP_NUM_THREADS=1 $(bin)/python -m pytest -n auto --dist loadfile $(PYTEST_FLAGS)

venv: $(dev_ready)

clean:
	rm -rf $(VENV) $(DEMO) build dist .mypy_cache .ruff_cache .import_linter_cache .pytest_cache .hypothesis
	find src tests -name __pycache__ -prune -exec rm -rf {} +
	rm -rf src/*.egg-info

$(bin)/python:
	@for python in $(PYTHONS); do \
	    "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	    echo "setting up $(VENV) with $$("$$python" --version)"; \
	    "$$python" -m venv $(VENV) && exit 0; \
	    rm -rf $(VENV); \
	    echo "$$python cannot make virtual environments; on Debian: apt install python3-venv" >&2; \
	    exit 1; \
	done; \
	echo "no Python >= 3.11 among: $(PYTHONS); install one, or name it with PYTHON=..." >&2; exit 1

$(run_ready): pyproject.toml $(CONSTRAINTS) | $(bin)/python
	@echo "installing crysformer and what it needs (PyTorch is large: some minutes the first time)"
	$(install) -e .
	@touch $@

$(dev_ready): pyproject.toml $(CONSTRAINTS) | $(bin)/python
	@echo "installing crysformer with the development tools (some minutes the first time)"
	$(install) -e '.[dev]'
	@touch $@ $(run_ready)
