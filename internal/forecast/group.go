// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package forecast

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
)

// Group is nodes to which the same would happen.
type Group struct {
	// Nodes are their names, sorted.
	Nodes []string `json:"nodes"`
	Outlook
	// Pods are those that the change disturbs, by node and name.
	Pods []Holder `json:"pods,omitempty"`
	// PodsUnknown says why nothing is known of them; empty when it is.
	PodsUnknown string `json:"podsUnknown,omitempty"`

	// each are the outlooks by node: what they hold besides may differ.
	each map[string]Outlook
}

// Gather puts nodes together to which the same would happen: what disturbs most comes
// first, then by the name of the first node.
func Gather(outlooks []Outlook) ([]Group, error) {
	at := map[string]int{}
	var groups []Group
	for _, o := range outlooks {
		key, err := json.Marshal(o)
		if err != nil {
			return nil, fmt.Errorf("compare what would happen to node %s: %w", o.Node, err)
		}
		i, ok := at[string(key)]
		if !ok {
			i = len(groups)
			at[string(key)] = i
			groups = append(groups, Group{Outlook: o, each: map[string]Outlook{}})
		}
		groups[i].each[o.Node] = o
		groups[i].Nodes = append(groups[i].Nodes, o.Node)
	}
	for i := range groups {
		slices.Sort(groups[i].Nodes)
	}
	slices.SortFunc(groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Effect, a.Effect), cmp.Compare(a.Nodes[0], b.Nodes[0]))
	})
	return groups, nil
}

// Forecast is what a change would do to the cluster.
type Forecast struct {
	// Effect is the highest of all nodes.
	Effect Effect `json:"disturbs"`
	// Counts are how many nodes have each effect.
	Counts map[Effect]int `json:"nodes"`
	// Blocked is how many nodes cannot have all that is asked for.
	Blocked int     `json:"blocked"`
	Groups  []Group `json:"groups"`
}

// Sum sums groups up.
func Sum(groups []Group) Forecast {
	f := Forecast{Counts: map[Effect]int{}, Groups: groups}
	for _, g := range groups {
		f.Counts[g.Effect] += len(g.Nodes)
		f.Effect = max(f.Effect, g.Effect)
		if len(g.Plan.Blocked) > 0 {
			f.Blocked += len(g.Nodes)
		}
	}
	return f
}

// Changes reports whether something would happen anywhere.
func (f Forecast) Changes() bool { return f.Effect > Unchanged }

// Of is the outlook of one of the group's nodes.
func (g Group) Of(node string) Outlook { return g.each[node] }
