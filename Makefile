# Everything a person does with this repository. `make` alone lists it.

SHELL := /bin/bash
PYTHON ?= /usr/bin/python3
BIN := .venv/bin
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
ARGS ?=

FAST := $(wildcard rhp/_fast/*.pyx rhp/_fast/*.pxd rhp/_fast/include/*)

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint interop bench wheel clean
.DELETE_ON_ERROR:

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

setup: build/.extension ## Install packages, make .venv, build the extension (again only where something changed)

# What the set-up has to say goes to standard error: standard output belongs to what was asked for.
build/.packages: tools/install-packages
	@mkdir -p build
	@$(SUDO) tools/install-packages >&2
	@touch $@

.venv/.installed: pyproject.toml setup.py | build/.packages
	@echo "Making .venv" >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv >&2
	@RHP_EXTENSIONS=none $(BIN)/pip install -q --disable-pip-version-check -e '.[dev]' >&2
	@touch $@

build/.extension: $(FAST) .venv/.installed
	@echo "Building the extension" >&2
	@$(BIN)/python setup.py -q build_ext --inplace --parallel $$(nproc) >&2
	@touch $@

demo: setup ## Show two nodes and a strongSwan at work (ARGS='-o json' for one JSON object)
	@$(SUDO) $(BIN)/rhp demo $(ARGS)

test: setup ## Run every test (ARGS are pytest's)
	$(SUDO) $(BIN)/python -m pytest $(ARGS)

lint: setup ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/cython-lint rhp/_fast bench/micro

interop: setup ## Run the strongSwan matrix, print it and write docs/interop.md
	$(SUDO) env RHP_INTEROP_TABLE=docs/interop.md $(BIN)/python -m pytest -q tests/interop $(ARGS)

bench: setup ## Measure speed against other programs in the same run (minutes)
	$(BIN)/python -m bench.micro
	$(BIN)/python -m bench.engine
	$(SUDO) $(BIN)/python -m bench.netns
	$(BIN)/python -m bench.compare

wheel: setup ## Build a wheel into wheels/out
	$(BIN)/pip wheel -q --disable-pip-version-check --no-deps -w wheels/out .
	@ls wheels/out

clean: ## Remove what was built (.venv and the packages stay)
	rm -rf build dist wheels/out bench/out .pytest_cache .mypy_cache .ruff_cache .hypothesis rhp/_fast/*.so bench/micro/*.so *.egg-info
	find rhp tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
