// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodestate

import (
	"fmt"

	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

// Sentence says for people what became of the policy on the node.
func (p PolicyTrace) Sentence() string {
	switch p.Reason {
	case reason.NodeNotSelected, reason.NodeNotListed:
		has := "the label is missing"
		if p.Got != "" {
			has = fmt.Sprintf("it has %q", p.Got)
		}
		who := "the policy's nodeSelector"
		if p.Reason == reason.NodeNotListed {
			who = "the operator"
		}
		return fmt.Sprintf("policy %s: not on this node: %s wants the label %s=%q and %s", p.Policy, who, p.Label.Key, p.Label.Value, has)
	case reason.BadPolicy:
		if len(p.Problems) > 0 {
			return fmt.Sprintf("policy %s: left out: %s", p.Policy, p.Problems[0])
		}
	case reason.Won:
		return fmt.Sprintf("policy %s: in force here, priority %d", p.Policy, p.Priority)
	}
	return fmt.Sprintf("policy %s: not in force here: %s", p.Policy, p.Reason.Sentence())
}

// Label names the PF for people: "ens1f0 (0000:d8:00.0)".
func (t PFTrace) Label() string {
	if t.Name == "" {
		return t.PF.String()
	}
	return t.Name + " (" + t.PF.String() + ")"
}

// Sentence says for people what became of a policy on this PF.
func (t PFTrace) Sentence(o Outcome) string {
	switch o.Reason {
	case reason.Won:
		return fmt.Sprintf("policy %s: stands alone on %s", o.Policy, t.Label())
	case reason.Merged:
		return fmt.Sprintf("policy %s: stands on %s beside other policies", o.Policy, t.Label())
	case reason.LostToPriority, reason.LostToName, reason.LostToObject:
		return fmt.Sprintf("policy %s: nothing on %s; policy %s stands", o.Policy, t.Label(), o.To)
	}
	return fmt.Sprintf("policy %s: nothing on %s: %s", o.Policy, t.Label(), reason.Why{Reason: o.Reason, Detail: o.Detail})
}

// LossSentence says for people which wish was lost to whom, and why.
func (t PFTrace) LossSentence(l Loss) string {
	what := fmt.Sprintf("policy %s: %s %s on %s", l.Policy, l.Field, l.Value, t.Label())
	to := "policy " + l.Stands.Policy
	switch {
	case l.Field == FieldGroup:
	case l.Stands.Value.unset():
		to += ", which leaves it unset"
	default:
		to += fmt.Sprintf(", which has %s", l.Stands.Value)
	}
	switch l.Reason {
	case reason.RaisedByOther:
		return fmt.Sprintf("%s is raised to %s by policy %s", what, l.Stands.Value, l.Stands.Policy)
	case reason.GroupNeedsSwitchdev:
		return fmt.Sprintf("%s is left out: it needs eSwitchMode switchdev, and policy %s, which is processed last, has %s",
			what, l.Stands.Policy, l.Stands.Value)
	case reason.LostToName:
		return fmt.Sprintf("%s lost to %s (equal priority %d, and %s is processed after %s)",
			what, to, l.Priority, l.Stands.Policy, l.Policy)
	case reason.LostToObject:
		return fmt.Sprintf("%s lost to %s (equal priority %d, and a policy object stands over an entry of a ConfigMap)",
			what, to, l.Priority)
	}
	return fmt.Sprintf("%s lost to %s (priority %d is before %d)", what, to, l.Stands.Priority, l.Priority)
}

// NoticeSentence says a notice for people.
func (t PFTrace) NoticeSentence(n Notice) string {
	return fmt.Sprintf("policy %s: on %s: %s", n.Policy, t.Label(), n.Why)
}

// Conflicts are the sentences about what a policy lost to others on the node, in
// the order of PFs.
func (t Trace) Conflicts(policy string) []string {
	var out []string
	for _, pf := range t.PFs {
		for _, l := range pf.Losses {
			if l.Policy == policy {
				out = append(out, pf.LossSentence(l))
			}
		}
	}
	return out
}

// Sentences are the whole trace for people: the policies that are not in force,
// then each PF with what became of the policies that select it.
func (t Trace) Sentences() []string {
	var out []string
	for _, p := range t.Policies {
		out = append(out, p.Sentence())
		for _, problem := range p.Problems {
			if p.Reason != reason.BadPolicy || problem != p.Problems[0] {
				out = append(out, fmt.Sprintf("policy %s: %s", p.Policy, problem))
			}
		}
	}
	for _, pf := range t.PFs {
		out = append(out, pf.sentences()...)
	}
	return out
}

func (t PFTrace) sentences() []string {
	var out []string
	for _, o := range t.Outcomes {
		out = append(out, t.Sentence(o))
	}
	for _, l := range t.Losses {
		out = append(out, t.LossSentence(l))
	}
	for _, n := range t.Notices {
		out = append(out, t.NoticeSentence(n))
	}
	if t.Rejected != "" {
		out = append(out, fmt.Sprintf("%s is left out: %s", t.Label(), t.Rejected))
	}
	return out
}
