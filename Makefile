# The two commands of the README are `make demo` and `make test`; everything they need they install here.
# PYTHON is any CPython 3.11 or newer.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check lint clean install
.DEFAULT_GOAL := test

install: $(VENV)/.installed

$(VENV)/.installed: requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: install
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python docs/run_commands.py docs/tutorial/first-release.md

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The inner loop: what needs no framework, no NFS lab and no Debian package, in a minute and a half on two cores. What is slower
# is left to `make test`.
CHECKED := tests/core tests/emit tests/net tests/models/formats tests/pipeline/stage tests/pipeline/tools tests/store/fs \
	$(addprefix tests/store/test_,current.py journal.py prune.py publish.py repair.py verify.py verify_lock.py) \
	$(addprefix tests/cli/test_,aws_options.py choose_builder.py hints.py) \
	$(addprefix tests/docs/test_,cli_reference.py links.py reference.py) tests/test_layers.py
check: install lint
	$(BIN)/pytest -n 2 -m "not lab and not slow" --ignore tests/models/formats/test_keras_config.py $(CHECKED)

test: install lint lab-packages
	$(BIN)/pytest -n 4 --dist loadgroup

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache dist build

include $(wildcard *.mk)
