// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodepolicy

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/claims"
	"github.com/kubeovn/sriov-network-operator/internal/match"
	"github.com/kubeovn/sriov-network-operator/internal/render/deviceplugin"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
)

// objects are what a basis is made from.
type objects struct {
	policies []sriovv1.SriovNetworkNodePolicy
	pools    []sriovv1.SriovNetworkPoolConfig
	// config is the operator configuration; nil when there is none.
	config *sriovv1.SriovOperatorConfig
	// configMaps are those of the namespace; others than the NIC list and those with
	// claims do not count.
	configMaps []corev1.ConfigMap
}

// basis is everything that is the same for all nodes. Nothing changes it after it was
// made, and all workers share it.
type basis struct {
	// number counts bases, from 1.
	number   uint64
	compiled nodestate.Compiled
	plugin   deviceplugin.Policies
	nics     catalog.Table
	claims   claims.Claims
	// nodes selects the nodes that the operator looks after.
	nodes match.Labels
	pools []pool
	// owner is the operator configuration; nil when there is none.
	owner    *metav1.OwnerReference
	policies map[string]known
	// complaints are about ConfigMaps, in the order of finding.
	complaints []complaint
}

// known is what the basis holds of a policy object.
type known struct {
	generation int64
	nodes      match.Labels
}

// complaint is what is wrong with one entry of a ConfigMap.
type complaint struct {
	configMap string
	reason    string
	text      string
}

// The reasons of events about ConfigMaps.
const (
	reasonBadNICEntry = "BadNICEntry"
	reasonBadKey      = "BadKey"
)

// newBasis parses the objects. What is broken in a ConfigMap keeps what last had.
func newBasis(o objects, last claims.Claims, number uint64) *basis {
	b := &basis{number: number, nics: catalog.Default(), pools: newPools(o.pools), policies: make(map[string]known, len(o.policies))}
	var claimed []claims.ConfigMap
	for i := range o.configMaps {
		cm := &o.configMaps[i]
		switch {
		case cm.Name == sriovv1.ConfigMapSupportedNICIDs:
			b.readNICs(cm)
		case claims.Selects(cm.Name, cm.Labels):
			claimed = append(claimed, claimsOf(cm))
		}
	}
	var problems []claims.Problem
	b.claims, problems = claims.Merge(last, claimed, b.nics)
	for _, p := range problems {
		b.complaints = append(b.complaints, complaint{configMap: p.ConfigMap, reason: reasonBadKey, text: p.String()})
	}
	selector := nodestate.DefaultNodeSelector()
	if o.config != nil {
		b.owner = owner(o.config)
		if len(o.config.Spec.ConfigDaemonNodeSelector) > 0 {
			selector = o.config.Spec.ConfigDaemonNodeSelector
		}
	}
	b.nodes = match.NewLabels(selector)
	b.compiled = nodestate.Compile(o.policies, nodestate.Options{NodeSelector: selector, Catalog: b.nics})
	b.plugin = deviceplugin.NewPolicies(o.policies)
	for i := range o.policies {
		p := &o.policies[i]
		b.policies[p.Name] = known{generation: p.Generation, nodes: match.NewLabels(p.Spec.NodeSelector)}
	}
	return b
}

// readNICs takes the ConfigMap's list instead of the shipped one.
func (b *basis) readNICs(cm *corev1.ConfigMap) {
	var problems []catalog.Problem
	b.nics, problems = catalog.Parse(cm.Data)
	for _, p := range problems {
		b.complaints = append(b.complaints, complaint{configMap: cm.Name, reason: reasonBadNICEntry, text: p.String()})
	}
}

// lists reports whether the operator looks after a node with these labels.
func (b *basis) lists(node map[string]string) bool {
	_, missing := b.nodes.Missing(node)
	return !missing
}

func claimsOf(cm *corev1.ConfigMap) claims.ConfigMap {
	out := claims.ConfigMap{Name: cm.Name, Data: cm.Data}
	for key := range cm.BinaryData {
		out.Binary = append(out.Binary, key)
	}
	return out
}

// owner is the reference to the operator configuration in what it owns.
func owner(config *sriovv1.SriovOperatorConfig) *metav1.OwnerReference {
	return metav1.NewControllerRef(config, sriovv1.SchemeGroupVersion.WithKind(sriovv1.KindSriovOperatorConfig))
}
