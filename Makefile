# Everyday commands of the local stack. Each makes first what it needs and is missing: Docker, .venv, pulumi, images.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup up preview refresh status maintain rescue-catalog demo down docker test unit e2e lint format docs bench bench-serving bench-report chaos chaos-failover fuzz fuzz-stack constraints

ENV = source ops/env.sh

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## make this machine ready: Docker, Python packages, pulumi, images, the stack
	@ops/setup.sh

docker: ## install and start Docker Engine
	@ops/setup.sh docker

up: setup ## bring the dev stack up, and say how to query it
	@$(ENV); pulumi up --yes --skip-preview --suppress-progress --stack "$$PULUMI_STACK"; python -m ops.hints

preview: setup ## show what `make up` would change
	@$(ENV); pulumi preview --diff --stack "$$PULUMI_STACK"

refresh: setup ## compare the state with what runs
	@$(ENV); pulumi refresh --yes --skip-preview --stack "$$PULUMI_STACK"

status: setup ## the running parts as a table
	@$(ENV); python -m ops.status

rescue-catalog: setup ## give a writer whose catalog is damaged a sound one (RESCUE="--from reader-1 --to writer-0")
	@$(ENV); python -m ops.rescue_catalog $(RESCUE)

maintain: setup ## look after every table now: checkpoints, compaction, and what no kept version needs
	@$(ENV); python -m ops.maintain

demo: setup ## load a weather data set, query it through the readers
	@$(ENV); python -m ops.demo

down: setup ## remove the dev stack (its data too, unless retainData is set)
	@$(ENV); pulumi destroy --yes --skip-preview --suppress-progress --stack "$$PULUMI_STACK"

unit: ## tests that need nothing but Python (seconds)
	@ops/setup.sh python
	@.venv/bin/python -m pytest tests/unit --numprocesses 2

e2e: setup ## tests with the real engine and real containers (minutes)
	@$(ENV); python -m pytest tests/e2e -m "not alone" --numprocesses 2 --dist loadfile
	@$(ENV); python -m pytest tests/e2e -m alone

bench: setup ## this project beside a Compose file, and what the engine takes (half an hour; BENCH="--short", "--topic reads", …)
	@ops/setup.sh wrk compose
	@$(ENV); python -m bench.compare $(BENCH)

bench-serving: ## the serving path alone: reads at full speed, and NGINX's memory (5 minutes)
	@$(MAKE) --no-print-directory bench BENCH="--topic memory --topic reads $(BENCH)"

bench-report: ## write the kept results of `make bench` into docs/benchmarks.md, with plots
	@ops/setup.sh python
	@.venv/bin/python -m bench.report

chaos: setup ## one fault after another under load: the table of docs/reliability.md (CHAOS="--short", "--list", …)
	@$(ENV); python -m bench.chaos $(if $(CHAOS),$(CHAOS),--report docs/reliability.md)

chaos-failover: setup ## a writer that dies, is replaced, is cut off: the figures of the README (minutes)
	@$(ENV); python -m bench.failover

fuzz: setup ## 10,000 random configs (CONFIGS=, SEED=): refused, or their files taken by those who read them (minutes)
	@$(ENV); CONFIGS=$${CONFIGS:-10000} SEED=$${SEED:-$$RANDOM} python -m pytest tests/e2e/test_settings_fuzz.py

fuzz-stack: setup ## random changes of a running stack, one after the other (STEPS=30, SEED=)
	@$(ENV); STEPS=$${STEPS:-30} SEED=$${SEED:-$$RANDOM} python -m pytest tests/e2e/test_random_changes.py -s

docs: ## write the config reference into README.md
	@.venv/bin/python -m ops.config_reference

test: lint unit e2e ## every test

lint: ## format, style and types
	@ops/setup.sh python
	@.venv/bin/ruff format --check . && .venv/bin/ruff check . && .venv/bin/pyright --project pyproject.toml

format: ## format the code
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

constraints: ## pin what the requirements need in turn, as it is installed now
	@{ sed -n 1p constraints.txt; .venv/bin/pip freeze | grep -vixFf <(sed -n 's/\[.*\]//; /==/p' requirements*.txt); } > constraints.new
	@mv constraints.new constraints.txt
