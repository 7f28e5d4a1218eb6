// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodepolicy

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/claims"
	"github.com/kubeovn/sriov-network-operator/internal/fleet"
	"github.com/kubeovn/sriov-network-operator/internal/match"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
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
	*fleet.Rules

	// number counts bases, from 1, and from are the objects that this one is made from.
	number uint64
	from   versions
	// owner is the operator configuration; nil when there is none.
	owner    *metav1.OwnerReference
	policies map[string]known
	// broken says of nodes whose own key is broken what is wrong with it.
	broken map[string]string
}

// known is what the basis holds of a policy object.
type known struct {
	generation int64
	nodes      match.Labels
}

// newBasis parses the objects. What is broken in a ConfigMap keeps what last had.
func newBasis(o objects, last claims.Claims, number uint64) *basis {
	b := &basis{
		Rules:  fleet.New(fleet.Objects{Policies: o.policies, Pools: o.pools, Config: o.config, ConfigMaps: o.configMaps}, last),
		number: number, from: versionsOf(o), policies: make(map[string]known, len(o.policies)), broken: map[string]string{},
	}
	for key, complaints := range byKey(b.Complaints) {
		b.broken[key] = sentences(complaints) + "; the node keeps what was in force"
	}
	if o.config != nil {
		b.owner = new(operand.OwnerReference(o.config))
	}
	for i := range o.policies {
		p := &o.policies[i]
		b.policies[p.Name] = known{generation: p.Generation, nodes: match.NewLabels(p.Spec.NodeSelector)}
	}
	return b
}
