# Every command a user or developer of aer-dask types. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
UV := $(VENV)/bin/uv

help: ## list these targets
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 18

# --- set-up -------------------------------------------------------------------

$(VENV)/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; \
	  sys.exit(0 if v >= (3, 11) else f"aer-dask needs Python 3.11 or newer; this is {v[0]}.{v[1]}. Try: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(PYTHON) scripts/locked.py uv > $(VENV)/uv.txt
	$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.txt
	$(UV) pip install --quiet --python $(RUN) --require-hashes -r requirements.lock
	$(UV) pip install --quiet --python $(RUN) --no-deps --no-build-isolation -e .
	@touch $@

setup: $(VENV)/ready ## make the virtual environment with the locked packages

LOCK := $(UV) pip compile --quiet $(if $(UPGRADE),--upgrade) --universal --python-version 3.11 \
  --generate-hashes --no-emit-index-url --custom-compile-command 'make lock'

lock: $(VENV)/ready ## resolve requirements.lock anew from pyproject.toml, and that of tests/clients: UPGRADE=1
	$(LOCK) --all-extras --group dev -o requirements.lock pyproject.toml
	$(LOCK) --no-annotate -o tests/clients/requirements.lock \
	  tests/clients/requirements.in pyproject.toml --constraint \
	  <(sed -nE 's/^((dask|distributed|qiskit|qiskit-aer)==[^ ]+).*/\1/p' requirements.lock)

# --- the main job -------------------------------------------------------------

smoke-test: $(VENV)/ready ## see it work: on SCHEDULER=tcp://..., else on a release of the chart, else embedded
	@SCHEDULER="$(SCHEDULER)" RELEASE="$(RELEASE)" $(RUN) scripts/smoke.py

bench: $(VENV)/ready ## measure ratios to plain Aer, to build/bench.json and .svg: REPEATS=3, CASES="qv4 ghz"
	$(RUN) -W ignore -m benchmarks.bench --repeats $(or $(REPEATS),3) $(if $(CASES),--cases $(CASES))

bench-check: $(if $(FROM),$(VENV)/ready,bench) ## name what has lost speed since the committed figures: FROM=build/bench.json
	$(RUN) -m benchmarks.check $(if $(FROM),--from $(FROM))

bench-publish: ## commit-ready figures of the last bench: benchmarks/figures.json and docs/bench.svg
	cp build/bench.json benchmarks/figures.json
	cp build/bench.svg docs/bench.svg

growth: $(VENV)/ready ## measure the client's time per circuit for few and many, to build/growth.json
	$(RUN) -W ignore benchmarks/growth.py

bench-scale: $(VENV)/ready ## up to 1000 workers that only wait, over a real scheduler, to build/scale.json
	$(RUN) -W ignore -m benchmarks.scale $(ARGS)

# --- tests --------------------------------------------------------------------

test: lint docs unit-test real-test ## all tests that need no Kubernetes: under 15 minutes on 2 cores

lint: $(VENV)/ready ## style, types, spelling, scripts, Dockerfile, YAML, chart, workflows; changes nothing
	@$(RUN) -m pre_commit run --all-files

# what of .pre-commit-config.yaml needs the tools of other people's Go
lint-chart:
	@$(CLUSTER_TOOL) tools helm
	@for file in charts/aer-dask/values.yaml tests/chart/everything.yaml $$(find values -name '*.yaml'); do \
	  helm lint --strict --quiet charts/aer-dask --values $$file; done

lint-workflows:
	@$(CLUSTER_TOOL) tools actionlint
	actionlint -shellcheck=$(VENV)/bin/shellcheck

audit: $(VENV)/ready ## look the locked packages up among known advisories, where the package index has them
	$(VENV)/bin/pip-audit --strict --requirement requirements.lock --no-deps --require-hashes --disable-pip

fix: $(VENV)/ready ## reformat, and mend what ruff can mend
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

unit-test: $(VENV)/ready ## fast tests, properties among them, and the chart's; no cluster
	@$(CLUSTER_TOOL) tools helm
	$(RUN) -m pytest -n logical --maxprocesses 4 tests/unit tests/chart $(ARGS)

real-test: $(VENV)/ready ## tests on real dask scheduler and worker processes
	$(RUN) -m pytest -n 2 --dist loadfile tests/real $(ARGS)

test-cluster: $(VENV)/ready ## the chart and the images on a real Kubernetes: CLUSTER=host|kind|minikube
	$(RUN) -m tests.kubernetes.session $(if $(CLUSTER),--cluster $(CLUSTER)) -- $(ARGS)

chaos: $(VENV)/ready ## faults of every kind on a release under load, and their table: SEED=1 MINUTES=10 RELEASE=namespace/name
	$(RUN) -m tests.chaos $(if $(SEED),--seed=$(SEED)) $(if $(MINUTES),--minutes=$(MINUTES)) $(if $(RELEASE),--release=$(RELEASE))

stats: $(VENV)/ready ## test distributions of shared trajectories, to build/stats.json and .svg: under 10 minutes
	$(RUN) -W ignore -m tests.stats

coverage: export PYTHONPATH := $(CURDIR)
COVERAGE := $(RUN) -m coverage
# of the tests on a cluster those that make one from Python
MAKE_CLUSTERS := -k 'test_helm_cluster or test_kube_cluster or test_versions'

coverage: $(VENV)/ready ## measure which lines of the package tests run: at least 95 %, else it fails; CLUSTER=host|kind|minikube
	@$(CLUSTER_TOOL) tools helm
	rm -rf build/coverage && mkdir -p build/coverage
	$(COVERAGE) run -m pytest -n logical --maxprocesses 4 $(or $(UNIT),tests/unit)
	$(COVERAGE) run -m pytest -n 2 --dist loadfile $(or $(REAL),tests/real)
	$(RUN) -m tests.kubernetes.session --coverage $(if $(CLUSTER),--cluster $(CLUSTER)) -- $(MAKE_CLUSTERS)
	$(COVERAGE) combine --quiet
	$(COVERAGE) html --quiet --fail-under 0 --directory build/coverage/html
	$(COVERAGE) report

mutants: $(VENV)/ready ## faults put in one by one, and which no test notices: PART=runs/merge EVERY=4
	$(RUN) -m tests.mutation $(or $(PART),runs/merge) $(if $(EVERY),--every $(EVERY))

install-test: $(VENV)/ready ## wheel and sdist installed from nothing: each Python, locked, oldest, newest packages
	$(RUN) -m pytest -n 2 tests/install $(ARGS)

CLIENTS := .venv-clients

$(CLIENTS)/ready: tests/clients/requirements.lock pyproject.toml $(VENV)/ready
	$(RUN) -m venv --without-pip --clear $(CLIENTS)
	$(UV) pip install --quiet --python $(CLIENTS)/bin/python --require-hashes -r $<
	$(UV) pip install --quiet --python $(CLIENTS)/bin/python --no-deps --no-build-isolation -e .
	@touch $@

clients: $(CLIENTS)/ready ## the libraries of others over an executor, in an environment of their own
	$(CLIENTS)/bin/python -m pytest tests/clients $(ARGS)

conformance: $(VENV)/ready ## upstream's own tests, through a cluster: AER=<checkout of qiskit-aer>
	@test -d "$(AER)/test/terra" || { echo "Say where qiskit-aer is checked out: make conformance AER=../qiskit-aer"; exit 2; }
	rm -rf build/conformance && mkdir -p build/conformance && cp -r $(AER)/test build/conformance/
	cd build/conformance && PYTHONPATH=$(CURDIR)/tests/conformance $(CURDIR)/$(RUN) -m pytest \
	  -p plugin -p no:cacheprovider -q -W ignore --timeout 600 -c /dev/null --rootdir . \
	  $(or $(ARGS),test/terra/backends test/terra/primitives test/terra/noise)

.PHONY: help setup lock smoke-test bench bench-check bench-publish growth bench-scale test lint lint-chart lint-workflows audit fix unit-test real-test coverage mutants install-test stats test-cluster chaos clients conformance

# --- chart ---

chart-docs: $(VENV)/ready ## make the chart's schema and table of values anew
	$(RUN) scripts/chart_docs.py

.PHONY: chart-docs

screenshots: $(VENV)/ready ## take the pictures of docs/ anew: on RELEASE=namespace/name, else embedded
	@RELEASE="$(RELEASE)" $(RUN) -W ignore scripts/screenshots.py

.PHONY: screenshots

docs: $(VENV)/ready ## the site of docs/, to build/docs; warnings are errors. SERVE=8000 serves it on that port of this machine
	$(RUN) -m sphinx --nitpicky --fail-on-warning --keep-going --quiet --jobs auto -b html docs build/docs
	$(if $(SERVE),$(RUN) -m http.server --bind 127.0.0.1 --directory build/docs $(SERVE))

.PHONY: docs

# --- images and clusters ---

CLUSTER_TOOL := $(PYTHON) -m tests.kubernetes
TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/aer-dask/bin
export PATH := $(TOOLS):$(PATH)

tools: ## helm and kubectl, compiled where PATH has none that fit
	$(CLUSTER_TOOL) tools

cluster-up: ## a Kubernetes to test on: CLUSTER=host|kind|minikube|current (default: the best at hand)
	$(CLUSTER_TOOL) $(if $(CLUSTER),--cluster $(CLUSTER)) up

cluster-down: ## take that Kubernetes down again
	$(CLUSTER_TOOL) down

IMAGES ?= runtime jupyter

images: $(VENV)/ready ## build the images: IMAGES="runtime jupyter" (or gpu), BASE=another Debian bookworm
	$(PYTHON) images/build.py build $(if $(BASE),--base $(BASE)) $(IMAGES)
	$(RUN) -m images.sbom $(IMAGES)

push: ## push the images: REGISTRY=registry.example.org/team
	$(PYTHON) images/build.py push $(if $(REGISTRY),--registry $(REGISTRY)) $(IMAGES)

dist: $(VENV)/ready ## build wheel, sdist and the chart's package, to dist/: REGISTRY=where its images will be
	@$(CLUSTER_TOOL) tools helm
	$(RUN) scripts/dist.py $(if $(REGISTRY),--registry $(REGISTRY))

push-chart: $(VENV)/ready ## push the chart of dist/, to REGISTRY/charts: REGISTRY=registry.example.com/team
	$(RUN) scripts/dist.py --push $(if $(REGISTRY),--registry $(REGISTRY))

sign: ## sign what push and push-chart have pushed, with cosign: OPTIONS="--key cosign.key"
	$(PYTHON) -m images.sign $(OPTIONS)

publish: $(VENV)/ready ## send wheel and sdist of dist/ to the package index
	$(UV) publish dist/*.whl dist/*.tar.gz

VERSION_NOW = $(shell sed -nE 's/^version = "(.*)"/\1/p' pyproject.toml)

announce: ## make the tagged version a release on GitHub, with its notes: FILES="dist/* build/sbom/*"
	gh release create v$(VERSION_NOW) --verify-tag --title "aer-dask $(VERSION_NOW)" \
	  --notes-file <($(PYTHON) scripts/changelog.py $(VERSION_NOW)) $(or $(FILES),dist/* build/sbom/*)

release: $(VENV)/ready ## version, changelog, commit, build, tag: VERSION=0.2.0 IMAGES="runtime jupyter" DRY_RUN=1
	@test -n "$(VERSION)" || { echo "Say which: make release VERSION=0.2.0"; exit 2; }
	@$(CLUSTER_TOOL) tools helm
	$(RUN) scripts/release.py $(VERSION) $(if $(DRY_RUN),--dry-run) $(if $(IMAGES),--images $(IMAGES))

load: ## load the images into the cluster that cluster-up made
	$(CLUSTER_TOOL) load $$($(PYTHON) images/build.py archive $(IMAGES))

# the cluster just made, whatever else the terminal's $KUBECONFIG names
ON_IT := KUBECONFIG=$(CURDIR)/build/kubeconfig

up: $(VENV)/ready ## all in one: cluster, images, helm install, smoke test (REGISTRY=... pushes the images)
	$(MAKE) tools
	$(MAKE) cluster-up
	$(MAKE) images
	$(MAKE) $(if $(REGISTRY),push,load)
	$(ON_IT) $(RUN) scripts/install.py $(if $(REGISTRY),--registry $(REGISTRY))
	$(ON_IT) $(MAKE) smoke-test RELEASE=aer-dask/aer

operator: $(VENV)/ready ## install dask-kubernetes' operator, for KubeCluster, on the cluster at hand: REGISTRY=..., REMOVE=1
	$(RUN) scripts/install_operator.py $(if $(REGISTRY),--registry $(REGISTRY)) $(if $(REMOVE),--remove)

images/gpu.lock: images/gpu.in requirements.lock $(VENV)/ready
	$(UV) pip compile --quiet --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
	  --constraint requirements.lock --generate-hashes --no-emit-index-url \
	  --custom-compile-command 'make images/gpu.lock' -o $@ $<

.PHONY: tools cluster-up cluster-down images dist push push-chart sign publish announce release load up operator
