# Leima. `make demo` shows the whole product; `make test` proves it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?=
export PYTHON
BIN := .venv/bin

.PHONY: help setup setup-dev demo demo-reset tour test soak lint format bench lock migration messages screenshots clean

help: ## Show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: setup ## Set everything up and start the whole product with a seeded shop
	@$(BIN)/leima demo

demo-reset: setup ## The same, with an empty data folder
	@$(BIN)/leima demo --reset

tour: setup ## Walk the main job end to end like a customer and a cashier
	@$(BIN)/leima demo --tour

test: setup-dev chromium ## Set everything up and run every test
	@$(BIN)/python -m pytest -n 4 --dist worksteal $(ARGS)

soak: setup-dev ## Kill everything again and again under load: make soak ARGS="--stamps 5000 --kills 100 --seed 7"
	@$(BIN)/python -m tests.soak.delivery $(ARGS)
	@$(BIN)/python -m tests.soak.sms
	@$(BIN)/python -m tests.soak.campaign --recipients 2000 --kills 10
	@$(BIN)/python -m tests.soak.programme

lint: setup-dev ## Ruff, mypy --strict, import directions, translations, README table
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python scripts/messages.py check

format: setup-dev ## Format the code and mend what ruff can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: setup-dev ## Run every benchmark and print its table
	@for file in $$(grep -l __main__ bench/*.py); do echo "== $$file"; $(BIN)/python $$file || exit 1; done

migration: setup-dev ## Write a migration from changed models: make migration MESSAGE="what it is for"
	@$(BIN)/python scripts/migration.py "$(MESSAGE)"

messages: setup-dev ## Collect strings for translation into app/translations/*.po
	@$(BIN)/python scripts/messages.py update

screenshots: setup-dev chromium ## Take the pictures that README shows
	@$(BIN)/python scripts/screenshots.py

lock: setup-dev ## Pin the newest versions of what the requirements*.in files name
	@for name in requirements requirements-dev requirements-build; do \
	  $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    --quiet --upgrade $$name.in -o $$name.lock || exit 1; done

clean: ## Remove the virtual environment and caches (data in var/ stays)
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis .import_linter_cache test-output

.PHONY: chromium
setup:
	@scripts/setup.sh
setup-dev:
	@scripts/setup.sh dev
chromium:
	@scripts/install-chromium.sh
