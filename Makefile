# Everything a person does with this repository. `make` alone lists it.

SHELL := /bin/bash
PYTHON ?= /usr/bin/python3
BIN := .venv/bin
PIP := $(BIN)/pip -q --disable-pip-version-check
QUIETLY := tools/quietly
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
ARGS ?=

FAST := $(wildcard rhp/_fast/*.pyx rhp/_fast/*.pxd rhp/_fast/include/*)

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint interop bench wheel clean
.DELETE_ON_ERROR:

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

setup: build/.extension ## Install packages, make .venv, build the extension (again only where something changed)

# The set-up speaks on standard error, a line per step: standard output belongs to what was asked for.
build/.packages: tools/install-packages
	@mkdir -p build
	@$(QUIETLY) "Installing packages" $(SUDO) tools/install-packages
	@touch $@

.venv/.installed: pyproject.toml setup.py | build/.packages
	@test -x $(BIN)/python || $(QUIETLY) "Making a virtual environment" $(PYTHON) -m venv .venv
	@$(QUIETLY) "Installing Python packages" env RHP_EXTENSIONS=none $(PIP) install -e '.[dev]'
	@touch $@

build/.extension: $(FAST) .venv/.installed
	@$(QUIETLY) "Building the packet path" $(BIN)/python setup.py build_ext --inplace --parallel $$(nproc)
	@touch $@

demo: setup ## Show two nodes and a strongSwan at work (ARGS='-o json' for one JSON object)
	@$(SUDO) $(BIN)/rhp demo $(ARGS)

test: setup ## Run every test (ARGS are pytest's)
	$(SUDO) $(BIN)/python -m pytest $(ARGS)

lint: setup ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PATH=$(CURDIR)/$(BIN):$$PATH cython-lint rhp/_fast bench/micro

interop: setup ## Run the strongSwan matrix, print it and write docs/interop.md
	$(SUDO) env RHP_INTEROP_TABLE=docs/interop.md $(BIN)/python -m pytest -q tests/interop $(ARGS)

bench: setup ## Measure speed against other programs in the same run (minutes)
	$(BIN)/python -m bench.micro
	$(BIN)/python -m bench.engine
	$(SUDO) $(BIN)/python -m bench.netns

wheel: setup ## Build a wheel into wheels/out
	@$(QUIETLY) "Building a wheel" $(PIP) wheel --no-deps -w wheels/out .
	@ls wheels/out

clean: ## Remove what was built (.venv and the packages stay)
	rm -rf build dist wheels/out bench/out .pytest_cache .mypy_cache .ruff_cache .hypothesis rhp/_fast/*.so bench/micro/*.so *.egg-info
	find rhp tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
