#!/usr/bin/env bash
# SPDX-FileCopyrightText: The SR-IOV Network Operator authors
# SPDX-License-Identifier: Apache-2.0
#
# Runs the test rigs that are named, or all of them. A rig that cannot be built here fails and says why.
# usage: hack/test.sh [static] [unit] [kube] [vm]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CGO_ENABLED=0
tool=(go tool -modfile=go.tools.mod)

static() {
	local unformatted
	unformatted=$(git ls-files '*.go' | grep -v -e zz_generated -e testdata | xargs gofmt -l)
	if [ -n "$unformatted" ]; then
		echo "not formatted (make fmt): $unformatted" >&2
		return 1
	fi
	hack/verify-generated.sh
	go vet ./...
	"${tool[@]}" golangci-lint run ./...
	# What is compiled for the VM alone, or instead of something else; and the other modules.
	"${tool[@]}" golangci-lint run --build-tags vm,kube,lintcheck ./test/... ./bench/... ./hack/... ./internal/host/linux/ ./internal/operator/... ./internal/render/operand/ ./internal/daemon/ ./internal/cli/ ./internal/admission/ ./cmd/...
	for module in test/crd test/chart hack/images; do
		(cd "$module" && go tool -modfile=../../go.tools.mod golangci-lint run ./...)
	done
	go test -tags lintcheck ./hack/lintcheck/
}

unit() {
	go test ./...
	(cd test/crd && go test ./...)
	(cd test/chart && go test ./...)
	(cd hack/images && go test ./...)
}

kube() {
	go run ./test/kube/cmd/kuberig build
	# The packages that have tests for it.
	local arguments=(-tags kube -count=1 -timeout 10m)
	if [ "$(git rev-parse --is-shallow-repository)" = true ]; then
		echo "kube: NOT PROVED, because the clone is shallow and holds no earlier commit: that the operator and daemons of two commits work together (git fetch --unshallow)" >&2
		arguments+=(-skip '^TestOperatorAndDaemonsOfTwoCommits')
	fi
	git grep -l --untracked '^//go:build kube$' -- '*_test.go' | xargs -n 1 dirname | sort -u | sed 's,^,./,' |
		xargs go test "${arguments[@]}"
}

vm() {
	go run ./test/vm/cmd/vmrig build
	# Machines that are nodes of a cluster need one.
	go run ./test/kube/cmd/kuberig build
	go test -tags vm -count=1 -timeout 40m -v ./test/vm/... ./test/demo/ ./test/docs/ 2>&1 | grep -v -e '^=== ' -e '^ok .*no test files'
}

rigs=("$@")
[ $# -gt 0 ] || rigs=(static unit kube vm)
failed=()
for rig in "${rigs[@]}"; do
	case $rig in
	static | unit | kube | vm) ;;
	*)
		echo "no rig is called $rig: there are static, unit, kube and vm" >&2
		exit 2
		;;
	esac
	echo "== rig $rig"
	start=$SECONDS
	# Not as a condition: there bash would go on after a command that fails.
	set +e
	(
		set -e
		"$rig"
	)
	code=$?
	set -e
	if [ "$code" -eq 0 ]; then
		echo "== rig $rig passed in $((SECONDS - start)) s"
	else
		echo "== rig $rig FAILED after $((SECONDS - start)) s" >&2
		failed+=("$rig")
	fi
done
if [ ${#failed[@]} -gt 0 ]; then
	echo "failed: ${failed[*]}" >&2
	exit 1
fi
