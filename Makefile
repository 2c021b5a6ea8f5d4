# Needs python3 (3.11 or newer), make and git; everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# One package has no wheel. What builds it is locked too.
WHEELS := --only-binary :all: --no-binary crontab --build-constraints requirements/build.txt

.DEFAULT_GOAL := help
.PHONY: help install run demo test lint format lock audit fault-matrix corpus samples schema precision openapi fuzz mutation stateful kill-matrix storm bench

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 16

install: $(STAMP) ## Make .venv and install the locked dependencies

$(STAMP): requirements/base.txt requirements/dev.txt requirements/build.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Kodiai needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/uv.txt
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes $(WHEELS) requirements/dev.txt requirements/uv.txt
	@touch $(STAMP)

run: install ## Start web, worker and periodic tasks (HOST, PORT, KODIAI_… are respected)
	@$(BIN)/python manage.py run

demo: install ## The whole story in the terminal, nothing to configure (ONCE=1: check it and exit)
	@$(BIN)/python manage.py demo $(if $(ONCE),--once)

test: install ## The test suite on SQLite (KODIAI_TEST_POSTGRES_URL=… for PostgreSQL)
	@$(BIN)/python -m pytest -n auto $(PYTEST_ARGS)
	@test -n "$(KODIAI_TEST_POSTGRES_URL)" || echo "PostgreSQL was left out: set KODIAI_TEST_POSTGRES_URL to run the suite on it too."

fault-matrix: install ## Write docs/fault-matrix.md from what the tests see
	@KODIAI_TEST_WRITE_FAULT_MATRIX=1 $(BIN)/python -m pytest -q -n 0 tests/reviews/test_fault_matrix.py

corpus: install ## Write tests/corpus/reviews and labels.txt anew, and show what is judged of each analyzer
	@KODIAI_TEST_WRITE_CORPUS=1 $(BIN)/python -m pytest -q -n 0 tests/corpus
	@$(BIN)/python -m tests.corpus.labels

samples: install ## Write the samples of README.md anew, from what is published in the sandbox
	@KODIAI_TEST_WRITE_SAMPLES=1 $(BIN)/python -m pytest -q -n 0 tests/test_samples.py

schema: install ## Write docs/kodiai.schema.json, the JSON Schema of .kodiai.yml, from the code
	@DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python -m tests.support.config_schema

precision: install ## Measure the analyzers on their corpus and write docs/analyzers.md (times as multiples of ruff's)
	@DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python -m tests.corpus.precision

openapi: install ## Hold what Kodiai asks of GitHub to GitHub's OpenAPI description (OPENAPI=…/api.github.com.json)
	@test -n "$(OPENAPI)" || { echo "Set OPENAPI to the description: npm install @octokit/openapi has it as generated/api.github.com.json"; exit 1; }
	@KODIAI_TEST_OPENAPI="$(OPENAPI)" $(BIN)/python -m pytest -q -n 0 tests/support/openapi_check.py

stateful: install ## The stateful test at random, for EXAMPLES=2000 examples (some seconds each)
	@KODIAI_TEST_STATEFUL_EXAMPLES=$(or $(EXAMPLES),2000) $(BIN)/python -m pytest -n 0 --hypothesis-show-statistics tests/reviews/test_stateful.py

kill-matrix: install ## Kill workers at every step, 240 runs each: SQLite, PostgreSQL and Redis (KODIAI_TEST_POSTGRES_URL=…)
	@KODIAI_TEST_POSTGRES_URL= $(BIN)/python -m tests.e2e.kill_matrix $(ARGS)
	@test -n "$(KODIAI_TEST_POSTGRES_URL)" || { echo "PostgreSQL and Redis were left out: set KODIAI_TEST_POSTGRES_URL."; exit 1; }
	@$(BIN)/python -m tests.e2e.kill_matrix $(ARGS)
	@$(BIN)/python -m tests.e2e.kill_matrix --redis $(ARGS)

storm: install ## 10,000 deliveries while workers are killed (DELIVERIES, SENDERS, KILL_EVERY; KODIAI_TEST_POSTGRES_URL=…)
	@$(BIN)/python -m tests.e2e.storm --deliveries $(or $(DELIVERIES),10000) --senders $(or $(SENDERS),32) --kill-every $(or $(KILL_EVERY),1)

bench: install ## How long a review takes, of one file to three hundred, and what it asks of GitHub (TIMES=5)
	@DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python -m tests.benchmarks.reviews --times $(or $(TIMES),5)

lint: install ## Format check, lint, types, import rules, migrations, deployment checks
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python manage.py makemigrations --check --dry-run
	@$(BIN)/python -m tests.support.check_deploy

FUZZ_SECONDS ?= 360
FUZZ_TARGETS := intake patch config engine_output sarif markdown

fuzz: install ## Coverage-guided fuzzing of all that reads a stranger's text (FUZZ_SECONDS per target, default 360)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --only-binary :all: -r requirements/fuzz.txt
	@for target in $(FUZZ_TARGETS); do echo "== $$target"; $(BIN)/python -m tools.fuzz $$target -max_total_time=$(FUZZ_SECONDS) || exit 1; done

MODULE ?= recording timeouts lease models publishing conversation threads webhooks inbox payloads

mutation: install ## Break the code in many small ways and see the tests notice (MODULE=recording, ONLY="1 2" …)
	@mkdir -p var/mutation
	@for module in $(MODULE); do \
		$(BIN)/uv run --quiet --isolated --no-project --with-requirements requirements/mutation.txt python -m tools.mutation.mutants $$module var/mutation/$$module.mutants.json \
		&& $(BIN)/python -m tools.mutation $$module $(if $(ONLY),--only $(ONLY)) || exit 1; done

format: install ## Rewrite the sources in the project's format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: ## Write the lock files anew from pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header pyproject.toml -o requirements/base.txt
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header pyproject.toml --extra llm --group dev -o requirements/dev.txt
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header pyproject.toml --extra llm -o requirements/llm.txt
	@echo uv | $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header - -o requirements/uv.txt
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header --only-binary :all: --group fuzz -o requirements/fuzz.txt
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header --only-binary :all: --group mutation -o requirements/mutation.txt
	@printf 'setuptools\nwheel\n' | $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header - -o requirements/build.txt
	@echo pip-audit | $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header - -o requirements/audit.txt

audit: install ## Look the locked packages up among known vulnerabilities (asks the package index; not part of the checks)
	@$(BIN)/uv run --quiet --isolated --no-project --with-requirements requirements/audit.txt \
		pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r requirements/base.txt -r requirements/llm.txt -r requirements/dev.txt \
		|| { echo "Not clean, or not audited: the lines above say which. Where packages come from a mirror, the"; \
		echo "index itself cannot be asked, and nothing is known about them: run make audit where it can."; exit 1; }
