# Two commands do everything: `make demo` and `make test`. Both make .venv first if it is missing.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

PEERS := .venv-peers

.PHONY: install demo test test-plain test-slow gpu lint format clean peers benchmarks gallery-quick

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip "setuptools>=77" wheel
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[engines,dev]"
	touch $(STAMP)

demo: install
	$(BIN)/sharpscope demo

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYTHONPATH=.:cli $(BIN)/lint-imports
	$(BIN)/pyright

# Two processes of one thread each; what belongs to one file stays together.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not slow and not gpu"

test-plain: install
	SHARPSCOPE_TEST_REPLAY=off $(BIN)/python -m pytest -q -m "not slow and not gpu"

test-slow: install
	$(BIN)/python -m pytest -q -m slow

# On a machine with CUDA: what is marked gpu, the suites of the interfaces with all tensors there,
# and one file of figures to commit, benchmarks/results/gpu.json.
gpu: install
	$(BIN)/python -m pytest -q -m gpu
	SHARPSCOPE_TEST_DEVICE=cuda $(BIN)/python -m pytest -q -m "not slow and not gpu" tests/operators tests/replay
	$(BIN)/python -W ignore -m benchmarks.gpu

# The libraries that benchmarks compare with, apart from ours: one of them needs torchvision, which
# has no build beside the CPU torch and is taken out again.
peers: $(PEERS)/.installed

$(PEERS)/.installed: constraints.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip "setuptools>=77" wheel
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt pyhessian==0.1 \
	  hessian-eigenthings==1.0.0a5 curvlinops-for-pytorch==3.0.1 loss-landscapes==3.0.6 landscaper==1.3.1 \
	  scikit-learn safetensors
	$(PEERS)/bin/python -m pip uninstall --quiet -y torchvision
	touch $@

# Every picture of the gallery, by the scripts beside them, two at a time.
gallery-quick: install
	$(BIN)/python -W ignore gallery/shared.py
	grep -l '^from shared import' gallery/*.py | OMP_NUM_THREADS=1 xargs -P 2 -n 1 $(BIN)/python -W ignore

benchmarks: install peers
	$(BIN)/python -W ignore -m benchmarks.trace
	$(BIN)/python -W ignore -m benchmarks.landscape

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(PEERS) build dist *.egg-info
