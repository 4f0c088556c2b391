# make demo: install and run the example.  make test: the tests, all backends.
# make test-all: those that run on one backend by turns, on all of them too.
# The environment is .venv; a change of setup.cfg installs again.
PYTHON ?= python3
TENSORFLOW ?= tensorflow-cpu
# On Linux PyPI's torch brings gigabytes of CUDA. For the CPU build:
# make test TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"
TORCH ?= torch==2.13.0
BIN := .venv/bin

.PHONY: demo test test-all lint benchmark clean

demo: .venv/demo-installed
	KERAS_BACKEND=tensorflow $(BIN)/python examples/neural_decoder.py

test: .venv/test-installed
	$(BIN)/python -m tests.run_backends

test-all: .venv/test-installed
	$(BIN)/python -m tests.run_backends --every-backend

lint: .venv/test-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

benchmark: .venv/test-installed
	$(BIN)/python -m benchmarks.run_backends

.venv/bin/python:
	$(PYTHON) -c "import sys; assert sys.version_info >= (3, 11), \
	    f'Python 3.11 or newer is needed, this is {sys.version}. Use: make PYTHON=python3.12 ...'"
	$(PYTHON) -m venv .venv

.venv/demo-installed: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[$(TENSORFLOW),plot]'
	touch $@

.venv/test-installed: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --editable '.[$(TENSORFLOW),jax,torch,plot,test]'
	touch $@

clean:
	rm -rf .venv .cache build dist *.egg-info results
