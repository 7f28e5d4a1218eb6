#!/usr/bin/env bash
# SPDX-FileCopyrightText: The SR-IOV Network Operator authors
# SPDX-License-Identifier: Apache-2.0
#
# Writes what is derived from the types in api/v1: deep copies, apply configurations and CRDs, the latter also for
# both ways to install.
# usage: hack/generate.sh [folder]   (default: this repository, where it replaces what is there)
#
# It works on a copy and touches the folder only when everything went well.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${1:-$root}
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

cp -r "$root"/{go.mod,go.sum,api} "$copy/"
cd "$copy"
# Files of kinds that are gone must not stay behind.
rm -rf api/v1/applyconfiguration api/v1/zz_generated.deepcopy.go
header=headerFile=$root/hack/header.go.txt
go tool -modfile="$root/go.tools.mod" controller-gen "object:$header" crd "applyconfiguration:$header" \
	paths=./api/v1 output:crd:dir=config/crd

for part in deploy/crds charts/sriov-network-operator/crds; do
	mkdir -p "$part"
	cp config/crd/*.yaml "$part/"
done
{
	printf '%s\n' 'apiVersion: kustomize.config.k8s.io/v1beta1' 'kind: Kustomization' 'resources:'
	(cd config/crd && printf -- '- %s\n' *.yaml)
} >deploy/crds/kustomization.yaml

for part in api/v1/zz_generated.deepcopy.go api/v1/applyconfiguration config/crd deploy/crds charts/sriov-network-operator/crds; do
	mkdir -p "$target/$(dirname "$part")"
	rm -rf "${target:?}/$part"
	cp -r "$part" "$target/$part"
done
