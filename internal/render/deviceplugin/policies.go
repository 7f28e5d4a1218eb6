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
	spec     sriovv1.SriovNetworkNodePolicySpec
	nodes    match.Labels
	nics     match.Selector
	names    []match.PFName
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
		nics, _ := match.NewSelector(p.Spec.NicSelector) // A selector with problems selects nothing.
		list = append(list, policy{
			name: p.Name, priority: priority(p), spec: p.Spec, nodes: match.NewLabels(p.Spec.NodeSelector),
			nics: nics, names: nics.Names(), bad: badResourceName(p.Spec.ResourceName),
		})
	}
	// The highest priority, which is the lowest number, first. Among equal
	// priorities the order is the existing operator's.
	slices.SortFunc(list, func(a, b policy) int {
		return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(a.name, b.name))
	})
	return Policies{list: list}
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
