# What developers and new users do with a checkout; `make help` lists it. Nothing has to be installed beforehand but
# Python 3.11 or later, make and bash: everything else goes to .venv/ and to ~/.cache/kube-rendezvous/.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Without compiled files each of some hundred processes of the tests would compile torch and its other libraries anew.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
PACKAGES := api operator handler controlplane cli
SOURCES := $(PACKAGES) demo examples tests benchmarks chaos testcluster hack

# Most tests wait for processes, so there are more workers than cores. Each has a control plane, and one test at a time
# has another one: at most four API servers run. The tests that compute, which may run beside them, have none.
TEST_WORKERS ?= 3
COMPUTING_WORKERS ?= 2
TEST_ARGS ?=
WORKERS = $(TEST_WORKERS)
PYTEST = -m pytest -n $(WORKERS) --dist loadgroup $(TEST_ARGS)

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: setup ## Train on four nodes, lose rank 0 and the operator, and go on: the whole story in three to six minutes
	@$(BIN)/python -m demo

.PHONY: playground
playground: setup ## Keep a control plane and the operator running, to try torchrun by hand; Ctrl-C ends it
	@$(BIN)/python -m demo.playground

.PHONY: recording
recording: setup ## Record the terminal session that README shows again, and draw it
	@$(BIN)/python -m demo.recording docs/images/recording.cast
	@hack/draw-recording

# The tests of some folders wait for processes half of the time. Those that compute run beside them, at a low priority;
# what they print comes in one piece, when they have ended. Until then a line says now and then how far they are.
WAITING := integration chart e2e
COMPUTING := unit model

# Runs the tests of some folders in one pytest. The exit code 5 of pytest says that TEST_ARGS has chosen none of them.
define run_tests
(began=$$SECONDS; code=0; $(BIN)/python $(PYTEST) $(MARKED) $(1) || code=$$?; \
echo "== $(1): $$((SECONDS - began)) s"; [[ $$code == 0 || $$code == $(if $(TEST_ARGS),5,0) ]])
endef

# What it reads, in one piece at the end.
define in_one_piece
{ text=; next=0; while IFS= read -r line; do \
	text+="$$line"$$'\n'; \
	if [[ $$line =~ ([0-9]+)%\]$$ ]] && ((BASH_REMATCH[1] >= next)); then \
		printf '\n== %s: %s %%\n' "$(COMPUTING)" "$${BASH_REMATCH[1]}"; next=$$((BASH_REMATCH[1] + 10)); \
	fi; \
done; printf '\n%s' "$$text"; }
endef

.PHONY: test
test: setup .venv/.helm ## Run all tests but the slow ones (TEST_ARGS="-k name" to choose)
	@$(MAKE) --no-print-directory --jobs=2 test-computing test-waiting

.PHONY: test-slow
test-slow: setup ## Run the tests that take minutes: the largest searches of the decision core, and a schedule of random faults
	@$(MAKE) --no-print-directory --jobs=2 test-slow-computing test-slow-waiting

# The two parts of it: a variable of a target holds for what that target needs, too. Tests that compute for a minute take
# much longer at a low priority beside others that are busy.
.PHONY: test-slow-computing test-slow-waiting
test-slow-computing: MARKED := -m slow --timeout=3600
test-slow-computing: test-computing
test-slow-waiting: MARKED := -m slow
test-slow-waiting: WAITING := e2e
test-slow-waiting: test-waiting

# One waiting folder after the other, so that the control planes of one end before those of the next start; a folder that
# fails keeps none of the others from running.
.PHONY: test-computing test-waiting
test-computing: setup
	@renice -n 10 $$$$ > /dev/null; $(call run_tests,$(COMPUTING:%=tests/%)) 2>&1 | $(in_one_piece)
test-waiting: setup
	@failed=0; $(foreach folder,$(WAITING),$(call run_tests,tests/$(folder)) || failed=1;) exit $$failed

.PHONY: test-unit test-model test-integration test-chart test-e2e
test-chart: .venv/.helm
test-unit test-model test-integration test-chart test-e2e: test-%: setup
	@$(call run_tests,tests/$*)

# As many as cores of a small machine: each of them imports all tests first, which takes seconds.
test-computing test-unit test-model: WORKERS = $(COMPUTING_WORKERS)

# etcd and kube-apiserver of the oldest Kubernetes are built from their Go modules the first time, which takes minutes.
.PHONY: test-oldest-kubernetes
test-oldest-kubernetes: setup .venv/.helm ## Test CRDs, policies, chart and operator on the oldest Kubernetes that is supported
	@programs="$$(hack/oldest-kubernetes)"; "$$programs/kube-apiserver" --version; \
		KUBEBUILDER_ASSETS="$$programs" $(BIN)/python $(PYTEST) \
		tests/chart $(wildcard tests/integration/test_crds*.py tests/integration/test_operator*.py)

# The operator needs a newer Python than the handler, so it runs in the other environment.
.PHONY: test-oldest-torch
test-oldest-torch: setup .venv-oldest/.environment ## Test the handler, and the main job, with the oldest torch and Python
	@.venv-oldest/bin/python -c 'import sys, torch; print("== torch", torch.__version__, "on Python", sys.version.split()[0])'
	@.venv-oldest/bin/python $(PYTEST) \
		$(wildcard $(foreach name,handler dynamic kubernetes_store kube_rendezvous,tests/[iu]*/test_$(name)*.py))
	@OPERATOR_PYTHON=$(CURDIR)/$(BIN)/python \
		.venv-oldest/bin/python $(PYTEST) -m main_job tests/e2e

.PHONY: test-pythons
test-pythons: setup ## Test requests, kubeconfigs and waits of the handler, without torch, on each Python from 3.10 to 3.14 that is here
	@hack/test-pythons

.PHONY: test-launchers
test-launchers: setup .venv-launchers/.environment ## Run the examples of other launchers (Accelerate, Lightning, DeepSpeed, torchx)
	@$(BIN)/python -m pytest -m launchers $(TEST_ARGS) tests/e2e

# PICTURES=docs/images renews the pictures of docs/kubectl-rdzv.md.
.PHONY: test-browser
test-browser: setup ## Test the page of kubectl rdzv dashboard in Chromium (PICTURES=docs/images to renew those of the documentation)
	@PICTURES="$(PICTURES)" $(BIN)/python -m pytest -m browser $(TEST_ARGS) tests/integration

.PHONY: cli
cli: ## Make build/kubectl-rdzv, one file that needs Python 3.10 and kubectl, and its manifest for krew
	@hack/build_cli.py

.PHONY: image
image: ## Build the images of operator and handler without a container engine (Debian, as root): build/*.tar
	@hack/build-image --local

.PHONY: cluster
cluster: setup ## Start a real Kubernetes with two nodes on this machine (Debian, as root): kubelets, containers, pods
	@$(BIN)/python -m testcluster up

.PHONY: cluster-down
cluster-down: setup ## End that cluster and remove all that belongs to it
	@$(BIN)/python -m testcluster down

.PHONY: test-cluster
test-cluster: setup .venv/.helm ## Run the tests in real pods, on the cluster of `make cluster`, which they also stop and start again
	@CLUSTER_MAY_END=1 $(BIN)/python -m pytest -m cluster $(TEST_ARGS) tests/cluster

.PHONY: bench
bench: setup ## Measure this rendezvous beside torch's own, up to 1,000 nodes: some 10 minutes on a quiet machine
	@$(BIN)/python -m benchmarks
	@$(BIN)/python -m benchmarks.report

.PHONY: bench-quick
bench-quick: setup ## The same with fewer sizes and runs, in some minutes
	@$(BIN)/python -m benchmarks --quick

.PHONY: bench-recovery
bench-recovery: setup .venv-recovery/.environment ## Measure how long a group is down after a fault, beside other launchers: some hours
	@$(BIN)/python -m benchmarks.recovery
	@$(BIN)/python -m benchmarks.recovery.report

.PHONY: bench-detection
bench-detection: setup ## Measure how soon the others know that a member is lost, as root: about two hours
	@$(BIN)/python -m benchmarks.detection
	@$(BIN)/python -m benchmarks.detection.report

.PHONY: chaos
chaos: setup ## Do random faults to real processes and check what follows (SECONDS=120 SEED=1 SCHEDULES=1)
	@$(BIN)/python -m chaos --seconds $(or $(SECONDS),120) --seed $(or $(SEED),1) --schedules $(or $(SCHEDULES),1)

.PHONY: soak
soak: setup ## Faults of the end-to-end tests with the default times, 45 minutes; then random ones for two hours
	@SOAK=1 $(BIN)/python -m pytest -m soak $(TEST_ARGS) tests/unit/core tests/e2e
	@$(BIN)/python -m chaos --seconds 120 --seed 1 --schedules 45

.PHONY: release-dry-run
release-dry-run: setup .venv/.helm ## Make all that a release publishes, in build/release/, and publish nothing (Debian, as root)
	rm -rf build/release
	hack/release check
	hack/release packages
	hack/release images
	hack/release chart
	hack/release manifests
	hack/release provenance
	hack/release files

.PHONY: check
check: setup ## Check format, style, types, imports between packages, workflows, and generated files
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy $(SOURCES)
	$(BIN)/lint-imports
	hack/uv tool run --quiet check-jsonschema@0.39.0 --builtin-schema vendor.github-workflows .github/workflows/*.yml
	hack/uv tool run --quiet zizmor@1.32.0 --quiet --offline --persona pedantic .github/workflows
	hack/check-generated

.PHONY: format
format: setup ## Bring the source code into the project's format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: setup
setup: .venv/.environment .venv/.control-plane ## Make .venv and the control plane's programs (done by all of the above)
	@:

# These files only say when it was done last. They go with .venv; should the cache with the programs be emptied
# after that, whatever starts a control plane fills it again.
.venv/.environment: pyproject.toml operator/pyproject.toml controlplane/pyproject.toml cli/pyproject.toml uv.lock hack/setup hack/uv
	@hack/setup environment
	@touch $@

.venv/.control-plane: .venv/.environment $(wildcard controlplane/rendezvous_controlplane/gobuild/go.*)
	@hack/setup control-plane
	@touch $@

.venv/.helm: .venv/.environment
	@hack/setup helm
	@touch $@

.venv-oldest/.environment: hack/oldest-torch.txt pyproject.toml controlplane/pyproject.toml hack/setup hack/uv
	@hack/setup oldest-torch
	@touch $@

.venv-launchers/.environment: hack/launchers.txt pyproject.toml hack/setup hack/uv
	@hack/setup launchers
	@touch $@

.venv-recovery/.environment: hack/recovery.txt hack/setup hack/uv
	@hack/setup recovery
	@touch $@

.PHONY: clean
clean: ## Remove the virtual environments and what tools have left in the checkout (not the cache in the home directory)
	rm -rf .venv .venv-oldest .venv-pythons .venv-launchers .venv-recovery build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find $(wildcard $(SOURCES)) -type d -name __pycache__ -prune -exec rm -rf {} +
