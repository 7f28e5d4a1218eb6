// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"cmp"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/claims"
	"github.com/kubeovn/sriov-network-operator/internal/fleet"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
	"github.com/kubeovn/sriov-network-operator/internal/validate"
	"github.com/kubeovn/sriov-network-operator/internal/wire"
)

// Knowledge is what answers are based on besides the request.
type Knowledge struct {
	Facts validate.Facts
	// Unknown are the kinds of objects that were not read yet, in words. With any of
	// them the Facts say no more than the namespace.
	Unknown []string
	// AllowUnlisted lets NICs that are not in the NIC list be configured.
	AllowUnlisted bool
}

// Objects are those that are known.
type Objects struct {
	fleet.Objects

	Nodes  []Node
	States []State
}

// Node is as much of a node as counts.
type Node struct {
	metav1.ObjectMeta
}

// State is as much of a node state as counts, parsed.
type State struct {
	metav1.ObjectMeta

	Inventory  hw.Inventory
	InProgress bool
	// Resources are those that its spec offers, sorted.
	Resources []string
}

// NewState parses a node state.
func NewState(s *sriovv1.SriovNetworkNodeState) State {
	resources := map[string]bool{}
	for _, pf := range s.Spec.Interfaces {
		for _, group := range pf.VfGroups {
			resources[group.ResourceName] = true
		}
	}
	return State{
		ObjectMeta: metav1.ObjectMeta{Name: s.Name, Namespace: s.Namespace, ResourceVersion: s.ResourceVersion},
		Inventory:  wire.Inventory(s.Status), InProgress: s.Status.SyncStatus == sriovv1.SyncStatusInProgress,
		Resources: slices.Sorted(maps.Keys(resources)),
	}
}

// Know makes facts of objects. They do not depend on the objects' order.
func Know(namespace string, o Objects) validate.Facts {
	rules := fleet.New(o.Objects, claims.Claims{})
	f := validate.Facts{
		Namespace: namespace, NodeSelector: rules.NodeSelector, NICs: rules.NICs, Policies: o.Policies, Pools: o.Pools,
		Nodes: make([]validate.Node, 0, len(o.Nodes)),
	}
	states, resources := make(map[string]*State, len(o.States)), map[string]bool{}
	for i := range o.States {
		states[o.States[i].Name] = &o.States[i]
		for _, r := range o.States[i].Resources {
			resources[r] = true
		}
	}
	for _, n := range o.Nodes {
		node := validate.Node{Node: nodestate.Node{Name: n.Name, Labels: n.Labels}, Entries: rules.Claims.Of(n.Name).Policies()}
		if s := states[n.Name]; s != nil {
			node.Inventory, node.InProgress = s.Inventory, s.InProgress
		}
		f.Nodes = append(f.Nodes, node)
	}
	slices.SortFunc(f.Nodes, func(a, b validate.Node) int { return cmp.Compare(a.Name, b.Name) })
	f.Resources = slices.Sorted(maps.Keys(resources))
	return f
}
