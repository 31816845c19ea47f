# make demo   a table of mean ± std from nothing, in minutes     make test    everything that must hold
# make check  ruff and mypy                                      make bench   how fast, as ratios
# make slurm-demo   the demo on a real SLURM cluster that this machine pretends to be; as root

PYTHON ?= python3
VENV   ?= .venv
# Three processes share the tests: two of them wait for SLURM most of the time, each for a cluster of its own.
PYTEST_ARGS ?= -n 3 --dist loadgroup
RUN     = $(VENV)/bin/python
STAMP   = $(VENV)/.installed

.PHONY: demo slurm-demo test test-spawn test-gpu check bench install clean

install: $(STAMP)

$(STAMP): pyproject.toml setup.py aux/install.sh
	aux/install.sh "$(PYTHON)" "$(VENV)"
	touch $@

demo: $(STAMP)
	$(RUN) aux/demo.py

slurm-demo: $(STAMP)
	aux/slurm/install.sh
	$(RUN) aux/slurm/cluster.py run -- $(RUN) aux/demo.py --slurm

# SEQTRACK_INSTALL_SLURM=1 has what tests/slurm needs installed; SEQTRACK_REQUIRE_SLURM=1 fails without it.
# SEQTRACK_INSTALL_BROWSER and SEQTRACK_REQUIRE_BROWSER likewise, for the pages of seqtrack view.
test: $(STAMP)
	aux/slurm/install.sh
	aux/browser/install.sh
	$(RUN) -m pytest $(PYTEST_ARGS)

# Whatever starts processes, where each of them starts from nothing, as on macOS. (Jobs of SLURM do so anyway.)
SPAWNING = tests/data/sampling/test_pairs.py tests/data/storage tests/data/indexing tests/data/preprocessing \
	tests/data/exchange tests/training tests/pipeline/test_what_training_sees.py \
	tests/pipeline/test_preprocessed_versions.py tests/cluster/test_killed_and_repeated.py \
	tests/cluster/test_damaged_checkpoints.py tests/cluster/test_superseded.py
test-spawn: $(STAMP)
	SEQTRACK_START_METHOD=spawn $(RUN) -m pytest $(SPAWNING) $(PYTEST_ARGS)

# The promise on a GPU: what is killed there and given again gives the same bytes. Not part of `make test`.
ON_GPU = tests/training tests/pipeline tests/cluster/test_killed_and_repeated.py \
	tests/cluster/test_damaged_checkpoints.py tests/cluster/test_superseded.py tests/tools/test_reproduce_command.py
test-gpu: $(STAMP)
	SEQTRACK_TEST_DEVICE=cuda $(RUN) -m pytest $(ON_GPU) $(PYTEST_ARGS)

check: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: $(STAMP)
	$(RUN) aux/bench/run.py

clean:
	rm -rf cache demo_data dataset_cache/*.h5 dataset_cache/*.lock .mypy_cache .ruff_cache .pytest_cache
