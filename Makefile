# The few commands that help. Each makes what it needs; `make setup` alone does only that.
PYTHON := .venv/bin/python
.PHONY: help setup system demo test again check bench chaos simulate worlds docs lock clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*##/ {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.complete ## make .venv with everything that is locked

.venv/.complete: requirements.lock pyproject.toml .ci/setup.sh .ci/peers.txt
	@bash .ci/setup.sh

system: ## install what the tests need beside Python (broker, browser, database)
	@bash .ci/system.sh

demo: setup ## the main job on this machine: sandbox venues, a worker, a table of the truth
	@$(PYTHON) -m examples.demo

test: setup system ## every test, against RabbitMQ, which the tests start themselves
	@$(PYTHON) -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder

again: setup system ## the tests that failed last, one after the other
	@$(PYTHON) -m pytest --last-failed --last-failed-no-failures none

check: setup ## format, lint, types
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m mypy

bench: setup system ## time to cancel, against the bound and against the alternatives
	@$(PYTHON) -m tests.bench

chaos: setup system ## kill workers and brokers for as long as it takes, and count what was lost
	@$(PYTHON) -m tests.chaos --kills 200 --broker-kills 10 --ids 10000

simulate: setup ## the lane's laws over 10,000 seeds
	@$(PYTHON) -m tests.simulation --seeds 10000
	@$(PYTHON) -m tests.simulation.scopes --seeds 10000

worlds: setup ## ten minutes of small random worlds: venues that lag, hide, rename and shrink
	@$(PYTHON) -m tests.worlds --minutes 10 --jobs 2

docs: setup ## write the machine-readable contract and the nouns of the glossary anew
	@$(PYTHON) docs/generate.py

lock: setup ## lock the newest versions that pyproject.toml allows
	@$(PYTHON) -m piptools compile -q --all-extras --strip-extras --no-emit-index-url \
		--no-emit-trusted-host --no-emit-find-links --no-header --no-annotate --allow-unsafe \
		--output-file requirements.lock pyproject.toml

clean: ## forget .venv and all caches
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
