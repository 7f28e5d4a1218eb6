#!/usr/bin/env bash
# SPDX-FileCopyrightText: The SR-IOV Network Operator authors
# SPDX-License-Identifier: Apache-2.0
#
# Measures what is named, or all of it, and prints the figures. bench/README.md says what they mean.
# usage: [PAIRS=5] hack/bench.sh [core] [sim] [kube] [vm]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CGO_ENABLED=0

# What runs beside a measurement is measured with it.
quiet() {
	local load
	read -r load _ </proc/loadavg
	echo "== $1, $(nproc) processors, load $load"
	if awk -v load="$load" 'BEGIN {exit !(load > 1.5)}'; then
		echo "warning: the machine is busy (load $load), so these figures mean little" >&2
	fi
}

bench() { go test -count 1 -timeout 60m -run '^$' "$@" | grep -v -e '^PASS' -e '^goos' -e '^goarch' -e '^pkg'; }

vm() {
	go run ./test/vm/cmd/vmrig build
	go vet -tags vm ./bench/vm/
	quiet vm
	bench -tags vm -bench . -benchtime "${PAIRS:-5}x" ./bench/vm/
}

kube() {
	go run ./test/kube/cmd/kuberig build
	go vet -tags kube ./bench/kube/
	quiet kube
	bench -tags kube -bench . -benchtime "${PAIRS:-5}x" -v ./bench/kube/
}

sim() {
	go vet ./bench/sim/
	quiet sim
	bench -bench . -benchtime 3x ./bench/sim/
}

core() {
	go vet ./bench/core/
	quiet core
	GOMAXPROCS=1 bench -bench . -benchtime 2s ./bench/core/
}

parts=("$@")
[ $# -gt 0 ] || parts=(core sim kube vm)
for part in "${parts[@]}"; do
	case $part in
	vm | kube | sim | core) ;;
	*)
		echo "nothing is called $part: there are core, sim, kube and vm" >&2
		exit 2
		;;
	esac
	"$part"
done
