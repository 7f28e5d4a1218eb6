// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"fmt"
	"strings"

	"github.com/kubeovn/sriov-network-operator/internal/forecast"
)

// fewPods is how many pods of a group are listed.
const fewPods = 20

// Forecast is what a change would do to the nodes of a cluster: nodes to which the same
// happens share their steps. A last line has the sum.
func Forecast(f forecast.Forecast) string {
	var b strings.Builder
	for _, g := range f.Groups {
		if g.Effect == forecast.Unchanged && g.Why == "" && len(g.Plan.Blocked) == 0 {
			continue // the sum counts them
		}
		fmt.Fprintf(&b, "%s: %s\n", who(g.Nodes), meaning(g))
		b.WriteString(indented(groupText(g)) + "\n")
	}
	b.WriteString(forecastSum(f))
	return b.String()
}

// who names nodes, after their number if there are several.
func who(nodes []string) string {
	if len(nodes) == 1 {
		return "node " + line(nodes[0])
	}
	return fmt.Sprintf("%d nodes (%s)", len(nodes), Names(nodes))
}

// meaning says an effect for people.
func meaning(g forecast.Group) string {
	switch g.Effect {
	case forecast.Unchanged:
		if g.Why == "" {
			return "unchanged, because nothing of what is asked for can be done"
		}
		return "unchanged: " + g.Why
	case forecast.Unknown:
		return "not known: " + g.Why
	case forecast.None:
		if g.Plan.Empty() {
			return "nothing changes on the machine"
		}
		return "nobody notices"
	case forecast.Link:
		return "the PF's own traffic may pause"
	case forecast.Pods:
		return "pods lose VFs"
	case forecast.Drain:
		return "drain: every pod that holds a VF has to leave, as the pool's disruptionScope says"
	case forecast.Reboot:
		return "reboot: everybody has to leave, and the node restarts"
	}
	return g.Effect.String()
}

func groupText(g forecast.Group) string {
	var b strings.Builder
	b.WriteString(steps(g.Plan))
	b.WriteString(Findings("cannot be done", g.Plan.Blocked))
	b.WriteString(Findings("worth knowing", g.Plan.Notices))
	if g.Offers {
		b.WriteString("\nthe device plugin offers other resources than now\n")
	}
	if g.Disturbs() {
		b.WriteString(holders(g))
	}
	if len(g.Doubts) > 0 {
		b.WriteString("\nnot known:\n")
		for _, d := range g.Doubts {
			fmt.Fprintf(&b, "  %s\n", line(d))
		}
	}
	return strings.TrimPrefix(b.String(), "\n")
}

func holders(g forecast.Group) string {
	switch {
	case g.PodsUnknown != "":
		return "\npods that hold these VFs: not known: " + line(g.PodsUnknown) + "\n"
	case len(g.Pods) == 0:
		return "\npods that hold these VFs: none that the cluster shows\n"
	}
	var b strings.Builder
	b.WriteString("\npods that hold these VFs:\n")
	shown := g.Pods[:min(len(g.Pods), fewPods)]
	t := table{indent: 2}
	for _, p := range shown {
		t.row(line(p.Node), line(p.Namespace)+"/"+line(p.Name), holds(p))
	}
	b.WriteString(t.String())
	if more := len(g.Pods) - len(shown); more > 0 {
		fmt.Fprintf(&b, "  and %d more; -o json names all\n", more)
	}
	return b.String()
}

func holds(p forecast.Holder) string {
	asks := strings.Join(p.Asks, ", ")
	switch {
	case len(p.VFs) > 0:
		return "holds " + strings.Join(p.VFs, ", ")
	case p.Certain && asks != "":
		return "holds VFs of " + asks
	case p.Certain:
		return "is on the node"
	}
	return "may hold one: it asks for " + asks
}

// indented puts two blanks before every line that is not empty.
func indented(text string) string {
	var b strings.Builder
	for l := range strings.Lines(text) {
		if l != "\n" {
			b.WriteString("  ")
		}
		b.WriteString(l)
	}
	return b.String()
}

func forecastSum(f forecast.Forecast) string {
	total, certain, perhaps := 0, 0, 0
	var parts []string
	for e := forecast.Reboot; ; e-- {
		if n := f.Counts[e]; n > 0 {
			total += n
			parts = append(parts, fmt.Sprintf("%s %d", e, n))
		}
		if e == forecast.Unchanged {
			break
		}
	}
	for _, g := range f.Groups {
		for _, p := range g.Pods {
			if p.Certain {
				certain++
			} else {
				perhaps++
			}
		}
	}
	text := fmt.Sprintf("the change disturbs: %s. %s: %s.", f.Effect, count(total, "node", "nodes"), strings.Join(parts, ", "))
	if total == 0 {
		text = "the operator looks after no node."
	}
	switch {
	case certain > 0 && perhaps > 0:
		text += fmt.Sprintf(" %s would be disturbed, and perhaps %d more.", count(certain, "pod", "pods"), perhaps)
	case certain > 0:
		text += " " + count(certain, "pod", "pods") + " would be disturbed."
	case perhaps > 0:
		text += " Perhaps " + count(perhaps, "pod", "pods") + " would be disturbed."
	}
	if f.Blocked > 0 {
		text += " " + count(f.Blocked, "node", "nodes") + " cannot have all that is asked for."
	}
	return text + "\n"
}
