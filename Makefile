# On a fresh machine, with only Python and make:
#   make report   refits the published data and writes the PDF
#   make test     runs every check
# Both build .venv from requirements.lock first, and again only when that file or pyproject.toml changes.

PYTHON ?= python3
PYTHON311 ?= python3.11
PYTHON313 ?= python3.13
VENV   := .venv
BIN    := $(VENV)/bin
STUDY  := reports/chinchilla-width/study.toml

# What .venv gets for each purpose: extras of pyproject.toml.
EXTRAS_report := bayes,report
EXTRAS_test   := bayes,cluster,excel,models,report,toy,test
EXTRAS_docs   := docs

# Held by hand when the lock is renewed: its builds for CUDA differ by gigabytes from one release to the next.
TORCH := torch==2.13.0

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help report test test-floor test-latest lint bench notebooks docs lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

report: $(VENV)/.installed-report ## Refit the published data and write the PDF
	$(BIN)/scalefit report $(STUDY)

test: lint ## Lint, then run the tests
	@echo "==> pytest"
	@$(BIN)/python -m pytest --numprocesses=2 --dist=worksteal

# The ends of what pyproject.toml allows: its floors on the oldest Python, and the newest of everything on a new one.
# Both leave out torch, whose builds for CUDA take gigabytes, so the tests of training are skipped. An old package may
# warn of what a new one deprecates; warnings are errors in .venv only.
test-floor: ## Run the quick tests with the oldest versions allowed, on Python 3.11
	@$(MAKE) --no-print-directory environment-floor INTERPRETER=$(PYTHON311) VERSIONS=
	@build/floor/bin/python -m pytest -m "not slow" -o filterwarnings=default

test-latest: ## Run the quick tests with the newest versions, on Python 3.13
	@$(MAKE) --no-print-directory environment-latest INTERPRETER=$(PYTHON313) VERSIONS=--newest
	@build/latest/bin/python -m pytest -m "not slow" -o filterwarnings=default

environment-%:
	@echo "==> building build/$* (minutes)"
	@$(INTERPRETER) -m venv --clear build/$*
	@$(INTERPRETER) tests/reference/floors.py bayes cluster excel report test --without torch triton $(VERSIONS) \
	  > build/$*/requirements.txt
	@build/$*/bin/python -m pip install --quiet --disable-pip-version-check -r build/$*/requirements.txt -e .

lint: $(VENV)/.installed-test ## Check style and types
	@echo "==> ruff check"
	@$(BIN)/python -m ruff check .
	@echo "==> ruff format --check"
	@$(BIN)/python -m ruff format --check .
	@echo "==> mypy"
	@$(BIN)/python -m mypy scalefit

# pyproject.toml skips benchmarks in a plain run; that option and --benchmark-only exclude each other.
bench: $(VENV)/.installed-test ## Measure the speed of the solver
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only -o addopts=--strict-markers

notebooks: $(VENV)/.installed-test ## Run the notebooks and store their output
	$(BIN)/python -m tests.reference.notebooks

# The theme's note on its successor would stand above every build.
docs: $(VENV)/.installed-docs ## Build the documentation in site/ and check its links
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "open site/index.html"

lock: ## Resolve every extra anew and rewrite requirements.lock
	@echo "==> resolving [all,docs,test] in a fresh environment (minutes)"
	@$(PYTHON) -m venv --clear build/lock
	@build/lock/bin/python -m pip install --quiet --disable-pip-version-check "$(TORCH)" -e ".[all,docs,test]"
	@build/lock/bin/python -m pip list --disable-pip-version-check --format=freeze \
	  --exclude-editable --exclude pip --exclude setuptools > build/lock/versions
	@{ grep '^#' requirements.lock; sed 's/+.*//' build/lock/versions; } > requirements.lock.partial
	@mv requirements.lock.partial requirements.lock
	@rm -rf build/lock

clean: ## Remove .venv, caches and build products
	rm -rf $(VENV) build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find scalefit tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed-%: pyproject.toml requirements.lock $(VENV)/.created
	@echo "==> installing scalefit with [$(EXTRAS_$*)] into $(VENV) (a minute or two, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  -c requirements.lock -e ".[$(EXTRAS_$*)]"
	@touch $@

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "scalefit needs Python 3.11 or newer; name one with: make PYTHON=python3.11" >&2; exit 1; }
	@echo "==> creating $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@
