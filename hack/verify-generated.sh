#!/usr/bin/env bash
# SPDX-FileCopyrightText: The SR-IOV Network Operator authors
# SPDX-License-Identifier: Apache-2.0
#
# Fails, and names the files, when what hack/generate.sh writes is not what is here. It changes nothing.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
"$root/hack/generate.sh" "$fresh"

stale=0
for part in api/v1/zz_generated.deepcopy.go api/v1/applyconfiguration config/crd deploy/crds charts/sriov-network-operator/crds; do
	if ! differences=$(diff -rq "$root/$part" "$fresh/$part" 2>&1); then
		stale=1
		sed -e 's/^Files \(.*\) and .* differ$/\1/' -e 's/^Only in \(.*\): /\1\//' \
			-e "s#$root/##" -e "s#$fresh/##" -e 's/^/stale: /' <<<"$differences" >&2
	fi
done
if [ "$stale" -ne 0 ]; then
	echo "run hack/generate.sh and commit the result" >&2
	exit 1
fi
