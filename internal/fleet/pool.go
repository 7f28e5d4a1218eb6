// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"cmp"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// pool is a pool configuration, parsed.
type pool struct {
	name  string
	nodes labels.Selector
	// bad is why the selector cannot be read; nil when it can.
	bad   error
	mode  hw.RDMAMode
	scope sriovv1.DisruptionScope
}

// newPools parses the pools that nodes can be in, sorted by name. One with a name for
// OVS hardware offload is none of them.
func newPools(configs []sriovv1.SriovNetworkPoolConfig) []pool {
	var pools []pool
	for i := range configs {
		spec := &configs[i].Spec
		if spec.OvsHardwareOffloadConfig.Name != "" {
			continue
		}
		p := pool{
			name: configs[i].Name, nodes: labels.Everything(), mode: hw.RDMAMode(spec.RdmaMode),
			scope: cmp.Or(spec.DisruptionScope, sriovv1.DisruptionScopeAffectedPods),
		}
		if spec.NodeSelector != nil {
			p.nodes, p.bad = metav1.LabelSelectorAsSelector(spec.NodeSelector)
		}
		pools = append(pools, p)
	}
	slices.SortFunc(pools, func(a, b pool) int { return cmp.Compare(a.name, b.name) })
	return pools
}

// poolOf is the one pool that a node with these labels is in; the zero pool when it is in
// none. It is an error when that cannot be told: a node is in two pools, or a pool's
// selector cannot be read and may mean the node.
func poolOf(pools []pool, node map[string]string) (pool, error) {
	var in []pool
	for _, p := range pools {
		switch {
		case p.bad != nil:
			return pool{}, fmt.Errorf("read nodeSelector of pool %s: %w", p.name, p.bad)
		case p.nodes.Matches(labels.Set(node)):
			in = append(in, p)
		}
	}
	switch len(in) {
	case 0:
		return pool{scope: sriovv1.DisruptionScopeAffectedPods}, nil
	case 1:
		return in[0], nil
	}
	return pool{}, fmt.Errorf("the node is in the pools %s and %s; it may be in one", in[0].name, in[1].name)
}

// Scope is which pods leave a node with these labels before its VFs are changed, by the
// pool that it is in.
func (r *Rules) Scope(node map[string]string) (sriovv1.DisruptionScope, error) {
	p, err := poolOf(r.pools, node)
	return p.scope, err
}
