# SPDX-FileCopyrightText: The SR-IOV Network Operator authors
# SPDX-License-Identifier: Apache-2.0

SHELL := /bin/bash
.DEFAULT_GOAL := help

# No target needs a C compiler for Go; every binary is static.
export CGO_ENABLED := 0

TOOL := go tool -modfile=go.tools.mod
# The rigs that `make test` runs. Naming them, as in `make test RIGS="static unit"`,
# says that the others are not wanted.
RIGS ?=

.PHONY: help
help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Show the main job: the quick-start policy in a cluster with simulated nodes (DEMO=vm: one has a real kernel).
	@hack/demo.sh $(or $(DEMO),cluster)

.PHONY: build
build: ## Build the binaries into bin/.
	go build -trimpath -ldflags=-s -o bin/ ./cmd/...

.PHONY: images
images: ## Build the container images into dist/images (REGISTRY=, TAG= and ARCH= name them, PUSH=yes pushes them).
	@cd hack/images && go run . $(if $(REGISTRY),-registry=$(REGISTRY)) $(if $(TAG),-tag=$(TAG)) $(if $(ARCH),-arch=$(ARCH)) $(if $(PUSH),-push)

.PHONY: test
test: ## Run every rig: static checks, unit tests, a real API server, the virtual machine (RIGS="static unit" names fewer).
	@hack/test.sh $(RIGS)

.PHONY: test-unit
test-unit: ## Run the tests that need nothing but Go.
	@hack/test.sh unit

.PHONY: envtest
envtest: ## Run the tests against a real Kubernetes control plane, which is built from Go modules.
	@hack/test.sh kube

.PHONY: test-vm
test-vm: ## Run the tests on a real kernel, in a virtual machine with SR-IOV NICs.
	@hack/test.sh vm

.PHONY: lint
lint: ## Check formatting, lint, imports and generated files.
	@hack/test.sh static

.PHONY: generate
generate: ## Write what is derived from the types and the commands.
	hack/generate.sh

.PHONY: fmt
fmt: ## Format the Go code.
	gofmt -w $$(git ls-files '*.go' | grep -v -e zz_generated -e testdata)

.PHONY: vm
vm: ## Open a shell in a fresh virtual machine with SR-IOV NICs, with kubectl-sriov in /root.
	go build -trimpath -ldflags=-s -o bin/ ./cmd/kubectl-sriov
	go run ./test/vm/cmd/vmrig shell bin/kubectl-sriov

.PHONY: bench
bench: ## Measure, as bench/README.md says, and print the figures.
	@hack/bench.sh

.PHONY: fuzz
fuzz: ## Fuzz every fuzz target for FUZZTIME (default 20s each).
	@hack/fuzz.sh $(or $(FUZZTIME),20s)

.PHONY: clean
clean: ## Remove what was built here; the cache outside of the repository stays.
	rm -rf bin dist
