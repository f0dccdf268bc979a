# make demo | make test | make test-zoo | make setup | make lint | make bench
# Everything runs in .venv, made from the lock in envs/ and remade only when the lock changes.
PYTHON ?= python3
CORES ?= $(shell nproc 2>/dev/null || echo 2)
VENV := .venv
READY := $(VENV)/.installed
BIN := $(abspath $(VENV))/bin
export PATH := $(BIN):$(PATH)

.PHONY: setup demo test test-zoo lint format bench docs publish lock clean

setup: $(READY)

$(READY): envs/requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "segbench needs Python 3.11 or newer; name one with: make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@echo "Installing the pinned packages into $(VENV) (about two minutes) ..."
	@# torch comes with its own dependencies (on Linux with CUDA), everything else exactly as locked
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint envs/requirements.lock "$$(grep '^torch==' envs/requirements.lock)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  --requirement envs/requirements.lock
	@# so that `python -m segbench` works in this environment
	@echo "$(CURDIR)/workflow/scripts" > "$$($(BIN)/python -c 'import site; print(site.getsitepackages()[0])')/segbench.pth"
	@touch $(READY)

demo: setup
	snakemake --cores $(CORES)
	@echo "The report: file://$(CURDIR)/results/report.html"

test: setup
	python -m pytest

# every published model, one by one; hours on two cores, and goes on where it was stopped
test-zoo: setup
	python -W ignore tests/zoo/sweep.py

lint: setup
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow/rules
	mypy
	PYTHONPATH=workflow/scripts lint-imports --no-logo
	snakemake --lint

format: setup
	ruff check --fix .
	ruff format .
	snakefmt Snakefile workflow/rules

bench: setup
	python benchmarks/confusion.py
	python benchmarks/png.py
	python benchmarks/prepare.py

docs: setup
	python -m segbench docs

# keep the tables and pictures of a finished experiment: make publish EXPERIMENT=idd_lite
publish:
	@test -f results/$(EXPERIMENT)/README.md || { echo "results/$(EXPERIMENT) is not finished"; exit 1; }
	mkdir -p docs/results/$(EXPERIMENT)/tables docs/results/$(EXPERIMENT)/figures docs/results/$(EXPERIMENT)/gallery
	cp results/$(EXPERIMENT)/README.md docs/results/$(EXPERIMENT)/
	cp results/$(EXPERIMENT)/tables/*.csv results/$(EXPERIMENT)/tables/*.md docs/results/$(EXPERIMENT)/tables/
	cp results/$(EXPERIMENT)/figures/*.png docs/results/$(EXPERIMENT)/figures/
	cp results/$(EXPERIMENT)/gallery/*.png docs/results/$(EXPERIMENT)/gallery/

lock:
	rm -rf .lock-venv
	$(PYTHON) -m venv .lock-venv
	.lock-venv/bin/python -m pip install --quiet "$$(grep '^torch==' envs/requirements.in)"
	.lock-venv/bin/python -m pip install --quiet --requirement envs/requirements.in
	.lock-venv/bin/python envs/lock.py
	rm -rf .lock-venv

clean:
	rm -rf results resources .snakemake
