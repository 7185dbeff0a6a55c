# Everything a person or CI needs; every target sets up what it needs first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install install-dev run demo test check format bench torture version \
	env-check test-openai test-anthropic test-gemini test-groq

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(VENV)/.installed ## Install everything to run qlite into .venv

install-dev: $(VENV)/.installed-dev

$(VENV)/.installed: requirements/base.txt pyproject.toml
	@.ci/venv $(PYTHON) $(VENV) requirements/base.txt
	@touch $@

$(VENV)/.installed-dev: requirements/dev.txt pyproject.toml
	@.ci/venv $(PYTHON) $(VENV) requirements/dev.txt
	@touch $@ $(VENV)/.installed

run: install ## Set up on the first start, then serve on 127.0.0.1:8080 (PORT, QLITE_BIND)
	@$(BIN)/qlite setup
	@exec $(BIN)/qlite serve $(ARGS)

demo: install ## Add two demo teams and 30 days of invented traffic
	@$(BIN)/qlite setup
	@$(BIN)/qlite demo

test: install-dev ## Run the tests (SQLite; DATABASE_URL=postgres://... for PostgreSQL; ARGS="tests/x" for some)
ifeq ($(ARGS),)
	@# In the order of the folders: the long ones of the gateway come early, and many short ones fill up the end.
	@$(BIN)/python -m pytest -q --numprocesses auto --dist loadfile --no-loadscope-reorder -m "not alone"
	@$(BIN)/python -m pytest -q -m alone
else
	@$(BIN)/python -m pytest $(ARGS)
endif

check: install-dev ## Format, lint, types, missing migrations, Django's checks, architecture
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy .
	@$(BIN)/python manage.py makemigrations --check --dry-run
	@$(BIN)/python manage.py check --fail-level WARNING
	@$(BIN)/python -m pytest -q tests/test_architecture.py

format: install-dev ## Format and fix what can be fixed
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: install-dev ## Measure CPU, latency and memory beside a control; see loadtest/README.md
	@$(BIN)/python -m loadtest.bench $(ARGS)

torture: install-dev ## Prove that no money is lost under load: ARGS="--kills 50", "--leave 10000", "--away 30 --postgres"
	@$(BIN)/python -m loadtest.torture $(ARGS)

env-check: install ## Say which keys are set for the four targets below, and which of them can run
	@$(BIN)/python -m loadtest.realtest --env-check

test-openai: install ## Make a few real calls to OpenAI through a running gateway; costs money, see loadtest/README.md
	@QLITE_TEST_PROVIDER=openai $(BIN)/python -m loadtest.realtest

test-anthropic: install ## The same to Anthropic
	@QLITE_TEST_PROVIDER=anthropic $(BIN)/python -m loadtest.realtest

test-gemini: install ## The same to Gemini
	@QLITE_TEST_PROVIDER=gemini $(BIN)/python -m loadtest.realtest

test-groq: install ## The same to Groq
	@QLITE_TEST_PROVIDER=groq $(BIN)/python -m loadtest.realtest

version: install ## Print version, commit, build time, Python and Django version
	@$(BIN)/qlite about
