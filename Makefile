# Everything a person does with this repository. `make` alone lists it.

SHELL := /bin/bash
PYTHON ?= /usr/bin/python3
BIN := .venv/bin
PIP := $(BIN)/pip -q --disable-pip-version-check
QUIETLY := tools/quietly
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
ARGS ?=
SECONDS ?= 300
ROUNDS ?= 50

FAST := $(wildcard rhp/_fast/*.pyx rhp/_fast/*.pxd rhp/_fast/*.pxi rhp/_fast/include/*)

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint docs interop asan tsan fuzz model faults bench wheel clean
.DELETE_ON_ERROR:

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

setup: build/.extension ## Install packages, make .venv, build the extension (again only where something changed)

# The set-up speaks on standard error, a line per step: standard output belongs to what was asked for.
build/.packages: tools/install-packages tools/make-users rhp/data/sysusers.conf
	@mkdir -p build
	@$(QUIETLY) "Installing packages" $(SUDO) tools/install-packages
	@$(QUIETLY) "Making users" $(SUDO) tools/make-users
	@touch $@

.venv/.installed: pyproject.toml setup.py | build/.packages
	@test -x $(BIN)/python || $(QUIETLY) "Making a virtual environment" $(PYTHON) -m venv .venv
	@$(QUIETLY) "Installing Python packages" env RHP_EXTENSIONS=none $(PIP) install -e '.[dev]'
	@touch $@

build/.extension: $(FAST) .venv/.installed
	@$(QUIETLY) "Building the packet path" $(BIN)/python setup.py build_ext --inplace
	@touch $@

demo: setup ## Show two nodes and a strongSwan at work (ARGS='-o json' for one JSON object)
	@$(SUDO) $(BIN)/rhp demo $(ARGS)

test: setup build/strongswan/charon ## Run every test (ARGS are pytest's)
	$(SUDO) tools/run-tests $(ARGS)

lint: setup ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PATH=$(CURDIR)/$(BIN):$$PATH cython-lint rhp/_fast bench/micro tests/sanitize

docs: setup ## Write the tables of docs/configuration.md and the man pages anew from model, texts and --help
	$(BIN)/python -m rhp.manual

asan: setup ## Run the packet path's tests under AddressSanitizer (ARGS are pytest's)
	$(SUDO) $(BIN)/python tests/sanitize/watch.py asan $(ARGS)

tsan: setup ## Run the lanes' tests under ThreadSanitizer (ARGS are pytest's)
	$(SUDO) $(BIN)/python tests/sanitize/watch.py tsan $(ARGS)

fuzz: setup ## Feed the packet path with libFuzzer's inputs for SECONDS=300 in all
	$(BIN)/python tests/sanitize/fuzz.py --seconds $(SECONDS) $(ARGS)

model: setup ## Live random lives of two engines for SECONDS=300, and check that they always come to rest
	$(BIN)/python tests/model/run.py --seconds $(SECONDS) $(ARGS)

faults: setup ## Kill processes, links and the disk under traffic, ROUNDS=50 times (ARGS='--seed 7' repeats a run)
	$(SUDO) $(BIN)/python tests/faults/rounds.py --rounds $(ROUNDS) $(ARGS)

interop: setup build/strongswan/charon ## Run all against two strongSwans, print the tables and write docs/interop.md
	$(SUDO) env RHP_INTEROP_TABLE=docs/interop.md $(BIN)/python -m pytest -q tests/interop $(ARGS)

# The newest strongSwan is a peer in the tests, beside the installed one; it is fetched, not installed.
build/strongswan/charon: tools/fetch-strongswan tools/fetch-testing | build/.packages
	@$(QUIETLY) "Fetching the newest strongSwan" tools/fetch-strongswan $(@D)

# wireguard-go's newest release is in no stable Debian; it is fetched, not installed, and only to be measured.
build/wireguard-go/wireguard-go: tools/fetch-wireguard-go tools/fetch-testing
	@$(QUIETLY) "Fetching the newest wireguard-go" tools/fetch-wireguard-go $(@D)

build/wheel/bin/rhp: $(FAST) $(shell find rhp -name '*.py') $(wildcard wheels/*) pyproject.toml setup.py | build/.extension
	@$(QUIETLY) "Building the wheel that is measured" env PYTHON=$(PYTHON) wheels/build

bench: setup build/wheel/bin/rhp build/wireguard-go/wireguard-go ## Measure speed against other programs in the same run (25 minutes; ARGS are netns's)
	@$(QUIETLY) "Compiling the timing loops" $(BIN)/python -m bench.micro.build
	@$(QUIETLY) "Compiling them for the wheel" env RHP_OPENSSL=static $(BIN)/python -m bench.micro.build
	$(BIN)/python -m bench.micro
	bench/in-wheel bench.micro
	$(SUDO) $(BIN)/python -m bench.engine
	$(SUDO) $(BIN)/python -m bench.flood
	$(SUDO) $(BIN)/python -m bench.path
	$(SUDO) bench/in-wheel bench.path
	$(SUDO) $(BIN)/python -m bench.netns $(ARGS); status=$$?; $(BIN)/python -m bench.targets && exit $$status

wheel: setup ## Build a wheel with its own OpenSSL into wheels/out, install it afresh and run the demo from it
	@$(QUIETLY) "Building a wheel" env PYTHON=$(PYTHON) wheels/build
	@cd / && $(CURDIR)/$(QUIETLY) "Running the demo from it" $(SUDO) $(CURDIR)/build/wheel/bin/rhp demo
	@ls wheels/out/*.whl

clean: ## Remove what was built (.venv and the packages stay)
	rm -rf build dist wheels/out bench/out .pytest_cache .mypy_cache .ruff_cache .hypothesis rhp/_fast/*.so *.egg-info
	find rhp tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
