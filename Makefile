# Everything a user or a developer calls. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
VENV55 ?= .venv-hub-5.5
ARGS ?=
PYTEST_ARGS ?=

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# --- environments -----------------------------------------------------------
# Hash-locked; a stamp holds each environment to its lock file. $(1) folder, $(2) lock.
define install
	test -x $(1)/bin/python || { $(PYTHON) tools/check_python.py && $(PYTHON) -m venv $(1); }
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	$(1)/bin/uv pip install --quiet --python $(1)/bin/python --require-hashes -r $(2)
	$(1)/bin/uv pip install --quiet --python $(1)/bin/python --no-deps --no-build-isolation --editable .
endef

$(VENV)/.facility: requirements/bootstrap.txt requirements/facility.txt pyproject.toml
	@echo "[1/2] Python environment in $(VENV)"
	$(call install,$(VENV),requirements/facility.txt)
	@touch $@

$(VENV)/.dev: $(VENV)/.facility requirements/dev.txt
	@echo "Tools for developers in $(VENV)"
	$(call install,$(VENV),requirements/dev.txt)
	@touch $@

$(VENV55)/.installed: requirements/bootstrap.txt requirements/hub-5.5.txt pyproject.toml
	@echo "JupyterHub 5.5 in $(VENV55)"
	$(call install,$(VENV55),requirements/hub-5.5.txt)
	@touch $@

# --- use --------------------------------------------------------------------
.PHONY: setup
setup: $(VENV)/.facility ## Prepare this machine: environment, front end, proxy
	@echo "[2/2] Front end and proxy"
	@$(BIN)/analysis-facility setup

.PHONY: run
run: $(VENV)/.facility ## Start a facility on this machine; options by ARGS="…"
	@$(BIN)/analysis-facility run $(ARGS)
