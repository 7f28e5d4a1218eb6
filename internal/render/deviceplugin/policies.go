// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package deviceplugin

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/match"
)

// maxResourceName is the most characters that the API allows in a resource name.
const maxResourceName = 63

// Policies are the policies of a cluster, parsed and sorted once for all nodes.
// The zero value has none.
type Policies struct{ list []policy }

// policy is one policy with its selectors parsed.
type policy struct {
	name     string
	priority int
	// entry says that the policy is no object but an entry of a ConfigMap.
	entry bool
	spec  sriovv1.SriovNetworkNodePolicySpec
	nodes match.Labels
	nics  match.Selector
	names []match.PFName
	// bad says why the resource cannot be given to the plugin; empty when it can.
	bad string
}

// NewPolicies prepares the policies. Their names must differ. Policies named
// "default" do not count.
func NewPolicies(policies []sriovv1.SriovNetworkNodePolicy) Policies {
	list := make([]policy, 0, len(policies))
	for i := range policies {
		p := &policies[i]
		if p.Name == sriovv1.DefaultPolicyName {
			continue
		}
		list = append(list, newPolicy(p))
	}
	slices.SortFunc(list, inOrder)
	return Policies{list: list}
}

// With is the same with entries of ConfigMaps beside the policies: those of the
// node that is rendered next. It changes nothing and may be called for many nodes.
func (p Policies) With(entries []match.Entry) Policies {
	if len(entries) == 0 {
		return p
	}
	list := slices.Grow(slices.Clone(p.list), len(entries))
	for i := range entries {
		e := newPolicy(&entries[i].Policy)
		e.entry, e.nics = true, e.nics.OfType(entries[i].Type)
		list = append(list, e)
	}
	slices.SortFunc(list, inOrder)
	return Policies{list: list}
}

func newPolicy(p *sriovv1.SriovNetworkNodePolicy) policy {
	nics, _ := match.NewSelector(p.Spec.NicSelector) // A selector with problems selects nothing.
	return policy{
		name: p.Name, priority: priority(p), spec: p.Spec, nodes: match.NewLabels(p.Spec.NodeSelector),
		nics: nics, names: nics.Names(), bad: badResourceName(p.Spec.ResourceName),
	}
}

// byTypeAlone reports whether nothing but a NIC type selects. The plugin knows no
// NIC types, and would take all NICs of the node, also those without SR-IOV.
func (p *policy) byTypeAlone() bool {
	n := &p.spec.NicSelector
	return n.Vendor == "" && n.DeviceID == "" && len(n.RootDevices) == 0 && len(n.PfNames) == 0 && n.NetFilter == ""
}

// inOrder has the highest priority, which is the lowest number, first. Among equal
// priorities objects are before entries, because they stand over them; then the
// order is the existing operator's.
func inOrder(a, b policy) int {
	objectsFirst := func(p policy) int {
		if p.entry {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(objectsFirst(a), objectsFirst(b)), cmp.Compare(a.name, b.name))
}

func priority(p *sriovv1.SriovNetworkNodePolicy) int {
	if p.Spec.Priority == nil {
		return sriovv1.DefaultPriority
	}
	return *p.Spec.Priority
}

// badResourceName says why the plugin would exit over the name.
func badResourceName(name string) string {
	other := strings.IndexFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
	})
	if name == "" || len(name) > maxResourceName || other >= 0 {
		return fmt.Sprintf("resourceName %q is not 1 to %d letters, digits, '-' and '_'", name, maxResourceName)
	}
	return ""
}
