// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	corev1 "k8s.io/api/core/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/claims"
	"github.com/kubeovn/sriov-network-operator/internal/match"
	"github.com/kubeovn/sriov-network-operator/internal/render/deviceplugin"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
)

// Objects are what rules are made from: those of the operator's namespace.
type Objects struct {
	Policies []sriovv1.SriovNetworkNodePolicy
	Pools    []sriovv1.SriovNetworkPoolConfig
	// Config is the operator configuration; nil when there is none.
	Config *sriovv1.SriovOperatorConfig
	// ConfigMaps may be any; the NIC list and those with claims count.
	ConfigMaps []corev1.ConfigMap
}

// Reads reports whether a ConfigMap with this name and these labels counts.
func Reads(name string, labels map[string]string) bool {
	return name == sriovv1.ConfigMapSupportedNICIDs || claims.Selects(name, labels)
}

// Rules are everything that is the same for all nodes. They are never changed after
// New and may be used from several goroutines.
type Rules struct {
	// NICs is the list of supported NICs.
	NICs catalog.Table
	// Claims are what the ConfigMaps claim.
	Claims claims.Claims
	// Complaints are about ConfigMaps, in the order of finding.
	Complaints []Complaint
	// NodeSelector chooses the nodes that the operator looks after.
	NodeSelector map[string]string

	compiled nodestate.Compiled
	plugin   deviceplugin.Policies
	nodes    match.Labels
	pools    []pool
}

// Complaint is what is wrong with one entry of a ConfigMap.
type Complaint struct {
	ConfigMap string
	// Key is the key that is broken.
	Key string
	// Reason is ReasonBadNICEntry or ReasonBadKey.
	Reason string
	Text   string
}

// The reasons of complaints, as events spell them.
const (
	ReasonBadNICEntry = sriovv1.ReasonBadNICEntry
	ReasonBadKey      = sriovv1.ReasonBadKey
)

// New parses the objects. What is broken in a ConfigMap keeps what last had.
func New(o Objects, last claims.Claims) *Rules {
	r := &Rules{NICs: catalog.Default(), pools: newPools(o.Pools), NodeSelector: nodestate.DefaultNodeSelector()}
	var claimed []claims.ConfigMap
	for i := range o.ConfigMaps {
		cm := &o.ConfigMaps[i]
		switch {
		case cm.Name == sriovv1.ConfigMapSupportedNICIDs:
			r.readNICs(cm)
		case claims.Selects(cm.Name, cm.Labels):
			claimed = append(claimed, claimsOf(cm))
		}
	}
	var problems []claims.Problem
	r.Claims, problems = claims.Merge(last, claimed, r.NICs)
	for _, p := range problems {
		r.Complaints = append(r.Complaints, Complaint{ConfigMap: p.ConfigMap, Key: p.Key, Reason: ReasonBadKey, Text: p.String()})
	}
	if o.Config != nil && len(o.Config.Spec.ConfigDaemonNodeSelector) > 0 {
		r.NodeSelector = o.Config.Spec.ConfigDaemonNodeSelector
	}
	r.nodes = match.NewLabels(r.NodeSelector)
	r.compiled = nodestate.Compile(o.Policies, nodestate.Options{NodeSelector: r.NodeSelector, Catalog: r.NICs})
	r.plugin = deviceplugin.NewPolicies(o.Policies)
	return r
}

// readNICs takes the ConfigMap's list instead of the shipped one.
func (r *Rules) readNICs(cm *corev1.ConfigMap) {
	var problems []catalog.Problem
	r.NICs, problems = catalog.Parse(cm.Data)
	for _, p := range problems {
		r.Complaints = append(r.Complaints, Complaint{ConfigMap: cm.Name, Reason: ReasonBadNICEntry, Text: p.String()})
	}
}

// Lists reports whether the operator looks after a node with these labels.
func (r *Rules) Lists(node map[string]string) bool {
	_, missing := r.nodes.Missing(node)
	return !missing
}

func claimsOf(cm *corev1.ConfigMap) claims.ConfigMap {
	out := claims.ConfigMap{Name: cm.Name, Data: cm.Data}
	for key := range cm.BinaryData {
		out.Binary = append(out.Binary, key)
	}
	return out
}
