#!/usr/bin/env bash
# SPDX-FileCopyrightText: The SR-IOV Network Operator authors
# SPDX-License-Identifier: Apache-2.0
#
# Shows the main job: what machines have, what a policy would change, the change, and what they are then.
# usage: hack/demo.sh [cluster|machine|vm]
#   cluster  a real control plane, the operator, and daemons on three simulated machines (default); needs Go, and the
#            first time ten minutes to build Kubernetes. On a terminal the cluster stays until Ctrl-C.
#   machine  the command alone, on one simulated machine
#   vm       the command alone, on a real kernel with emulated NICs in a virtual machine; needs root on Debian 12
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CGO_ENABLED=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# step TITLE COMMAND...: the guest's shell has it, too.
step='step() {
	printf "\n== %s\n" "$1"
	shift
	printf "$ %s\n\n" "$*"
	"$@"
}'
eval "$step"

# build PACKAGE...: the command, and what else is named.
build() {
	echo "building the programs into bin/"
	go build -trimpath -ldflags=-s -o bin/ ./cmd/kubectl-sriov "$@"
}

cluster() {
	build ./cmd/sriov-network-operator
	go run ./test/demo examples/quick-start.yaml
}

machine() {
	local tool=bin/kubectl-sriov policy=examples/quick-start.yaml machine=test/machines/two-port-connectx5.yaml
	build
	step "The policy" cat "$policy"
	step "What the machine has" "$tool" discover --machine "$machine"
	step "What the policy would change, whom it disturbs, and why" "$tool" plan -f "$policy" --machine "$machine"
	step "The change, on a simulated kernel, and the node state afterwards" \
		"$tool" apply -f "$policy" --machine "$machine" --yes -o yaml
}

# The emulated NIC, Intel's 82576, has no switchdev mode.
legacy() {
	cat <<'POLICY'
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkNodePolicy
metadata:
  name: demo
  namespace: kube-system
spec:
  nodeSelector: {}
  numVfs: 3
  nicSelector:
    pfNames:
    - enp1s0f0
    - enp1s0f1
  resourceName: igb_vfs
POLICY
}

vm() {
	build
	legacy >"$work/policy.yaml"
	echo "starting a virtual machine; what its image lacks is built first, which takes some minutes once"
	go run ./test/vm/cmd/vmrig shell bin/kubectl-sriov "$work/policy.yaml" <<GUEST
set -e
cd /root
$step
step "The kernel" uname -sr
step "The policy" cat policy.yaml
step "What the machine has" ./kubectl-sriov discover
step "What the policy would change, whom it disturbs, and why" ./kubectl-sriov plan -f policy.yaml
step "The change, and the node state afterwards" ./kubectl-sriov apply -f policy.yaml --yes -o yaml
step "The same again: nothing is left to do" ./kubectl-sriov apply -f policy.yaml --yes
step "What the kernel says" ip link show enp1s0f0
GUEST
}

case ${1:-cluster} in
cluster | machine | vm) "${1:-cluster}" ;;
*)
	echo "usage: hack/demo.sh [cluster|machine|vm]" >&2
	exit 2
	;;
esac
