# `make run` serves the app, `make test` checks everything. Both install what they need, once.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# Named after the lock file's content, because its date is meaningless in a fresh checkout or a copy.
LOCK := $(firstword $(shell cksum < device/package-lock.json))
CLIENT := device/node_modules/.packed-$(LOCK)
PORT ?= 8501

# Each tool has its own environment, so that it cannot change the app's packages.
UV_VERSION := 0.13.8
UV := .cache/uv-$(UV_VERSION)
PIP_AUDIT_VERSION := 2.10.1
PIP_AUDIT := .cache/pip-audit-$(PIP_AUDIT_VERSION)

# Debian ships ensurepip in python3-venv. Without that package, the system's pip installs pip into the environment.
MAKE_VENV = $(PYTHON) -m venv $(1) || { $(PYTHON) -m venv --clear --without-pip $(1) \
	&& $(PYTHON) -m pip --python $(1)/bin/python install --disable-pip-version-check pip; }

PIP_INSTALL = $(BIN)/python -m pip install --disable-pip-version-check
# On this platform the locks must fit, so a failure stops make: a file with a wrong hash must not be installed another way.
MAY_DIFFER = import platform, sys; \
	sys.exit((platform.system(), platform.machine(), *sys.version_info[:2]) == ("Linux", "x86_64", 3, 11))
# People set an extra index to get other files, such as torch without CUDA. Those have other hashes.
INSTALL = $(if $(PIP_EXTRA_INDEX_URL),,$(PIP_INSTALL) --require-hashes -r $(1).lock ||) { \
	{ [ "$(PIP_EXTRA_INDEX_URL)" ] || $(BIN)/python -c '$(MAY_DIFFER)'; } \
	&& echo "$(1).lock is for Python 3.11 on Linux and the default index. Installing $(1).txt instead, without hashes." \
	&& $(PIP_INSTALL) -r $(1).txt; }

# TORCH=cpu installs PyTorch without CUDA, which this app never uses and which takes most of the disk. pip finds that build
# where the person's own index has it, and uv knows PyTorch's index.
TORCH ?=
CPU_BUILDS := $(shell sed -nE 's/^(torch(vision)?==[^ ]*).*/\1+cpu/p' requirements.txt)
INSTALL_CPU_TORCH = { $(PIP_INSTALL) --quiet --no-deps $(CPU_BUILDS) 2> /dev/null \
	|| { $(MAKE) --no-print-directory $(UV)/bin/uv > /dev/null 2>&1 && $(UV)/bin/uv pip install --quiet \
	--python $(BIN)/python --torch-backend cpu --no-deps $(CPU_BUILDS:+cpu=) 2> /dev/null; } \
	|| { echo "TORCH=cpu: no package index here has PyTorch without CUDA. Installing the usual build."; false; }; }
# Its hashes are not in the lock.
INSTALL_WITH_TORCH = $(if $(filter cpu,$(TORCH)),$(INSTALL_CPU_TORCH) && $(PIP_INSTALL) -r $(1).txt \
	|| { $(call INSTALL,$(1)); },$(call INSTALL,$(1)))

# Locked versions stay the same if they still fit; UPGRADE=--upgrade takes the newest versions instead.
UPGRADE ?=
COMPILE = $(UV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command "make lock" $(UPGRADE)

.PHONY: run test lint setup litert screenshots bench lock audit npm nginx installed client
.DEFAULT_GOAL := run

# With more arenas, each of the server's threads keeps the memory that it freed: 6 MB after a few visits.
run: installed
	MALLOC_ARENA_MAX=2 $(BIN)/streamlit run streamlit_app.py --server.port $(PORT)

test: npm nginx $(VENV)/.installed-dev $(VENV)/.installed-litert lint
	$(BIN)/python -m tests.browser.chromium
	$(BIN)/python -m pytest

lint: $(VENV)/.installed-dev client
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd device && npm run --silent check

setup: $(VENV)/.installed-dev npm client

# What LiteRT files need, 0.8 GB. It changes no other package (docs/decisions/0020-litert.md).
litert: $(VENV)/.installed-litert

installed: $(VENV)/.installed client

client: $(CLIENT)

# The tests need npm. Without it the app works, but offers less.
npm:
	@command -v npm > /dev/null || { apt-get update && apt-get install -y --no-install-recommends npm; }

# The tests start their own nginx; the package's service would take port 80.
nginx:
	@PATH=$$PATH:/usr/sbin command -v nginx > /dev/null || { apt-get update \
	&& apt-get install -y --no-install-recommends nginx && { systemctl disable --now nginx || true; }; }

# Locks every package, indirect ones included, with the hashes of its files.
lock: $(UV)/bin/uv
	$(COMPILE) requirements-dev.txt --output-file requirements-dev.lock
	$(COMPILE) requirements.txt --constraint requirements-dev.lock --output-file requirements.lock
	$(COMPILE) requirements-litert.txt --no-deps --constraint requirements-dev.lock --output-file requirements-litert.lock

# Lists known vulnerabilities of all locked packages.
audit: $(PIP_AUDIT)/bin/pip-audit npm
	$(PIP_AUDIT)/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements-dev.lock
	$(PIP_AUDIT)/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements-litert.lock
	cd device && npm audit

# The README's pictures: every page in two widths and two themes.
screenshots: $(VENV)/.installed-dev client
	$(BIN)/python -m tests.browser.screenshots docs/images

bench: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks

$(BIN)/pip:
	$(call MAKE_VENV,$(VENV))

$(VENV)/.installed: requirements.lock requirements.txt | $(BIN)/pip
	@$(call INSTALL_WITH_TORCH,requirements)
	touch $@

$(VENV)/.installed-dev: requirements-dev.lock requirements-dev.txt requirements-cluster.txt requirements-training.txt \
		$(VENV)/.installed
	@$(call INSTALL_WITH_TORCH,requirements-dev)
	touch $@

$(VENV)/.installed-litert: requirements-litert.lock requirements-litert.txt $(VENV)/.installed
	$(PIP_INSTALL) --no-deps --require-hashes -r requirements-litert.lock
	touch $@

$(UV)/bin/uv:
	$(call MAKE_VENV,$(UV))
	$(UV)/bin/python -m pip install --disable-pip-version-check uv==$(UV_VERSION)

$(PIP_AUDIT)/bin/pip-audit:
	$(call MAKE_VENV,$(PIP_AUDIT))
	$(PIP_AUDIT)/bin/python -m pip install --disable-pip-version-check pip-audit==$(PIP_AUDIT_VERSION)

# The browsers' runtimes are too large for git. They replace the old ones only once they are complete.
$(CLIENT):
	@$(PYTHON) -m web.runtimes && touch $@ \
	|| echo "npm could not fetch what browsers need now, so the page 'On your device' may not work. The rest works."
