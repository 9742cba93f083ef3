# Each target makes .venv first, where it is missing or out of date.
SHELL := bash
PYTHON_IN_VENV := .venv/bin/python
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup demo real truth-qc truth-evidence paper test lint bench bench-etl bench-qc bench-train cluster-up cluster-down cluster-test deploy-check test-matrix clean

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

test: setup ## all tests but those marked slow, in two processes
	@$(PYTHON_IN_VENV) -m pytest -n 2 --dist loadgroup

test-matrix: setup ## the tests with the newer locks (newest Hail; newest torch), weekly; environments stay in the cache folder
	@$(PYTHON_IN_VENV) -m deploy.test_matrix

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

cluster-up: setup ## start HDFS, YARN, an S3 and a GCS server on this machine, in build/minicluster
	@$(PYTHON_IN_VENV) -m deploy.minicluster up

cluster-down: setup ## stop them and remove their data
	@$(PYTHON_IN_VENV) -m deploy.minicluster down

cluster-test: setup ## one cohort on YARN, HDFS, S3, GCS and SLURM beside this machine; table and build/figures/clusters.json
	@$(PYTHON_IN_VENV) -m deploy.cluster_test $(if $(SHORT),--short)

deploy-check: ## check all files for clusters and images, offline; where a tool is missing it says what is left out
	@python=$$(deploy/check/environment.sh) && PYTHONPATH=. "$$python" -m deploy.check

clean: ## remove what was generated; .venv stays
	@[ ! -e build/minicluster/state.json ] || $(PYTHON_IN_VENV) -m deploy.minicluster down
	@rm -rf build .pytest_cache .mypy_cache .ruff_cache *.egg-info
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
