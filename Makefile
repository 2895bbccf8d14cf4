# Two commands: `make run` serves the app, `make test` checks everything. Both install what they need, once.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# Named by the lock file's content: its date says nothing, in a fresh checkout or a copy.
LOCK := $(firstword $(shell cksum < device/package-lock.json))
CLIENT := device/node_modules/.lock-$(LOCK)
FETCHED := .cache/client
PORT ?= 8501

# Debian splits ensurepip off into python3-venv; without that package the system's pip fills the environment.
MAKE_VENV = $(PYTHON) -m venv $(VENV) || { $(PYTHON) -m venv --clear --without-pip $(VENV) \
	&& $(PYTHON) -m pip --python $(BIN)/python install --disable-pip-version-check pip; }

.PHONY: run test lint setup bench npm installed client
.DEFAULT_GOAL := run

# With more arenas, each of the server's threads keeps what it freed: 6 MB after a few visits.
run: installed
	MALLOC_ARENA_MAX=2 $(BIN)/streamlit run streamlit_app.py --server.port $(PORT)

test: npm $(VENV)/.installed-dev lint
	$(BIN)/python -m tests.browser.chromium
	$(BIN)/python -m pytest

lint: $(VENV)/.installed-dev client
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd device && npm run --silent check

setup: $(VENV)/.installed-dev npm client

installed: $(VENV)/.installed client

client: $(CLIENT)

# The tests need npm; the app only offers less without it.
npm:
	@command -v npm > /dev/null || { apt-get update && apt-get install -y --no-install-recommends npm; }

bench: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks

$(BIN)/pip:
	$(MAKE_VENV)

$(VENV)/.installed: requirements.txt | $(BIN)/pip
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/.installed-dev: requirements-dev.txt requirements-cluster.txt $(VENV)/.installed
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements-dev.txt
	touch $@

# What runs in browsers: too large for git, so npm fetches it, with the lock file's hashes. It takes the place of what is
# there only once it is whole.
$(CLIENT):
	@rm -rf $(FETCHED) && mkdir -p $(FETCHED) && cp device/package.json device/package-lock.json device/.npmrc $(FETCHED) \
	&& (cd $(FETCHED) && npm ci --prefer-offline --fetch-retries 1 --fetch-retry-mintimeout 1000) \
	&& touch $(FETCHED)/node_modules/$(@F) && rm -rf device/node_modules && mv $(FETCHED)/node_modules device/ \
	|| echo "npm could not fetch what browsers need now, so the page 'On your device' may say so. The rest works."
	@rm -rf $(FETCHED)
