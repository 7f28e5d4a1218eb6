// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodepolicy

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
	bad  error
	mode hw.RDMAMode
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
		p := pool{name: configs[i].Name, nodes: labels.Everything(), mode: hw.RDMAMode(spec.RdmaMode)}
		if spec.NodeSelector != nil {
			p.nodes, p.bad = metav1.LabelSelectorAsSelector(spec.NodeSelector)
		}
		pools = append(pools, p)
	}
	slices.SortFunc(pools, func(a, b pool) int { return cmp.Compare(a.name, b.name) })
	return pools
}

// rdmaMode is the mode of the one pool that a node with these labels is in; empty when
// it is in none. It is an error when that cannot be told: a node is in two pools, or a
// pool's selector cannot be read and may mean the node.
func rdmaMode(pools []pool, node map[string]string) (hw.RDMAMode, error) {
	var in []pool
	for _, p := range pools {
		switch {
		case p.bad != nil:
			return "", fmt.Errorf("read nodeSelector of pool %s: %w", p.name, p.bad)
		case p.nodes.Matches(labels.Set(node)):
			in = append(in, p)
		}
	}
	switch len(in) {
	case 0:
		return "", nil
	case 1:
		return in[0].mode, nil
	}
	return "", fmt.Errorf("the node is in the pools %s and %s; it may be in one", in[0].name, in[1].name)
}
