// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/fleet"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
)

// Objects are the objects of a cluster at about one time: those of the operator's
// namespace, and the nodes.
type Objects struct {
	fleet.Objects

	Nodes  []nodestate.Node
	States []sriovv1.SriovNetworkNodeState
	// Withheld says why the nodes could not be read; nil when they were.
	Withheld error
}

// State is the state of a node; nil when there is none.
func (o *Objects) State(node string) *sriovv1.SriovNetworkNodeState {
	i := slices.IndexFunc(o.States, func(s sriovv1.SriovNetworkNodeState) bool { return s.Name == node })
	if i < 0 {
		return nil
	}
	return &o.States[i]
}

// Node is a node by its name.
func (o *Objects) Node(name string) (nodestate.Node, bool) {
	i := slices.IndexFunc(o.Nodes, func(n nodestate.Node) bool { return n.Name == name })
	if i < 0 {
		return nodestate.Node{}, false
	}
	return o.Nodes[i], true
}

// Names are the names of all nodes and node states, sorted.
func (o *Objects) Names() []string {
	var out []string
	for _, n := range o.Nodes {
		out = append(out, n.Name)
	}
	for i := range o.States {
		out = append(out, o.States[i].Name)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Prefix is what goes before the names of resources.
func (o *Objects) Prefix() string {
	if o.Config == nil {
		return sriovv1.DefaultResourcePrefix
	}
	return cmp.Or(o.Config.Spec.ResourcePrefix, sriovv1.DefaultResourcePrefix)
}

// keep takes the objects that count: the operator reads no other ConfigMap.
func (o *Objects) configMap(cm *corev1.ConfigMap) {
	if fleet.Reads(cm.Name, cm.Labels) {
		o.ConfigMaps = append(o.ConfigMaps, *cm)
	}
}

func (o *Objects) node(meta *metav1.ObjectMeta) {
	o.Nodes = append(o.Nodes, nodestate.Node{Name: meta.Name, Labels: meta.Labels})
}

// sort makes what is said of the objects independent of the order in which they came.
func (o *Objects) sort() {
	slices.SortFunc(o.Nodes, func(a, b nodestate.Node) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(o.States, func(a, b sriovv1.SriovNetworkNodeState) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(o.Policies, func(a, b sriovv1.SriovNetworkNodePolicy) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(o.Pools, func(a, b sriovv1.SriovNetworkPoolConfig) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(o.ConfigMaps, func(a, b corev1.ConfigMap) int { return cmp.Compare(a.Name, b.Name) })
}
