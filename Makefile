# Everything runs in .venv, made from requirements/dev.txt; only python3, make and git are needed.
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: install
install: .venv/installed  ## make the virtual environment

.venv/installed: requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

.PHONY: demo
demo: install  ## run an agent, a question to documents, both on recorded traffic, and a service; show the traces
	$(BIN)/python examples/agent.py
	$(BIN)/python examples/rag_langchain.py
	$(BIN)/python examples/service.py

.PHONY: chromium
chromium: install  ## install the browser that pages are tested in, where that can be done without asking
	$(BIN)/python -m tests.browser.chromium

.PHONY: test
test: chromium  ## every environment of the matrix, as noxfile.py says
	$(BIN)/nox --error-on-missing-interpreters

.PHONY: quick
quick: install  ## the tests in the main environment only
	$(BIN)/python -m pytest -q

.PHONY: lint
lint: install  ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: bench
bench: install  ## measure beside the peers; takes some minutes and a gigabyte of their packages
	$(BIN)/python benchmarks/run.py

.PHONY: pictures
pictures: chromium  ## take the pictures of the documentation anew
	$(BIN)/python docs/pictures/take.py

.PHONY: bench-pages
bench-pages: chromium  ## measure the web page beside those of MLflow and Phoenix; takes half an hour and two gigabytes
	$(BIN)/python benchmarks/pages.py --write

.PHONY: lock
lock: install  ## pin anew what requirements/*.in ask for
	$(BIN)/nox -s lock
