# Everything a user or a developer calls. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
VENV55 ?= .venv-hub-5.5
VENV_ROOT ?= .venv-root
ARGS ?=
PYTEST_ARGS ?=

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# --- environments -----------------------------------------------------------
# Hash-locked; a stamp holds each environment to its lock file. $(1) folder, $(2) lock.
define install
	test -x $(1)/bin/python || { $(PYTHON) tools/check_python.py && $(PYTHON) -m venv $(1); }
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	$(1)/bin/uv pip install --quiet --python $(1)/bin/python --require-hashes -r $(2)
	$(1)/bin/uv pip install --quiet --python $(1)/bin/python --no-deps --no-build-isolation --editable .
endef

$(VENV)/.facility: requirements/bootstrap.txt requirements/facility.txt pyproject.toml
	@echo "- Python environment in $(VENV)"
	$(call install,$(VENV),requirements/facility.txt)
	@touch $@

$(VENV)/.dev: $(VENV)/.facility requirements/dev.txt
	@echo "Tools for developers in $(VENV)"
	$(call install,$(VENV),requirements/dev.txt)
	@touch $@

$(VENV55)/.installed: requirements/bootstrap.txt requirements/hub-5.5.txt pyproject.toml
	@echo "JupyterHub 5.5 in $(VENV55)"
	$(call install,$(VENV55),requirements/hub-5.5.txt)
	@touch $@

# with a kernel that the Labs of $(VENV) find
$(VENV_ROOT)/.installed: $(VENV)/.facility requirements/root.txt
	@echo "ROOT in $(VENV_ROOT), a kernel of its own"
	$(call install,$(VENV_ROOT),requirements/root.txt)
	JUPYTER_PATH=$(abspath $(VENV))/share/jupyter $(VENV_ROOT)/bin/python -m ipykernel install \
	  --prefix $(abspath $(VENV)) --name analysis-facility-root --display-name "ROOT" >/dev/null
	@touch $@

# --- use --------------------------------------------------------------------
.PHONY: setup
setup: $(VENV)/.facility ## Prepare this machine: environment, front end, proxy
	@echo "- Front end and proxy"
	@$(BIN)/analysis-facility setup

.PHONY: run
run: $(VENV)/.facility ## Start a facility on this machine; options by ARGS="…"
	@$(BIN)/analysis-facility run $(ARGS)

# --- checks -----------------------------------------------------------------

MARKDOWN := $(shell git ls-files '*.md')
FRONT := af_labextension

$(FRONT)/node_modules/.installed: $(FRONT)/package.json $(FRONT)/package-lock.json
	cd $(FRONT) && npm ci --no-audit --no-fund
	@touch $@

.PHONY: lint
lint: $(VENV)/.dev $(FRONT)/node_modules/.installed ## Every static check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/interrogate --quiet af_hub af_labextension
	$(BIN)/codespell
	$(BIN)/mdformat --check $(MARKDOWN)
	$(BIN)/yamllint --strict .
	$(BIN)/djlint --check --lint --quiet af_hub
	$(BIN)/validate-pyproject pyproject.toml
	$(BIN)/sp-repo-review . --show err
	$(BIN)/python tools/check_tree.py
	cd $(FRONT) && npm run --silent lint:check

.PHONY: format
format: $(VENV)/.dev $(FRONT)/node_modules/.installed ## Mend what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/mdformat $(MARKDOWN)
	-$(BIN)/djlint --reformat --quiet af_hub
	cd $(FRONT) && npm run --silent lint

# What the tests need from Debian: package and one program of it. Installed only as root on Debian.
APT_PROGRAMS := \
  chromium:chromium \
  fonts-dejavu-core:/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf \
  xrootd-server:xrootd \
  xrootd-server-plugins:/usr/lib/*/libXrdPfc-*.so \
  xrootd-scitokens-plugins:/usr/lib/*/libXrdAccSciTokens-*.so \
  xrootd-client:xrdcp \
  xrootd-plugins:/usr/lib/*/libXrdSecgsi-*.so \
  memcached:memcached \
  oidc-agent-cli:oidc-token \
  rclone:rclone \
  liboidc-agent4:/usr/lib/*/liboidc-agent.so.4 \
  postgresql:/usr/lib/postgresql/*/bin/initdb \
  etcd-server:etcd \
  containerd:containerd \
  runc:/usr/*bin/runc \
  containernetworking-plugins:/usr/lib/cni/ptp \
  iptables:/usr/*bin/iptables \
  nftables:/usr/*bin/nft \
  buildah:buildah \
  mmdebstrap:mmdebstrap

.PHONY: system
system: ## Install what the tests need from Debian, as root
	@tools/debian_packages.sh $(APT_PROGRAMS)

KUBE := PYTHONPATH=tests $(BIN)/python -m testbed.kube

# two at a time, since much of their time they wait; what one prints comes at its end
SIDE_BY_SIDE := $(MAKE) --no-print-directory --keep-going --output-sync=target

.PHONY: test
test: $(VENV)/.dev $(VENV55)/.installed setup system ## Every test but those of Kubernetes and images, on JupyterHub 6.1 and 5.5
	cd $(FRONT) && npm run --silent test
	$(SIDE_BY_SIDE) --jobs=2 $(TEST_PARTS:%=_test-%)

# the longest first; `units` has all that no other part has
TEST_PARTS := labs hubs units hubs-5.5 data
TESTS_labs := tests/lab
TESTS_data := tests/data tests/faults
TESTS_hubs := tests/hub tests/browser
TESTS_units := $(filter-out \
  $(TESTS_labs) $(TESTS_data) $(TESTS_hubs) tests/kube tests/images tests/testbed tests/bench, \
  $(patsubst %/,%,$(wildcard tests/*/)))

_test-hubs-5.5: BIN := $(VENV55)/bin
TESTS_hubs-5.5 := tests/hub

.PHONY: $(TEST_PARTS:%=_test-%)
$(TEST_PARTS:%=_test-%): _test-%:
	$(BIN)/pytest $(TESTS_$*) $(PYTEST_ARGS)

.PHONY: test-kube
test-kube: $(VENV)/.dev setup system helm-tools ## The tests of Kubernetes, values and images, as root on Debian; builds for minutes the first time
	$(KUBE) tools --for-tests
	$(IMAGES)
	@# three at a time, since all wait most of the time
	$(SIDE_BY_SIDE) --jobs=3 $(KUBE_PARTS:%=_test-kube-%)

# the Labs of one part disturb those of another: `own` gives a part a cluster that nobody else uses
KUBE_PARTS := labs gpus images
KUBE_PYTEST := AF_REQUIRE=kube,images,helm,helmfile,browser $(BIN)/pytest
KUBE_OWN := $(wildcard tests/kube/test_gpus_*.py tests/kube/test_policy_*.py) \
  tests/kube/test_cluster_elsewhere.py tests/kube/test_cluster_extras.py
KUBE_APART := tests/kube/test_cluster_life.py tests/kube/test_cluster_errors.py

.PHONY: $(KUBE_PARTS:%=_test-kube-%)
_test-kube-labs:
	$(KUBE_PYTEST) tests/kube $(patsubst %,--ignore=%,$(KUBE_OWN) $(KUBE_APART)) $(PYTEST_ARGS)

_test-kube-gpus:
	AF_REQUIRE=kube,browser $(KUBE) own $(BIN)/pytest $(KUBE_OWN) $(PYTEST_ARGS)

_test-kube-images:
	$(KUBE_PYTEST) tests/images tests/unit/kube_values $(KUBE_APART) $(PYTEST_ARGS)

.PHONY: test-xrootd-6
test-xrootd-6: $(VENV)/.dev system ## The XCache's tests against XRootD 6 from Debian sid; needs root
	root="$$(tools/xrootd_6.sh)"; AF_REQUIRE=xrootd AF_XROOTD_ROOT="$$root" \
	  $(BIN)/pytest tests/data/test_xcache_*.py $(PYTEST_ARGS)

.PHONY: root-env
root-env: $(VENV_ROOT)/.installed ## ROOT for notebooks and clusters: an environment and a kernel of its own, 870 MB

.PHONY: test-root
test-root: $(VENV)/.dev root-env setup system ## Distributed RDataFrame on a clicked cluster
	AF_REQUIRE=root,xrootd $(BIN)/pytest tests/notebooks/test_notebooks_root.py $(PYTEST_ARGS)

.PHONY: kube-up kube-down kube-status kube-tools
kube-up: $(VENV)/.dev system ## A real Kubernetes of one node, as root; prints its kubeconfig
	@$(KUBE) up $(ARGS)

kube-down: $(VENV)/.dev ## Take it down; programs and images are kept
	@$(KUBE) down

kube-status: $(VENV)/.dev ## Say how it is
	@$(KUBE) status

kube-tools: $(VENV)/.dev ## Build its programs only; ARGS="metrics kwok" for those on demand
	@$(KUBE) tools $(ARGS)

.PHONY: helm-tools
helm-tools: ## Build helmfile for the tests of helm-values, some minutes once; needs Go
	@tools/helm/build.sh

# --- images -----------------------------------------------------------------
# Only what has changed is built; archives, bills of materials and records lie in AF_IMAGES_HOME.
IMAGES := $(BIN)/python -m tools.images build

.PHONY: images
images: $(VENV)/.facility system ## Container images of hub, Lab, XCache and Dask gateway; options by ARGS="--renew"
	$(IMAGES) $(ARGS)

.PHONY: image-lab-root
image-lab-root: $(VENV)/.facility system ## The Lab's image with ROOT
	$(IMAGES) lab-root $(ARGS)

.PHONY: image-lab-gpu
image-lab-gpu: $(VENV)/.facility system ## The Lab's image with CUDA, CuPy and dask-cuda: several GB
	$(IMAGES) lab-gpu $(ARGS)

.PHONY: docs
docs: $(VENV)/.dev ## Build the documentation into docs/_build/html
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

.PHONY: soak
soak: $(VENV)/.dev system ## The long forms of tests: hostile input, long sessions, a herd of users, readers in bad times
	AF_EXAMPLES=25000 $(BIN)/pytest --timeout 7200 tests/unit/iam/test_iam_hostile.py $(PYTEST_ARGS)
	AF_SOAK=1 $(BIN)/pytest --timeout 7200 -k "long_session or comes_back" tests/hub/test_refresh_hub.py \
	  tests/hub/test_herd_hub.py $(PYTEST_ARGS)
	AF_SOAK=1 $(BIN)/pytest --timeout 7200 tests/lab/test_lab_readers_soak.py \
	  tests/compute/test_token_reading.py tests/compute/test_clusters_quota.py $(PYTEST_ARGS)
	AF_SHIFTS=100 AF_READS=10000000 $(BIN)/pytest --timeout 7200 tests/lab/test_lab_eight_hours.py \
	  tests/lab/test_lab_partial_tokens.py $(PYTEST_ARGS)
	AF_OPTION_SETS=1000000 AF_HUB_OPTION_SETS=1000 $(BIN)/pytest --timeout 7200 \
	  tests/unit/spawner/policy/test_spawner_fuzz.py tests/hub/test_profiles_fuzz.py $(PYTEST_ARGS)
	AF_SOAK=1 $(BIN)/pytest --timeout 7200 -k api_server_was_away tests/kube/test_pod_faults.py $(PYTEST_ARGS)

.PHONY: bench
bench: $(VENV)/.dev setup system ## Measure the figures beside their targets and peers
	$(BIN)/python tests/bench $(ARGS)

.PHONY: screenshots
screenshots: $(VENV)/.dev setup system ## Renew the pictures of the documents from the running product
	AF_SCREENSHOTS=docs/images $(BIN)/pytest tests/browser -k 'whole_story or dataset_is_read or count_falls or administrator_sees'

.PHONY: lock
lock: $(VENV)/.dev ## Renew the lock files of the Python environments
	$(BIN)/python tools/lock.py

.PHONY: clean
clean: ## Remove what was built here (never the data of a facility)
	rm -rf $(VENV) $(VENV55) $(VENV_ROOT) docs/_build $(FRONT)/{node_modules,lib,labextension}
	find . -name __pycache__ -prune -exec rm -rf {} +
