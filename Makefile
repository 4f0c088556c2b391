# make demo: install and run the example.  make test: the tests, all backends.
# make fuzz: wrong inputs for every door, for an hour.
# make test-all: those that run on one backend by turns, on all of them too.
# make docs: the site, in docs/_build/html. make tutorials: run the examples whose
# text and figures it shows, a quarter of an hour on one core.
# The environment is .venv; a change of setup.cfg installs again.
PYTHON ?= python3
TENSORFLOW ?= tensorflow-cpu
# On Linux PyPI's torch brings gigabytes of CUDA. For the CPU build:
# make test TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"
TORCH ?= torch==2.13.0
BIN := .venv/bin

.PHONY: demo test test-all fuzz lint docs tutorials benchmark clean

demo: .venv/demo-installed
	KERAS_BACKEND=tensorflow $(BIN)/python examples/neural_decoder.py

test: .venv/test-installed
	$(BIN)/python -m tests.run_backends

test-all: .venv/test-installed
	$(BIN)/python -m tests.run_backends --every-backend

# For hours, if you like: make fuzz MINUTES=600
MINUTES ?= 60
fuzz: .venv/test-installed
	KERAS_BACKEND=torch $(BIN)/python -m tests.fuzz --minutes $(MINUTES)

lint: .venv/test-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

docs: .venv/docs-installed
	$(BIN)/sphinx-build -W --keep-going -q docs docs/_build/html
	@echo "The site is in docs/_build/html: open index.html."

tutorials: .venv/test-installed
	KERAS_BACKEND=jax $(BIN)/python docs/_ext/tutorials.py

# Beside the package as it was: make benchmark BEFORE=<commit>
benchmark: .venv/test-installed
	$(BIN)/python -m benchmarks.speed $(if $(BEFORE),--before $(BEFORE))

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

# The pages are made of text: neither a backend nor the package is imported.
.venv/docs-installed: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

clean:
	rm -rf .venv .cache build dist *.egg-info results docs/_build docs/reference
