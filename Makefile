# `make demo` and `make test` set up all that they need. Only Python 3.11+ has to be there.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.set-up
PACKAGES := riverrun stream learner serving bench

.PHONY: help setup demo test check bench protos release-protos format clean

help:
	@echo "make demo    set up, then watch a model learn from Kafka while it serves"
	@echo "make test    set up, then run the tests (real Kafka, real sockets, real model)"
	@echo "make check   lint, types and interface rules"
	@echo "make bench   measure what the documents claim"
	@echo "make setup   only make $(VENV) (again only when the dependency files changed)"
	@echo "make protos  generate riverrun/v1 from protos/ again"
	@echo "make release-protos  from now on make check holds the protos against these"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "riverrun needs Python 3.11 or newer, $(PYTHON) is %d.%d: make PYTHON=python3.12 …" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade -c constraints.txt pip setuptools
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: setup
	$(BIN)/riverrun demo

test: setup
	$(BIN)/python -m pytest

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/buf lint
	$(BIN)/buf breaking --against protos/released.binpb

bench: setup
	$(BIN)/riverrun bench freshness

protos: setup
	$(BIN)/python -m grpc_tools.protoc -Iprotos --python_out=. --pyi_out=. --grpc_python_out=. protos/riverrun/v1/*.proto

release-protos: setup
	$(BIN)/buf breaking --against protos/released.binpb
	$(BIN)/buf build --exclude-source-info -o protos/released.binpb

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache *.egg-info
