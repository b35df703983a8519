# The one list of commands. `make demo` and `make test` set up what they need on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Linux machines without an NVIDIA driver take PyTorch's CPU build: the default wheel pulls gigabytes of CUDA.
CPU_TORCH := $(shell [ "$$(uname)" = Linux ] && ! command -v nvidia-smi >/dev/null && echo "--extra-index-url https://download.pytorch.org/whl/cpu")

.PHONY: demo test check docs notebooks phase browser bench clean

demo: $(VENV)/ready
	$(BIN)/wrongkey demo --out runs/demo

# Processes that each see one core: with more threads than cores they wait for each other, which more than doubled the
# time of the notebooks. Three are for two cores, since a fifth of the time is waiting. A file's fixtures are made once.
# Where PYTHONDONTWRITEBYTECODE is set, as in some Python images, each of a thousand processes would compile our modules
# again, for a fifth to a third of a second.
test: check
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 LOKY_MAX_CPU_COUNT=1 $(BIN)/python -m pytest --numprocesses 3 --dist loadfile

check: $(VENV)/ready docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy --num-workers 2

docs: $(VENV)/ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

notebooks: $(VENV)/ready
	$(BIN)/python notebooks/execute.py

# ltfatpy and PESQ (extra `phase`), and pghipy, which tests compare with. They are compiled and need Debian's packages, which
# root gets here; anyone else sees in the README how.
phase: $(VENV)/ready
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get -q update && apt-get -qy install --no-install-recommends libfftw3-dev liblapack-dev libblas-dev cmake; \
	fi
	$(BIN)/pip install --retries 1 -c constraints.txt -e '.[phase]' pghipy

# Chromium and its driver, for tests/browser and docs/screenshots.py, and Poppler for the latter. Elsewhere than on Debian
# any Chromium will do whose driver is on the PATH.
browser:
	command -v chromium && command -v chromedriver || \
		{ apt-get -q update && apt-get -qy install --no-install-recommends chromium chromium-driver poppler-utils; }

# The tables of docs/performance.md, on an idle machine: make bench BENCH="--only sweep --whisper FOLDER". Goes on where it stopped.
bench: $(VENV)/ready
	$(BIN)/python -m benchmarks.bench $(BENCH)

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 4) and "wrongkey needs Python 3.11.4 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --retries 1 --no-compile --no-deps $(CPU_TORCH) $$(grep -E '^torch(vision)?==' constraints.txt)
	$(BIN)/pip install --no-compile -c constraints.txt -e '.[dev]'
	$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true  # with all cores; a few files are templates
	touch $@

clean:
	rm -rf $(VENV) runs site
