#!/usr/bin/env bash
# SPDX-FileCopyrightText: The SR-IOV Network Operator authors
# SPDX-License-Identifier: Apache-2.0
#
# Shows the main job: what machines have, what a policy would change, the change, and what they are then.
# usage: hack/demo.sh [cluster|vm|machine]
#   cluster  a real control plane, the operator, and daemons on three simulated machines (default); needs Go, and the
#            first time ten minutes to build Kubernetes. On a terminal the cluster stays until Ctrl-C.
#   vm       the same, and one of the nodes is a virtual machine with a real kernel and emulated NICs; needs an amd64
#            Debian 12 besides, and the first time root and some minutes to build the machine
#   machine  the command alone, on one simulated machine
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CGO_ENABLED=0

# build DIR PACKAGE...: builds programs into a folder.
build() {
	go build -trimpath -ldflags=-s -o "$@"
}

cluster() {
	echo "building the programs into bin/"
	build bin/ ./cmd/kubectl-sriov ./cmd/sriov-network-operator
	build bin/demo/ ./test/demo
	# In place of this script, so that whoever ends it ends that.
	exec bin/demo/demo
}

vm() {
	echo "building the programs into bin/"
	build bin/ ./cmd/kubectl-sriov ./cmd/sriov-network-operator ./cmd/sriov-network-config-daemon
	build bin/demo/ ./test/demo ./test/vm/kubelet
	exec bin/demo/demo -vm
}

step() {
	printf '\n== %s\n' "$1"
	shift
	printf '$ %s\n\n' "$*"
	"$@"
}

machine() {
	local tool=bin/kubectl-sriov policy=examples/quick-start.yaml machine=test/machines/two-port-connectx5.yaml
	echo "building the command into bin/"
	build bin/ ./cmd/kubectl-sriov
	step "The policy" cat "$policy"
	step "What the machine has" "$tool" discover --machine "$machine"
	step "What the policy would change, whom it disturbs, and why" "$tool" plan -f "$policy" --machine "$machine"
	step "The change, on a simulated kernel, and the node state afterwards" \
		"$tool" apply -f "$policy" --machine "$machine" --yes -o yaml
}

case ${1:-cluster} in
cluster | vm | machine) "${1:-cluster}" ;;
*)
	sed -n 's/^# usage: /usage: /p' hack/demo.sh >&2
	exit 2
	;;
esac
