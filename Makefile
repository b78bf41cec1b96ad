# `make` lists the targets. PYTHON=/path/to/python picks the interpreter that
# .venv is made with; without it, the first of these that runs and is 3.10-3.13.
ifdef PYTHON
CANDIDATES = $(PYTHON)
else
CANDIDATES = python3 python3.12 python3.11 python3.10 python3.13
endif
NEWEST_CANDIDATES = python3.13 $(wildcard $(HOME)/.pyenv/versions/3.13*/bin/python) \
	python3.12

VENV = .venv
VENV_PYTHON = $(VENV)/bin/python
STYLED = setup.py $(wildcard sam3d_plugin tools tests configs projects)
DOCUMENTED = sam3d_plugin tools

.DEFAULT_GOAL = help
.PHONY: help setup quickstart test test-newest lint format docs doctor clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /make \1\t/' \
	| expand -t 20

# MMCV=full compiles mmcv's kernels, MMCV=lite does not; the default is full
# where there are a GPU and nvcc.
setup: ## .venv with everything pinned
	@for python in $(CANDIDATES); do \
	  if "$$python" -c 'import sys; sys.exit(not ((3, 10) <= sys.version_info[:2] <= (3, 13)))' \
	    >/dev/null 2>&1; then \
	    exec "$$python" tools/setup_environment.py --venv $(VENV) $(SETUP_OPTIONS); \
	  fi; \
	done; \
	echo 'None of "$(CANDIDATES)" is Python 3.10 to 3.13; install one,' \
	  'or run `make $@ PYTHON=/path/to/python3.11`' >&2; \
	exit 1

# GPU=N trains on N GPUs; DATA=DIR and WORK=DIR move what it makes.
quickstart: setup ## the method from made-up rooms to a report; GPU=1 for a GPU
	@$(VENV_PYTHON) tools/quickstart.py $(if $(GPU),--gpus $(GPU)) \
	  $(if $(DATA),--data-root '$(DATA)') $(if $(WORK),--work-dir '$(WORK)')

test: setup ## the whole test suite, without a GPU or ../shared
	@# Tests have small tensors, of which a second process makes more than a second
	@# thread. A file stays in one process, since its tests share fixtures.
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(VENV_PYTHON) -m pytest tests \
	  --numprocesses auto --maxprocesses 4 --dist loadfile

test-newest: ## the same with the newest torch, numpy and Python that work
	@$(MAKE) --no-print-directory test VENV=.venv-newest \
	  SETUP_OPTIONS=--newest $(if $(PYTHON),,CANDIDATES='$(NEWEST_CANDIDATES)')

lint: setup ## formatter, linter, types and docstrings; changes nothing
	@status=0; \
	$(VENV_PYTHON) -m isort --check-only --quiet $(STYLED) || status=1; \
	$(VENV_PYTHON) -m yapf --diff --parallel --recursive $(STYLED) || status=1; \
	$(VENV_PYTHON) -m ruff check --quiet $(STYLED) docs/notebooks || status=1; \
	$(VENV_PYTHON) -m mypy || status=1; \
	$(VENV_PYTHON) -m pydoclint.main --quiet $(DOCUMENTED) || status=1; \
	exit $$status

format: setup ## rewrite the files as `make lint` wants them
	@$(VENV_PYTHON) -m isort --quiet $(STYLED)
	@$(VENV_PYTHON) -m yapf --in-place --parallel --recursive $(STYLED)
	@$(VENV_PYTHON) -m ruff check --fix $(STYLED) docs/notebooks

docs: setup ## the documentation site, in build/site
	@NO_MKDOCS_2_WARNING=1 $(VENV_PYTHON) -m mkdocs build --strict --quiet -f .mkdocs.yml
	@echo 'Open build/site/index.html'

doctor: ## say what is broken and how to fix it
	@if [ -x $(VENV_PYTHON) ]; then $(VENV_PYTHON) tools/doctor.py; \
	else python3 tools/doctor.py; fi

clean: ## remove environments and caches; data/ and work_dirs/ stay
	rm -rf .venv .venv-newest build *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find sam3d_plugin tools tests -name __pycache__ -prune -exec rm -rf {} +
