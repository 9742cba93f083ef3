# Each target makes .venv first, where it is missing or out of date.
SHELL := bash
PYTHON_IN_VENV := .venv/bin/python
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup demo real truth-qc truth-evidence paper test lint bench bench-etl bench-qc bench-train clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

setup: ## make .venv with everything; nothing to do when it is there
	@deploy/setup.sh

demo: setup ## simulate a cohort, run the ETL, train on two ranks, write both reports
	@$(PYTHON_IN_VENV) -m deploy.run_demo

real: setup ## the same chain on 1000 Genomes people, with permuted labels beside it
	@$(PYTHON_IN_VENV) -m deploy.run_real

truth-qc: setup ## score quality control on cohorts whose every defect is known; table and build/figures/truth-qc.json
	@$(PYTHON_IN_VENV) -m deploy.truth_qc

truth-evidence: setup ## judge models, intervals and audit on cohorts of known truth; table and build/figures/truth-evidence.json
	@$(PYTHON_IN_VENV) -m deploy.truth_evidence

paper: setup ## what each step of the published protocol's leak adds; table, build/figures/paper.json and paper.html
	@$(PYTHON_IN_VENV) -m deploy.paper

test: setup ## all tests but those marked slow
	@$(PYTHON_IN_VENV) -m pytest

lint: setup ## style, formatting, types and the edges between packages
	@ruff check .
	@ruff format --check .
	@mypy -p contract -p train -p etl -p deploy
	@lint-imports --no-cache

bench: setup ## measure the ETL, the loaders and the training; table and build/figures/bench.json
	@$(PYTHON_IN_VENV) -m deploy.bench

bench-etl: setup ## the ETL alone beside Hail's bare import; table and build/figures/bench-etl.json
	@$(PYTHON_IN_VENV) -m deploy.bench.bench_etl

bench-train: setup ## loaders and training steps beside their yardsticks; table and build/figures/bench-train.json
	@$(PYTHON_IN_VENV) -m deploy.bench.bench_train

bench-qc: setup ## the ETL and its kinship beside their limits; tables and build/figures/bench-qc.json
	@$(PYTHON_IN_VENV) -m deploy.bench.bench_qc

clean: ## remove what was generated; .venv stays
	@rm -rf build .pytest_cache .mypy_cache .ruff_cache *.egg-info
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
