# Needs python3 (3.11 or newer), make and git; everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
# PYTHON=python3.13 beside a .venv of another version is an environment of its own: .venv-3.13.
version = $(shell $(1) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
ifneq ($(origin PYTHON),file)
ifneq ($(wildcard .venv/bin/python),)
ifneq ($(call version,.venv/bin/python),$(call version,$(PYTHON)))
VENV := .venv-$(call version,$(PYTHON))
endif
endif
endif
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# One package has no wheel. What builds it is locked too.
WHEELS := --only-binary :all: --no-binary crontab --build-constraints requirements/build.txt

# A process of pytest also waits: for analyzers, git, and the disk.
JOBS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')

# Tests of a file share what they start, and what analyzers and git said of the same files.
BY_FILE := --dist loadfile
# The longest files, tests/e2e, come first, not those of the most tests. Servers of PostgreSQL and Redis are waited for.
SLOW_BY_FILE := $(BY_FILE) --no-loadscope-reorder

# Servers of the tests. Each process of pytest empties a Redis database of its own: this one and the next.
POSTGRES_URL = $(or $(KODIAI_TEST_POSTGRES_URL),postgresql://postgres@127.0.0.1:5432/postgres)
TASKS_URL = $(or $(KODIAI_TEST_TASKS_URL),redis://127.0.0.1:6379/4)

# Tests start Kodiai hundreds of times: what it imports is compiled once, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install run demo test test-all lint format generated fault-matrix corpus samples screenshots roles schema settings conclusions \
	confinement precision stateful kill-matrix storm outage fairness bench fuzz mutation real-changes seeded openapi lock audit docs

help: ## List the targets
	@awk -F ':.*## ' '/^##@ / { printf "\n%s\n", substr($$0, 5) } /^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ First

install: $(STAMP) ## Create .venv and install the locked dependencies

$(STAMP): requirements/base.txt requirements/dev.txt requirements/build.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Kodiai needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/uv.txt
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes $(WHEELS) requirements/dev.txt requirements/uv.txt
	@touch $(STAMP)

run: install ## Start web server, worker and periodic tasks (HOST, PORT, KODIAI_…)
	@$(BIN)/python manage.py run

demo: install ## Review a pull request in a local sandbox, no configuration (ONCE=1: check and exit)
	@$(BIN)/python manage.py demo $(if $(ONCE),--once)

test: install ## Test all behaviour on SQLite, in two minutes (KODIAI_TEST_POSTGRES_URL=…: on PostgreSQL)
	@$(BIN)/python -m pytest -q -n $(JOBS) $(BY_FILE) -m "not slow" --ignore=tests/e2e $(PYTEST_ARGS)

test-all: install ## Also real kills, load, PostgreSQL, Redis and the whole corpora (KODIAI_TEST_POSTGRES_URL, KODIAI_TEST_TASKS_URL)
	@echo "== Everything, with more examples, on SQLite"
	@KODIAI_TEST_POSTGRES_URL= $(BIN)/python -m pytest -q -n 5 $(SLOW_BY_FILE) --hypothesis-profile=thorough
	@echo "== What depends on the database, on PostgreSQL"
	@KODIAI_TEST_POSTGRES_URL=$(POSTGRES_URL) $(BIN)/python -m pytest -q -n 8 $(SLOW_BY_FILE) -m database
	@echo "== What depends on the queue, on Redis"
	@KODIAI_TEST_POSTGRES_URL=$(POSTGRES_URL) KODIAI_TEST_TASKS_URL=$(TASKS_URL) \
		$(BIN)/python -m pytest -q -n 5 $(SLOW_BY_FILE) -m queue

lint: install ## Check format, lint, types, imports, migrations, OpenAPI, deployment settings
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python manage.py makemigrations --check --dry-run
	@DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python manage.py spectacular --validate --fail-on-warn --file /dev/null
	@$(BIN)/python -m tests.support.check_deploy

format: install ## Format the sources and apply safe lint fixes
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

##@ Checks that take longer

kill-matrix: install ## Kill workers at every step: 240 runs each on SQLite, PostgreSQL and Redis (KODIAI_TEST_POSTGRES_URL=…)
	@KODIAI_TEST_POSTGRES_URL= $(BIN)/python -m tests.e2e.kill_matrix $(ARGS)
	@test -n "$(KODIAI_TEST_POSTGRES_URL)" || { echo "PostgreSQL and Redis were skipped: set KODIAI_TEST_POSTGRES_URL."; exit 1; }
	@$(BIN)/python -m tests.e2e.kill_matrix $(ARGS)
	@$(BIN)/python -m tests.e2e.kill_matrix --redis $(ARGS)

storm: install ## Send 10,000 deliveries while workers are killed (DELIVERIES, SENDERS, KILL_EVERY, KODIAI_TEST_POSTGRES_URL=…)
	@$(BIN)/python -m tests.e2e.storm --deliveries $(or $(DELIVERIES),10000) --senders $(or $(SENDERS),32) --kill-every $(or $(KILL_EVERY),1)

outage: install ## Take GitHub away for ten minutes in the middle of 200 runs; print requests over time (ARGS="--scale 0.1")
	@$(BIN)/python -m tests.e2e.outage $(ARGS)

fairness: install ## Time 50 pull requests beside 30 hostile ones, with one worker (ARGS="--hostile 3")
	@$(BIN)/python -m tests.e2e.fairness $(ARGS)

stateful: install ## Run the stateful test with random examples (EXAMPLES=2000, some seconds each)
	@KODIAI_TEST_STATEFUL_EXAMPLES=$(or $(EXAMPLES),2000) $(BIN)/python -m pytest -n 0 --hypothesis-show-statistics tests/reviews/test_stateful.py

FUZZ_SECONDS ?= 360
FUZZ_TARGETS := intake patch config linters engine_output sarif markdown

fuzz: install ## Fuzz every parser of untrusted input, guided by coverage (FUZZ_SECONDS=360 per target)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --only-binary :all: -r requirements/fuzz.txt
	@for target in $(FUZZ_TARGETS); do echo "== $$target"; $(BIN)/python -m tools.fuzz $$target -max_total_time=$(FUZZ_SECONDS) || exit 1; done

MODULE ?= recording timeouts lease models publish previous_comments resolve_threads views inbox payloads

mutation: install ## Mutate the code and check that the tests notice (MODULE=recording, ONLY="1 2")
	@mkdir -p var/mutation
	@for module in $(MODULE); do \
		$(BIN)/uv run --quiet --isolated --no-project --with-requirements requirements/mutation.txt python -m tools.mutation.mutants $$module var/mutation/$$module.mutants.json \
		&& $(BIN)/python -m tools.mutation $$module $(if $(ONLY),--only $(ONLY)) || exit 1; done

bench: install ## Time intake, recording and reviews; write docs/performance.md (TIMES=5, KODIAI_TEST_POSTGRES_URL=…)
	@$(BIN)/python -m tests.benchmarks.performance
	@DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python -m tests.benchmarks.reviews --times $(or $(TIMES),5)
	@$(BIN)/python -m tests.benchmarks.local_review $(or $(TIMES),5)

real-changes: install ## Measure precision and recall on real changes (MIRRORS=directory of bare clones, SET=first)
	@test -n "$(MIRRORS)" || { echo "Set MIRRORS; docs/verification/precision.md lists the clones that it needs."; exit 1; }
	@$(BIN)/python -m tests.corpus.real review $(or $(SET),first) --mirrors "$(MIRRORS)" $(ARGS)
	@$(BIN)/python -m tests.corpus.real table $(or $(SET),first)

seeded: install ## Break 240 real files on purpose and count what is reported (MIRRORS=directory of bare clones)
	@test -n "$(MIRRORS)" || { echo "Set MIRRORS; docs/verification/precision.md lists the clones that it needs."; exit 1; }
	@$(BIN)/python -m tests.corpus.seeded --mirrors "$(MIRRORS)" $(ARGS)

openapi: install ## Check Kodiai's requests against GitHub's OpenAPI description (OPENAPI=…/api.github.com.json)
	@test -n "$(OPENAPI)" || { echo "Set OPENAPI to the description: the npm package @octokit/openapi contains it as generated/api.github.com.json"; exit 1; }
	@KODIAI_TEST_OPENAPI="$(OPENAPI)" $(BIN)/python -m pytest -q -n 0 tests/support/openapi_check.py

docs: install ## Build the documentation as a site in var/docs; a broken link is an error
	@$(BIN)/uv run --quiet --isolated --no-project --with-requirements requirements/docs.txt \
		sphinx-build --quiet --fail-on-warning --keep-going --fresh-env docs var/docs
	@cp var/docs/README.html var/docs/index.html

##@ Files written from code

generated: schema settings conclusions confinement roles samples screenshots corpus precision fault-matrix ## Write all of the following

schema: install ## Write docs/kodiai.schema.json, the JSON Schema of .kodiai.yml
	@DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python -m tests.support.config_schema

settings: install ## Write .env.example, the settings in docs/configuration.md, and docs/verification/settings.md
	@$(BIN)/python -m kodiai.configuration.documents
	@KODIAI_TEST_WRITE_SETTINGS=1 $(BIN)/python -m pytest -q -n 0 tests/kodiai/test_wrong_settings.py -k written

conclusions: install ## Write docs/verification/conclusions.md, what the check run concludes
	@KODIAI_TEST_WRITE_CONCLUSIONS=1 $(BIN)/python -m pytest -q -n 0 tests/reviews/publishing/test_conclusions.py -k published

confinement: install ## Write docs/verification/confinement.md, what a taken-over analyzer can do (needs bubblewrap and Landlock)
	@KODIAI_TEST_WRITE_CONFINEMENT=1 $(BIN)/python -m pytest -q -n 0 tests/reviews/engines/test_confinement.py -k published

samples: install ## Write docs/samples.md and docs/images from reviews published in the sandbox (the images need chromium)
	@KODIAI_TEST_WRITE_SAMPLES=1 $(BIN)/python -m pytest -q -n 0 tests/test_samples.py

screenshots: install ## Write docs/images/dashboard-….png and timeline-….png from a real Kodiai (needs chromium)
	@KODIAI_TEST_WRITE_SCREENSHOTS=1 $(BIN)/python -m pytest -q -n 0 tests/e2e/test_pages.py -k screenshots

roles: install ## Write docs/verification/roles.md, what each role may do
	@KODIAI_TEST_WRITE_ROLES=1 $(BIN)/python -m pytest -q -n 0 tests/kodiai/test_roles.py -k documented

corpus: install ## Write tests/corpus/reviews and labels.txt; print the labels by analyzer
	@KODIAI_TEST_WRITE_CORPUS=1 $(BIN)/python -m pytest -q -n 0 tests/corpus
	@$(BIN)/python -m tests.corpus.labels

precision: install ## Measure the analyzers on their corpus and write docs/analyzers.md
	@DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python -m tests.corpus.precision

fault-matrix: install ## Write docs/verification/fault-matrix.md from test results
	@KODIAI_TEST_WRITE_FAULT_MATRIX=1 $(BIN)/python -m pytest -q -n 0 tests/reviews/test_fault_matrix.py

##@ Maintenance

COMPILE = $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header

lock: ## Resolve the lock files in requirements/ from pyproject.toml
	@$(COMPILE) pyproject.toml --extra server -o requirements/base.txt
	@$(COMPILE) pyproject.toml --extra server --extra llm -o requirements/llm.txt
	@$(COMPILE) pyproject.toml --extra server --extra llm --extra otel -o requirements/otel.txt
	@$(COMPILE) pyproject.toml --extra server --extra llm --extra otel --group dev -o requirements/dev.txt
	@$(COMPILE) --only-binary :all: --group docs -o requirements/docs.txt
	@$(COMPILE) --only-binary :all: --group fuzz -o requirements/fuzz.txt
	@$(COMPILE) --only-binary :all: --group mutation -o requirements/mutation.txt
	@echo uv | $(COMPILE) - -o requirements/uv.txt
	@printf 'setuptools\nwheel\n' | $(COMPILE) - -o requirements/build.txt
	@echo pip-audit | $(COMPILE) - -o requirements/audit.txt

audit: install ## Check the locked packages for known vulnerabilities (queries the package index; not part of .ci/run)
	@$(BIN)/uv run --quiet --isolated --no-project --with-requirements requirements/audit.txt \
		pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r requirements/base.txt -r requirements/otel.txt -r requirements/dev.txt \
		|| { echo "Vulnerable, or not audited: see above. A mirror of the package index has no vulnerability data;"; \
		echo "run make audit where the index itself can be reached."; exit 1; }
