// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubeovn/sriov-network-operator/internal/claims"
	"github.com/kubeovn/sriov-network-operator/internal/cli/manifest"
)

// loadClaims reads the ConfigMaps of the files and prints what is wrong with their
// keys.
func (a *app) loadClaims(in *input) {
	var all []claims.ConfigMap
	objects := map[string]manifest.Object{}
	for _, o := range in.set.Objects {
		cm, ok := o.Value.(*corev1.ConfigMap)
		if !ok {
			continue
		}
		if cm.Namespace != "" && cm.Namespace != a.global.namespace {
			a.note("ConfigMap %s is in namespace %s; an operator in %s does not read it (name yours with --namespace)", cm.Name, cm.Namespace, a.global.namespace)
		}
		all = append(all, claims.ConfigMap{Name: cm.Name, Data: cm.Data, Binary: slices.Sorted(maps.Keys(cm.BinaryData))})
		objects[cm.Name] = o
	}
	var problems []claims.Problem
	in.claims, problems = claims.Merge(claims.Claims{}, all, in.nics)
	for _, p := range problems {
		o := objects[p.ConfigMap]
		field := "data[" + p.Key + "]"
		if p.Field != "" {
			field += "." + p.Field
		}
		a.complain("%v", manifest.Problem{Source: o.Inside(p.Key, p.Line), Object: o.Label(), Field: field, Cause: p.Cause, Fix: p.Fix})
	}
	in.badKeys = len(problems)
	in.bad += in.badKeys
}

// claim is what the ConfigMaps claim for the node.
func (in *input) claim() claims.Claim { return in.claims.Of(in.node.Name) }
