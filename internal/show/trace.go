// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"fmt"
	"strings"

	"github.com/kubeovn/sriov-network-operator/internal/reason"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
)

// Trace explains a node: what became of each policy, and on each PF who won each
// group and field, who lost, and why.
func Trace(t nodestate.Trace) string {
	var b strings.Builder
	b.WriteString("policies, in the order in which they are processed; the last one has the last word:\n")
	if len(t.Policies) == 0 {
		b.WriteString("  there are none\n")
	}
	for _, p := range t.Policies {
		fmt.Fprintf(&b, "  %s\n", line(p.Sentence()))
		for i, problem := range p.Problems {
			if i > 0 || p.Reason != reason.BadPolicy {
				fmt.Fprintf(&b, "      %s\n", line(problem.String()))
			}
		}
		if fix := p.Reason.Fix(); fix != "" {
			fmt.Fprintf(&b, "      fix: %s\n", fix)
		}
	}
	for _, pf := range t.PFs {
		b.WriteString(pfTrace(pf))
	}
	return b.String()
}

func pfTrace(pf nodestate.PFTrace) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n", Port(pf.PF, pf.Name))
	t := table{indent: 2}
	for _, w := range pf.Stands {
		if value := w.Value.String(); value == "unset" || value == "false" {
			continue // nobody asked for anything
		}
		t.row(w.Field.String(), w.Value.String(), fmt.Sprintf("policy %s, priority %d", line(w.Policy), w.Priority))
	}
	b.WriteString(t.String())
	for _, o := range pf.Outcomes {
		fmt.Fprintf(&b, "  %s\n", line(pf.Sentence(o)))
	}
	for _, l := range pf.Losses {
		fmt.Fprintf(&b, "  %s\n", line(pf.LossSentence(l)))
	}
	for _, n := range pf.Notices {
		fmt.Fprintf(&b, "  %s\n", line(pf.NoticeSentence(n)))
		if fix := n.Reason.Fix(); fix != "" {
			fmt.Fprintf(&b, "      fix: %s\n", fix)
		}
	}
	if pf.Rejected != "" {
		fmt.Fprintf(&b, "  left out: %s\n", line(pf.Rejected))
	}
	return b.String()
}
