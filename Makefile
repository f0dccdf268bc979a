# `make` lists the targets. Everything runs in .venv, which is made from the lock in envs/ and remade
# only when the lock changes.
.DEFAULT_GOAL := help
PYTHON ?= python3
CORES ?= $(shell nproc 2>/dev/null || echo 2)
VENV := .venv
READY := $(VENV)/.installed
EXTRAS_VENV := .venv-extras
BIN := $(abspath $(VENV))/bin
# a folder that `make bundle` fills, and from which `make setup` installs without a network
BUNDLE ?=
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check \
  $(if $(BUNDLE),--no-index --find-links "$(BUNDLE)/wheels")
# further packages that some models need: make setup EXTRAS=mmdet, or EXTRAS=all
EXTRAS ?=
KNOWN_EXTRAS := $(patsubst envs/extras/%.lock,%,$(wildcard envs/extras/*.lock))
COMMA := ,
WANTED := $(if $(filter all,$(EXTRAS)),$(KNOWN_EXTRAS),$(subst $(COMMA), ,$(EXTRAS)))
$(if $(filter-out $(KNOWN_EXTRAS),$(WANTED)),$(error There is no extra named \
  $(filter-out $(KNOWN_EXTRAS),$(WANTED)); choose from: $(KNOWN_EXTRAS), all))
# where `make bundle` puts it
TO ?= bundle
WHEEL = $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --wheel-dir "$(TO)/wheels"
export PATH := $(BIN):$(PATH)

.PHONY: help demo setup extras bundle test test-experiments test-kill test-slurm test-gpu test-extras test-zoo lint format docs bench bench-gpu publish lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:[^#]*## /\t/' | \
	  awk -F '\t' '{ printf "make %-10s %s\n", $$1, $$2 }'

setup: $(READY) $(WANTED:%=$(VENV)/.extra-%)  ## install the pinned environment into .venv; EXTRAS=all for every model

$(READY): envs/requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "segbench needs Python 3.11 or newer; name one with: make PYTHON=python3.11"; exit 1; }
	@test -z "$(BUNDLE)" || test -d "$(BUNDLE)/wheels" || { echo "$(BUNDLE) is not a bundle: it has no wheels"; exit 1; }
	@# before anything of it is installed
	@test -z "$(BUNDLE)" || PYTHONPATH=workflow/scripts $(PYTHON) -m segbench.system.bundle "$(BUNDLE)"
	@# what a link leads to belongs to another checkout
	@test ! -L $(VENV) || { echo "$(VENV) is a link to $$(readlink $(VENV)), and older than envs/requirements.lock: remove the link, or touch $(READY) if it is up to date"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@echo "Installing the pinned packages into $(VENV) (about two minutes) ..."
	@# torch comes with its own dependencies (on Linux with CUDA), everything else exactly as locked
	$(INSTALL) --constraint envs/requirements.lock "$$(grep '^torch==' envs/requirements.lock)"
	$(INSTALL) --no-deps --requirement envs/requirements.lock
	@# so that `python -m segbench` works in this environment
	@echo "$(CURDIR)/workflow/scripts" > "$$($(BIN)/python -c 'import site; print(site.getsitepackages()[0])')/segbench.pth"
	@test -z "$(BUNDLE)" || $(BIN)/python -m segbench bundle take "$(BUNDLE)"
	@touch $(READY)

$(VENV)/.extra-%: envs/extras/%.lock $(READY)
	@echo "Installing what $* needs into $(VENV) ..."
	$(INSTALL) --no-deps --requirement $<
	@touch $@

bundle: setup  ## all that an experiment needs from the network: make bundle EXPERIMENT=FILE TO=DIR
	@test -f "$(EXPERIMENT)" || \
	  { echo "usage: make bundle EXPERIMENT=config/experiments/idd_lite.yaml TO=DIR"; exit 1; }
	rm -f resources/fetched.txt
	snakemake fetch --cores 1 --configfile $(EXPERIMENT)
	@mkdir -p "$(TO)/wheels"
	$(WHEEL) "$$(grep '^torch==' envs/requirements.lock)" --constraint envs/requirements.lock
	$(WHEEL) --no-deps --requirement envs/requirements.lock $(WANTED:%=--requirement envs/extras/%.lock)
	$(BIN)/python -m segbench bundle add "$(TO)" $$(cat resources/fetched.txt)

demo: setup  ## draw two datasets, train three models on the CPU, write the report (five minutes)
	snakemake --cores $(CORES)
	@echo "The report: file://$(CURDIR)/results/demo/report.html"

# a file per core at a time, in this order: the long ones first, so that no core waits at the end,
# and only one of the first two needs the finished experiment that all share. Files, and not their
# folder, because pytest sorts what lies in a folder
first = $(1) $(filter-out $(1),$(2))
PYTEST = python -m pytest --numprocesses $(CORES) --dist loadfile --no-loadscope-reorder

test: setup  ## the tests of the library, the plan, and an experiment from end to end (12 minutes on two cores)
	$(PYTEST) $(call first,tests/integration/test_batches.py tests/dryrun,$(wildcard tests/integration/test_*.py)) tests/unit

test-experiments: setup  ## really run experiments of every kind, on the CPU (20 minutes)
	$(PYTEST) $(call first,$(addprefix tests/experiments/,test_conditions.py test_screening.py),$(wildcard tests/experiments/test_*.py))

test-kill: setup  ## kill a training twenty times, and all kinds of training once; compare every bit (ten minutes)
	SEGBENCH_KILLS=20 $(PYTEST) --dist worksteal tests/kill

test-slurm: setup  ## run the workflow on a real SLURM that is started here (root; 25 minutes)
	python -m pytest tests/slurm -s

test-gpu: setup  ## what only a CUDA device can show, on a machine that has one
	python -m pytest tests/gpu

# an environment of its own, on top of the other one
extras: setup  ## an environment with every extra, .venv-extras
	@test -d $(EXTRAS_VENV) || $(BIN)/python -m venv $(EXTRAS_VENV)
	@$(BIN)/python -c 'import site; print(*site.getsitepackages(), "$(CURDIR)/workflow/scripts", sep="\n")' \
	  > "$$($(EXTRAS_VENV)/bin/python -c 'import site; print(site.getsitepackages()[0])')/base.pth"
	$(EXTRAS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  $(KNOWN_EXTRAS:%=--requirement envs/extras/%.lock)
	@printf '#!%s\nfrom snakemake.cli import main\nmain()\n' "$(abspath $(EXTRAS_VENV))/bin/python" > $(EXTRAS_VENV)/bin/snakemake
	@chmod +x $(EXTRAS_VENV)/bin/snakemake

test-extras: extras  ## test the models that need the extras (five minutes)
	PATH="$(abspath $(EXTRAS_VENV))/bin:$$PATH" SEGBENCH_REQUIRE_EXTRAS=1 \
	  $(EXTRAS_VENV)/bin/python -m pytest --numprocesses $(CORES) --dist worksteal tests/extras

test-zoo: extras  ## try every published model (hours), continuing where it stopped
	PATH="$(abspath $(EXTRAS_VENV))/bin:$$PATH" $(EXTRAS_VENV)/bin/python -W ignore tests/zoo/sweep.py

lint: setup  ## check style, types, import contracts and rules
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow/rules
	mypy
	PYTHONPATH=workflow/scripts lint-imports --no-logo
	snakemake --lint

format: setup  ## format Python and rules
	ruff check --fix .
	ruff format .
	snakefmt Snakefile workflow/rules

bench: setup  ## measure this CPU against MMSegmentation's tools, into docs/performance.md (a quarter of an hour)
	python -W ignore benchmarks/performance.py

bench-gpu: setup  ## the same on a machine with a CUDA device
	python -W ignore benchmarks/performance.py --gpu

docs: setup  ## bring generated documents up to date
	python -m segbench docs

publish:  ## copy a finished experiment to docs/results: make publish EXPERIMENT=idd_lite
	@test -f results/$(EXPERIMENT)/README.md || { echo "results/$(EXPERIMENT) is not finished"; exit 1; }
	mkdir -p docs/results/$(EXPERIMENT)/tables docs/results/$(EXPERIMENT)/figures docs/results/$(EXPERIMENT)/gallery
	@# the page with all images is too large for a repository
	grep -v 'index.html' results/$(EXPERIMENT)/README.md > docs/results/$(EXPERIMENT)/README.md
	cp results/$(EXPERIMENT)/tables/*.csv results/$(EXPERIMENT)/tables/*.md docs/results/$(EXPERIMENT)/tables/
	cp results/$(EXPERIMENT)/figures/*.png docs/results/$(EXPERIMENT)/figures/
	cp results/$(EXPERIMENT)/gallery/*.png docs/results/$(EXPERIMENT)/gallery/

lock:  ## resolve envs/requirements.in into a new lock
	rm -rf .lock-venv
	$(PYTHON) -m venv .lock-venv
	.lock-venv/bin/python -m pip install --quiet "$$(grep '^torch==' envs/requirements.in)"
	.lock-venv/bin/python -m pip install --quiet --requirement envs/requirements.in
	.lock-venv/bin/python envs/lock.py
	rm -rf .lock-venv

clean:  ## delete results, downloads and what Snakemake remembers
	rm -rf results resources .snakemake
