# `make demo` and `make test` are each the only command a fresh machine needs: they make a virtual
# environment inside the checkout, install into it, and do their job. Nothing outside the checkout
# is written. Another interpreter: `make test PYTHON=python3.12`.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
# Files of tests that run beside each other, with one thread of arithmetic each.
WORKERS ?= 2
ROOT := $(CURDIR)
BUILD := $(ROOT)/.build
PYVER := $(shell "$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
VENV := $(ROOT)/.venv-$(PYVER)
BIN := $(VENV)/bin

# Every tool keeps its temporary files and caches under .build/.
export TMPDIR := $(BUILD)/tmp
export XDG_CACHE_HOME := $(BUILD)/cache
export XDG_CONFIG_HOME := $(if $(XDG_CONFIG_HOME),$(XDG_CONFIG_HOME),$(HOME)/.config)
export PIP_NO_CACHE_DIR := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONNOUSERSITE := 1
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

# Once installed, programs get a home of their own too (the installer needs the user's, for the
# settings of pip alone).
ISOLATED := env HOME="$(BUILD)/home" XDG_CONFIG_HOME="$(BUILD)/home/.config" \
	XDG_DATA_HOME="$(BUILD)/home/.local/share" MPLCONFIGDIR="$(BUILD)/cache/matplotlib" \
	MPLBACKEND=Agg PATH="$(BIN):$$PATH"

.PHONY: help demo test lint bench install install-dev clean folders python

help:
	@echo "make demo    paint a scene, embed it, cluster it, and leave a map in demo-out/"
	@echo "make test    linters, types, floors, tests and coverage"
	@echo "make lint    the linters alone"
	@echo "make bench   the benchmark suite (BENCH_ARGS=--quick: under three minutes)"
	@echo "make clean   remove the environments and everything made here"

demo: install
	$(ISOLATED) terrapatch demo -o demo-out --overwrite

test: lint
	$(ISOLATED) OMP_NUM_THREADS=1 python -m pytest -n $(WORKERS) --dist loadfile \
		--no-loadscope-reorder --cov --cov-report=term-missing $(PYTEST_ARGS)

lint: install-dev
	$(ISOLATED) ruff check .
	$(ISOLATED) ruff format --check .
	$(ISOLATED) mypy
	$(ISOLATED) lint-imports

bench: install-dev
	$(ISOLATED) python benchmarks/bench.py $(BENCH_ARGS)

install: $(VENV)/.installed

install-dev: $(VENV)/.installed-dev

# Both stamps belong to one environment: the second installs only what the first did not. An
# environment whose making was interrupted is made again.
$(VENV)/.installed: pyproject.toml constraints.txt | python folders
	"$(BIN)/python" -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear "$(VENV)"
	@echo "Installing Terrapatch into $(notdir $(VENV)) (about 7 GB with torch; some minutes) ..."
	"$(BIN)/python" -m pip install -qq -c constraints.txt -e .
	touch "$@"

$(VENV)/.installed-dev: pyproject.toml constraints.txt | python folders
	"$(BIN)/python" -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear "$(VENV)"
	@echo "Installing Terrapatch and what its tests need into $(notdir $(VENV)) ..."
	"$(BIN)/python" -m pip install -qq -c constraints.txt -e ".[dev,notebooks]"
	touch "$(VENV)/.installed" "$@"

python:
	@if ! "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		echo "Terrapatch needs Python 3.11 or newer, and '$(PYTHON)' is $(or $(PYVER),not there);" \
			"name one that is: make PYTHON=/path/to/python3.12" >&2; \
		exit 1; \
	fi
	@if ! "$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "'$(PYTHON)' cannot make a virtual environment; install its venv module" \
			"(Debian and Ubuntu: apt-get install python3-venv)" >&2; \
		exit 1; \
	fi

folders:
	@mkdir -p "$(BUILD)/tmp" "$(BUILD)/cache" "$(BUILD)/home"

clean:
	rm -rf .venv-3.* .build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	rm -rf demo-out bench-out .coverage build dist
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
