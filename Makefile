# make search: a whole FairDARTS search on the embedded data. make test: the test suite. Both install what they need.

PYTHON ?= python3
VENV ?= .venv

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: install search test lint

search: $(VENV)/installed
	$(VENV)/bin/fairdarts search --config fairdarts-s1-digits

test: $(VENV)/installed-dev
	$(VENV)/bin/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

install: $(VENV)/installed

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: $(PYTHON) should be Python 3.11 or newer: make PYTHON=python3.11 …" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	  { echo "make: $(PYTHON) cannot make virtual environments; install that with: apt-get install python3-venv" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: setup.py constraints.txt | $(VENV)/bin/pip
	$(VENV)/bin/pip install --constraint constraints.txt --editable .
	touch $@

$(VENV)/installed-dev: setup.py constraints.txt | $(VENV)/bin/pip
	$(VENV)/bin/pip install --constraint constraints.txt --editable '.[dev]'
	touch $@ $(VENV)/installed
