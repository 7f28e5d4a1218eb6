// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"fmt"
	"slices"
	"strings"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/fleet"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
)

// Why is why a node of a cluster is to be what it is to be.
type Why struct {
	Node string `json:"node"`
	// PF is the PF that was asked about; empty for all.
	PF string `json:"pf,omitempty"`
	// Claim is what the node claims in ConfigMaps; the zero claim when nothing.
	Claim Claim `json:"claim,omitzero"`
	// Kept says why the node keeps what it has, whatever the trace says.
	Kept  fleet.Kept      `json:"kept,omitempty"`
	Trace nodestate.Trace `json:"trace"`
}

// Claim is which key of which ConfigMap holds for a node.
type Claim struct {
	Key       string `json:"key"`
	ConfigMap string `json:"configMap,omitempty"`
	Standing  string `json:"standing"`
}

// Explanation is a Why for people.
func Explanation(w Why) string {
	var b strings.Builder
	fmt.Fprintf(&b, "node %s\n", line(w.Node))
	if w.Claim.Standing != "" {
		from := ""
		if w.Claim.ConfigMap != "" {
			from = " of ConfigMap " + line(w.Claim.ConfigMap)
		}
		fmt.Fprintf(&b, "  its claim is the key %s%s: %s\n", line(w.Claim.Key), from, w.Claim.Standing)
	}
	switch w.Kept {
	case fleet.NoInventory:
		b.WriteString("  it keeps the spec that it has: its daemon has not reported what NICs there are\n")
	case fleet.ClaimUnknown:
		b.WriteString("  it keeps the spec that it has: its key is broken, and the cluster does not tell what was in force before it broke\n")
	default:
	}
	b.WriteString("\n" + Trace(w.Trace))
	if w.PF != "" && len(w.Trace.PFs) == 0 {
		fmt.Fprintf(&b, "\n%s\n  no policy selects it\n", w.PF)
	}
	return b.String()
}

// Policies are the policies of a survey, with what is missing of them; empty when there
// are none.
func Policies(s fleet.Survey) string {
	if len(s.Policies) == 0 {
		return "\nno policy selects the node\n"
	}
	return "\n" + policies(s) + missing(fleet.Survey{Policies: s.Policies}, nil)
}

// Changed says what is another in a survey than it was, a line for each.
func Changed(was, is fleet.Survey) string {
	var b strings.Builder
	for _, n := range is.Nodes {
		i := slices.IndexFunc(was.Nodes, func(o fleet.NodeReport) bool { return o.Name == n.Name })
		if i >= 0 && slices.Equal(nodeCells(&was.Nodes[i]), nodeCells(&n)) && was.Nodes[i].Why == n.Why {
			continue
		}
		text := fmt.Sprintf("node %s: %s", line(n.Name), n.Standing)
		if n.Plan != nil {
			text += ", " + progressText(n.Plan)
		}
		why := n.Why
		if n.Plan != nil && n.Plan.State == sriovv1.StepRunning {
			why = "" // the step says it
		}
		b.WriteString(withWhy(text, why) + "\n")
	}
	for _, p := range is.Policies {
		i := slices.IndexFunc(was.Policies, func(o fleet.PolicyReport) bool { return o.Name == p.Name })
		if i >= 0 && was.Policies[i].Standing == p.Standing && was.Policies[i].Synced == p.Synced && was.Policies[i].Failed == p.Failed {
			continue
		}
		b.WriteString(withWhy(fmt.Sprintf("policy %s: %s", line(p.Name), p.Standing), p.Why) + "\n")
	}
	return b.String()
}

func withWhy(text, why string) string {
	if why == "" {
		return text
	}
	return text + ": " + line(strings.ReplaceAll(why, "\n", "; "))
}
