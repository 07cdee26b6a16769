# The developer's commands; `make help` lists them. They need python3 (3.11 or later), git and make.
#
# VENV=dir and PYTHON=path choose where to install and with what. The environment goes through to
# loopctl: `FAULT=exit-3 make run`. make itself exits with 2 whatever code a command ended in; it
# prints that code ("Error 5"). Scripts that need it call `.venv/bin/loopctl run golden-path`.

VENV ?= .venv
PYTHON ?=
SHELL := /bin/sh
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
INPUTS := pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test test-all check bench docs site constraints clean engines engines-down browser github-api

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-20s %s\n", $$1, $$2}'

run: $(VENV)/.for-run ## install, then take examples/chat to proven green (FAULT=exit-3 make run breaks it)
	@$(BIN)/loopctl run golden-path

# One more than there are cores on the smallest machine: the tests wait a third of their time.
test: $(VENV)/.for-development ## one witness of each promise; what `make test-all` adds is kills at every event, and the rest
	@$(BIN)/python -m pytest -q -n 3 --dist worksteal -m "not slow"

test-all: check ## `make check`, and every test
	@LOOPCTL_TEST_PROFILE=long $(BIN)/python -m pytest -q -n 2 --dist worksteal

check: $(VENV)/.for-development ## lint, formatting, types, import contract
	@echo "ruff check";  $(BIN)/ruff check --quiet .
	@echo "ruff format"; $(BIN)/ruff format --check --quiet . || { echo "to mend: $(BIN)/ruff format ."; exit 1; }
	@echo "mypy";        $(BIN)/mypy --no-error-summary
	@echo "imports";     $(BIN)/lint-imports --no-cache > $(VENV)/imports.log || { cat $(VENV)/imports.log; exit 1; }
	@echo "all checks passed"

bench: $(VENV)/.for-development ## what loopctl costs, each row beside its alternative; about ten minutes
	@$(BIN)/python -m bench

engines: $(VENV)/.for-run ## a Docker engine, a registry and a base image for tests, where this machine has none (as root)
	@PYTHON="$$(sh tools/find-python $(PYTHON))" && \
	  LOOPCTL_BASE_PACKAGES="$$($(BIN)/python -c 'import h11; print(h11.__path__[0] + "/..")')" \
	  PYTHONPATH=tools "$$PYTHON" -B -m engines up

engines-down: ## end and remove what `make engines` started or made; nothing else
	@PYTHON="$$(sh tools/find-python $(PYTHON))" && PYTHONPATH=tools "$$PYTHON" -B -m engines down

browser: ## chromium for the tests that look at report.html, where this machine has none (as root)
	@sh tools/browser

github-api: ## GitHub's API description, which tests hold every request against (by npm, into a cache)
	@PYTHON="$$(sh tools/find-python $(PYTHON))" && PYTHONPATH=tools "$$PYTHON" -B -m github_api

docs: $(VENV)/.for-run ## write the generated parts of docs/ again
	@PYTHONPATH=tools $(BIN)/python -m pages

site: $(VENV)/.for-development ## build docs/ into build/site, strictly and without a network; open build/site/index.html
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

constraints: ## resolve every dependency afresh and write constraints.txt
	@PYTHON="$$(sh tools/find-python $(PYTHON))" && sh tools/write-constraints "$$PYTHON"

clean: ## remove what these commands made; runs in .loopctl/ stay
	@rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# python is asked for by its file, so that a link that leads nowhere any more is made again.
$(BIN)/python:
	@PYTHON="$$(sh tools/find-python $(PYTHON))" && sh tools/make-venv "$$PYTHON" $(VENV)

# All is compiled once: where PYTHONDONTWRITEBYTECODE is set, each process would do it for itself.
$(VENV)/.for-run: $(INPUTS) | $(BIN)/python
	@echo "installing loopctl into $(VENV): about a minute, once"
	@$(PIP) install --constraint constraints.txt hatchling
	@$(PIP) install --constraint constraints.txt --no-build-isolation --editable '.[example]'
	@$(BIN)/python -m compileall -q src
	@touch $@

$(VENV)/.for-development: $(INPUTS) $(VENV)/.for-run
	@echo "installing the developer's tools into $(VENV)"
	@$(PIP) install --constraint constraints.txt --no-build-isolation --editable '.[dev]'
	@$(BIN)/python -m compileall -q tests examples tools
	@touch $@
