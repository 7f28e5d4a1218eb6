// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/kubeovn/sriov-network-operator/internal/disruption"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
)

// NothingToDo is the plan of a machine that is as desired.
const NothingToDo = "nothing to do"

// Plan is a plan for people: the steps of each PF with what each disturbs and
// why, what cannot be done, and a last line with the sum.
func Plan(p plan.Plan) string {
	var b strings.Builder
	b.WriteString(steps(p))
	b.WriteString(reboot(p))
	b.WriteString(Findings("cannot be done", p.Blocked))
	b.WriteString(Findings("worth knowing", p.Notices))
	if b.Len() > 0 {
		b.WriteByte('\n')
	}
	b.WriteString(Sum(p))
	b.WriteByte('\n')
	return strings.TrimPrefix(b.String(), "\n")
}

// Sum is the plan in one line.
func Sum(p plan.Plan) string {
	blocked := ""
	if n := len(p.Blocked); n > 0 {
		blocked = " " + count(n, "wish", "wishes") + " cannot be met."
	}
	if p.Empty() {
		if blocked != "" {
			return NothingToDo + "." + blocked
		}
		return NothingToDo
	}
	return fmt.Sprintf("plan disturbs: %s. %s on %s.%s", p.Class(), count(stepCount(p), "step", "steps"), count(len(p.Lanes), "PF", "PFs"), blocked)
}

// reboot says why the machine must boot again; empty when it need not.
func reboot(p plan.Plan) string {
	if p.Reboot == nil {
		return ""
	}
	var b strings.Builder
	b.WriteString("\nthen the machine must reboot:\n")
	for _, why := range p.Reboot.Why {
		fmt.Fprintf(&b, "  %s\n", line(why.String()))
	}
	return b.String()
}

func stepCount(p plan.Plan) int {
	n := 0
	for range p.Steps() {
		n++
	}
	return n
}

// count is "1 step", "2 steps".
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

func steps(p plan.Plan) string {
	var t table
	section := func(title string, steps []plan.Step) {
		if len(steps) == 0 {
			return
		}
		if len(t.rows) > 0 {
			t.row()
		}
		t.row(title, "disturbs", "why")
		width := len(strconv.Itoa(len(steps)))
		for i, s := range steps {
			t.row(fmt.Sprintf("  %*d  %s", width, i+1, Action(s.Do)), Disturbs(s), line(s.Why.String()))
		}
	}
	section("the node", p.Before)
	for _, l := range p.Lanes {
		section(Port(l.PF, l.Name), l.Steps)
	}
	section("the node, last", p.After)
	return t.String()
}

// Port names a PF: "0000:d8:00.0 ens1f0".
func Port(pf hw.PCIAddr, name string) string {
	return strings.TrimSpace(pf.String() + " " + line(name))
}

// Disturbs says who notices a step, with the VFs that it takes away.
func Disturbs(s plan.Step) string {
	text := s.Class.String()
	if len(s.Takes) > 0 {
		text += " (" + vfs(s.Takes) + ")"
	}
	if s.CutsLink && s.Class != disruption.Link {
		text += ", link"
	}
	return text
}

// Findings are what cannot be done, or what is worth a word, each with its cause
// and what to do about it, under a title; empty when there are none.
func Findings(title string, found []plan.Blocker) string {
	if len(found) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s:\n", title)
	for _, f := range found {
		where := "the node"
		if !f.PF.IsZero() {
			where = Port(f.PF, f.Name)
		}
		fmt.Fprintf(&b, "  %s: %s\n", where, because(f))
		meaning := f.Why.Reason.Sentence()
		if meaning != "" && f.Why.Detail != "" {
			fmt.Fprintf(&b, "      %s: %s\n", f.Why.Reason, meaning)
		}
		if fix := f.Why.Reason.Fix(); fix != "" {
			fmt.Fprintf(&b, "      fix: %s\n", fix)
		}
	}
	return b.String()
}

// because is the cause without the PF's name, which stands before it already.
func because(f plan.Blocker) string {
	text := line(f.Why.String())
	if f.Name != "" {
		text = strings.TrimPrefix(text, line(f.Name)+": ")
	}
	return text
}

// Finding is a blocker in one line: where, the cause, the fix.
func Finding(f plan.Blocker) string {
	text := because(f)
	if !f.PF.IsZero() {
		text = Port(f.PF, f.Name) + ": " + text
	}
	if fix := f.Why.Reason.Fix(); fix != "" {
		text = strings.TrimSuffix(text, ".") + ". " + fix
	}
	return text
}

// line keeps text on one line: what is not printable becomes a question mark.
func line(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x2028 || r == 0x2029 || (r >= 0x80 && r < 0xa0) || r == '\uFFFD' {
			return '?'
		}
		return r
	}, s)
}

// planJSON is a plan with its sum. Decoding it into a plan.Plan gives the plan.
type planJSON struct {
	// Disturbs is the highest class of all steps.
	Disturbs disruption.Class `json:"disturbs"`
	// StepCount is the number of steps.
	StepCount int `json:"stepCount"`
	// Takes are the VFs that the plan destroys or takes from their driver.
	Takes []hw.VFRef `json:"takes,omitempty"`
	plan.Plan
}

// PlanJSON is a plan for software.
func PlanJSON(p plan.Plan) ([]byte, error) {
	out, err := json.MarshalIndent(planJSON{Disturbs: p.Class(), StepCount: stepCount(p), Takes: p.Takes(), Plan: p}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the plan: %w", err)
	}
	return append(out, '\n'), nil
}
