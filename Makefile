# make demo   a table of mean ± std from nothing, in minutes     make test    everything that must hold
# make check  ruff and mypy                                      make bench   how fast, as ratios

PYTHON ?= python3
VENV   ?= .venv
RUN     = $(VENV)/bin/python
STAMP   = $(VENV)/.installed

.PHONY: demo test test-spawn check bench install clean

install: $(STAMP)

$(STAMP): pyproject.toml setup.py aux/install.sh
	aux/install.sh "$(PYTHON)" "$(VENV)"
	touch $@

demo: $(STAMP)
	$(RUN) aux/demo.py

test: $(STAMP)
	$(RUN) -m pytest $(PYTEST_ARGS)

# The same suite where every process starts from nothing, as on macOS.
test-spawn: $(STAMP)
	SEQTRACK_START_METHOD=spawn $(RUN) -m pytest $(PYTEST_ARGS)

check: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: $(STAMP)
	$(RUN) aux/bench/run.py

clean:
	rm -rf cache demo_data dataset_cache/*.h5 dataset_cache/*.lock .mypy_cache .ruff_cache .pytest_cache
