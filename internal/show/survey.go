// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/fleet"
)

// fewNames is how many names are listed; of more, one less is, and the number of the
// others.
const fewNames = 4

// Names lists names in short: "a, b, c and 9 more".
func Names(names []string) string {
	shown := names
	if len(names) > fewNames {
		shown = names[:fewNames-1]
	}
	lines := make([]string, len(shown))
	for i, n := range shown {
		lines[i] = line(n)
	}
	text := strings.Join(lines, ", ")
	if more := len(names) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// Survey is how far a cluster is: its nodes, of which equal ones share a line, its
// policies, and what is missing, with what to do about it.
func Survey(s fleet.Survey) string { return survey(s, alike(s.Nodes)) }

// SurveyWide is Survey with a line for each node.
func SurveyWide(s fleet.Survey) string {
	var each []crowd
	for i := range s.Nodes {
		each = append(each, crowd{names: []string{s.Nodes[i].Name}, node: &s.Nodes[i]})
	}
	return survey(s, each)
}

// crowd is nodes of which the same is to be said.
type crowd struct {
	names []string
	node  *fleet.NodeReport
}

// alike puts nodes together that differ in nothing but their names and pods, in the order
// of their first nodes.
func alike(nodes []fleet.NodeReport) []crowd {
	var out []crowd
	at := map[string]int{}
	for i := range nodes {
		n := &nodes[i]
		key := strings.Join(nodeCells(n), "\x00") + "\x00" + n.Why + "\x00" + n.Boot
		j, ok := at[key]
		if !ok {
			j = len(out)
			at[key] = j
			out = append(out, crowd{node: n})
		}
		out[j].names = append(out[j].names, n.Name)
	}
	return out
}

func nodeCells(n *fleet.NodeReport) []string {
	disturbs, step := "", ""
	if n.Plan != nil {
		disturbs, step = string(n.Plan.Disrupts), progressText(n.Plan)
	}
	return []string{
		n.Standing.String(), strconv.Itoa(n.PFs), fmt.Sprintf("%d/%d", n.VFs, n.Wanted),
		dash(disturbs), dash(step), dash(line(n.Reason)),
	}
}

// progressText is "3/7 numvfs 4 → 0".
func progressText(p *fleet.Progress) string {
	text := fmt.Sprintf("%d/%d", p.Done, p.Steps)
	if p.Does != "" {
		text += " " + line(strings.TrimSpace(p.PF+" "+p.Does))
	}
	return text
}

func survey(s fleet.Survey, nodes []crowd) string {
	var b strings.Builder
	var t table
	t.row("NODE", "STATE", "PFS", "VFS", "DISTURBS", "STEP", "REASON")
	for _, c := range nodes {
		t.row(append([]string{Names(c.names)}, nodeCells(c.node)...)...)
	}
	b.WriteString(orNone(&t, len(nodes), "no node that the operator looks after"))
	b.WriteString("\n" + policies(s))
	b.WriteString(missing(s, nodes))
	return b.String()
}

func policies(s fleet.Survey) string {
	var p table
	p.row("POLICY", "PRIORITY", "RESOURCE", "VFS", "NODES", "PFS", "SYNCED", "FAILED", "STATE", "REASON")
	for i := range s.Policies {
		one := &s.Policies[i]
		p.row(line(one.Name), strconv.Itoa(one.Priority), line(one.Resource), strconv.Itoa(one.NumVFs), strconv.Itoa(one.Nodes), strconv.Itoa(one.PFs),
			strconv.Itoa(one.Synced), strconv.Itoa(one.Failed), one.Standing.String(), dash(line(one.Reason)))
	}
	return orNone(&p, len(s.Policies), "no policy")
}

// missing says why what is not as desired is not.
func missing(s fleet.Survey, nodes []crowd) string {
	var b strings.Builder
	say := func(who, why, fix string) {
		if why == "" {
			return
		}
		fmt.Fprintf(&b, "  %s: %s\n", who, strings.ReplaceAll(why, "\n", "\n      "))
		if fix != "" {
			fmt.Fprintf(&b, "      fix: %s\n", fix)
		}
	}
	for _, c := range nodes {
		say(Names(c.names), c.node.Why, c.node.Fix)
		say(Names(c.names), c.node.Boot, "")
		if c.node.Plan != nil && len(c.names) == 1 {
			say(c.names[0], leaving(c.node.Plan.Pods), "")
		}
	}
	for i := range s.Policies {
		p := &s.Policies[i]
		switch {
		case p.Standing == fleet.Synced:
		case p.Reason == sriovv1.ReasonNodesFailed:
			// Why is that of a node, which says it itself.
			say("policy "+line(p.Name), fmt.Sprintf("%d of %d nodes failed", p.Failed, p.Nodes), "")
		default:
			say("policy "+line(p.Name), p.Why, "")
		}
		if p.Lost != "" && p.Lost != p.Why {
			say("policy "+line(p.Name), p.Lost, "")
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "\nwhat is missing:\n" + b.String()
}

// leaving names the pods that have to leave.
func leaving(pods []sriovv1.AffectedPod) string {
	if len(pods) == 0 {
		return ""
	}
	var names []string
	for _, p := range pods {
		names = append(names, p.Namespace+"/"+p.Name)
	}
	return "these pods hold VFs that are taken: " + Names(names)
}

// NodeReport is all there is to say of one node: what it is and should be, what is being
// done, and what stands in the way. Wide adds its VF groups and VFs.
func NodeReport(n fleet.NodeReport, state *sriovv1.SriovNetworkNodeState, wide func(*sriovv1.SriovNetworkNodeState) string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "node %s: %s\n", line(n.Name), n.Standing)
	if n.Drain != "" {
		fmt.Fprintf(&b, "  drain: %s\n", line(n.Drain))
	}
	if n.Why != "" {
		fmt.Fprintf(&b, "  %s: %s\n", line(n.Reason), strings.ReplaceAll(n.Why, "\n", "\n    "))
	}
	if n.Fix != "" {
		fmt.Fprintf(&b, "    fix: %s\n", n.Fix)
	}
	if n.Boot != "" {
		fmt.Fprintf(&b, "  %s\n", strings.ReplaceAll(n.Boot, "\n", "\n    "))
	}
	if state == nil {
		return b.String()
	}
	_, body, _ := strings.Cut(wide(bare(state)), "\n")
	b.WriteString("\n" + body + pfFaults(state) + nodePlan(state.Status.Plan))
	return b.String()
}

// bare leaves out what the head of a node's report says already.
func bare(state *sriovv1.SriovNetworkNodeState) *sriovv1.SriovNetworkNodeState {
	out := *state
	out.Status.SyncStatus, out.Status.LastSyncError = "", ""
	return &out
}

// pfFaults are what is missing or worth a word, PF by PF.
func pfFaults(state *sriovv1.SriovNetworkNodeState) string {
	var b strings.Builder
	for i := range state.Status.Interfaces {
		pf := &state.Status.Interfaces[i]
		var said []string
		for _, c := range pf.Conditions {
			if c.Type == sriovv1.ConditionReady && c.Status != metav1.ConditionTrue {
				said = append(said, c.Reason+": "+c.Message)
			}
		}
		for _, w := range pf.Warnings {
			if !slices.ContainsFunc(said, func(s string) bool { return strings.HasSuffix(s, w) }) {
				said = append(said, w)
			}
		}
		if len(pf.InUseBy) > 0 {
			said = append(said, "carries "+strings.Join(pf.InUseBy, ", "))
		}
		for _, s := range said {
			fmt.Fprintf(&b, "  %s: %s\n", strings.TrimSpace(pf.PciAddress+" "+line(pf.Name)), line(s))
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "\nof its PFs:\n" + b.String()
}

// nodePlan is what is being done to a node, step by step.
func nodePlan(p *sriovv1.NodePlan) string {
	if p == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nbeing done, disturbs: %s\n", p.Disrupts)
	t := table{indent: 2}
	t.row("PF", "STEP", "DISTURBS", "STATE", "WHY")
	for i := range p.Steps {
		s := &p.Steps[i]
		state := string(s.State)
		if s.Took != nil {
			state += " in " + s.Took.Duration.String()
		}
		t.row(dash(s.PciAddress), line(s.Does), string(s.Disrupts), state, dash(line(s.Why)))
		if s.Error != "" {
			t.row("", "failed: "+line(s.Error))
		}
	}
	b.WriteString(t.String())
	for _, pod := range p.AffectedPods {
		fmt.Fprintf(&b, "  pod %s/%s has to leave: it holds %s\n", line(pod.Namespace), line(pod.Name), strings.Join(pod.Devices, ", "))
	}
	for _, vf := range p.UnknownHolders {
		fmt.Fprintf(&b, "  %s is held by somebody who is no pod\n", line(vf))
	}
	return b.String()
}
