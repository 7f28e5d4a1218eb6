// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"slices"

	"github.com/kubeovn/sriov-network-operator/internal/disruption"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
)

// Try is how it went with a lane so far.
type Try uint8

// The tries.
const (
	// Fresh may be tried.
	Fresh Try = iota
	// Failing has failed and is tried again in a moment.
	Failing
	// Failed is not tried again before something changes.
	Failed
)

// View is what a plan is weighed with.
type View struct {
	// Held are the VFs that pods hold. It counts only if Known.
	Held  map[hw.VFRef]bool
	Known bool
	// Guarded says that no pod is given a VF while the steps are carried out.
	Guarded bool
	// Patient is false when pods have stayed, or could not be seen to leave, long after
	// the drain was complete.
	Patient bool
	// Tries are by PF; the zero address is the node's own steps.
	Tries map[hw.PCIAddr]Try
	// Rebooted says that the node was restarted for what still needs a restart.
	Rebooted bool
}

// Weigh says what is to be done next of a plan, and what that needs. What disturbs
// nobody comes first and waits for nothing; what takes VFs that nobody holds comes next;
// then a restart, after which no VF is left to be taken; then what makes pods leave.
func Weigh(p plan.Plan, v View) (Need, plan.Plan) {
	lanes := map[Need][]plan.Lane{}
	for _, l := range p.Lanes {
		n := weighLane(l, v)
		lanes[n] = append(lanes[n], l)
	}
	before := unrestarted(p.Before)
	node := nodeNeed(p, before, v)
	part := func(n Need, needs ...Need) (Need, plan.Plan) {
		now := plan.Plan{Before: before, After: unrestarted(p.After)}
		for _, l := range p.Lanes {
			if slices.Contains(needs, weighLane(l, v)) {
				now.Lanes = append(now.Lanes, l)
			}
		}
		return n, now
	}
	switch {
	case len(lanes[Quiet]) > 0 || node == Quiet:
		return part(Quiet, Quiet)
	case len(lanes[Free]) > 0:
		return part(Free, Free)
	case restarts(p) && !v.Rebooted:
		return Restart, plan.Plan{}
	case len(lanes[Unknown]) > 0 && !v.Patient:
		return part(Blind, Unknown)
	case len(lanes[Unknown]) > 0:
		return part(Unknown, Unknown)
	case len(lanes[Held]) > 0 && !v.Patient:
		return part(Overdue, Held, Exposed)
	case len(lanes[Held]) > 0:
		return part(Held, Held, Exposed)
	case len(lanes[Exposed]) > 0:
		return part(Exposed, Exposed)
	case len(lanes[Cooling]) > 0 || node == Cooling:
		return Cooling, plan.Plan{}
	case restarts(p):
		return Vain, plan.Plan{}
	case len(lanes[Spent]) > 0 || node == Spent:
		return Spent, plan.Plan{}
	}
	return Nothing, plan.Plan{}
}

// weighLane is what one PF's steps need.
func weighLane(l plan.Lane, v View) Need {
	if n, tired := tired(v.Tries[l.PF]); tired {
		return n
	}
	class, held := disruption.None, false
	for _, s := range l.Steps {
		if s.Class == disruption.Reboot {
			return Nothing // it begins after the restart
		}
		class = max(class, s.Class)
		for _, i := range s.Takes {
			held = held || v.Held[hw.VFRef{PF: l.PF, Index: i}]
		}
	}
	switch {
	case class < disruption.Pods:
		return Quiet
	case !v.Known:
		return Unknown
	case held:
		return Held
	case v.Guarded:
		return Free
	}
	return Exposed
}

// nodeNeed is what the node's own steps need. They disturb nobody.
func nodeNeed(p plan.Plan, before []plan.Step, v View) Need {
	// A reload alone belongs to the lanes that change rules, and goes with them.
	own := len(before) > 0 || slices.ContainsFunc(unrestarted(p.After), func(s plan.Step) bool {
		_, reload := s.Do.(plan.ReloadUdev)
		return !reload
	})
	if !own {
		return Nothing
	}
	if n, tired := tired(v.Tries[hw.PCIAddr{}]); tired {
		return n
	}
	return Quiet
}

func tired(t Try) (Need, bool) {
	switch t {
	case Failing:
		return Cooling, true
	case Failed:
		return Spent, true
	case Fresh:
	}
	return Nothing, false
}

// restarts reports whether a step needs a restart of the node.
func restarts(p plan.Plan) bool { return p.Class() == disruption.Reboot }

// unrestarted are the steps that need no restart.
func unrestarted(steps []plan.Step) []plan.Step {
	return slices.DeleteFunc(slices.Clone(steps), func(s plan.Step) bool { return s.Class == disruption.Reboot })
}

// Causes are why a plan needs a restart, sorted; none when it needs none. A restart that
// leaves the causes as they were was in vain.
func Causes(p plan.Plan) []string {
	var out []string
	for s := range p.Steps() {
		if s.Class == disruption.Reboot {
			out = append(out, s.Do.Does()+": "+s.Why.String())
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
