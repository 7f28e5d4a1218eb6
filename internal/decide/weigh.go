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
	// Foreign are the VFs that the machine shows to be in use, and that no known pod
	// holds. It counts only if Known.
	Foreign map[hw.VFRef]bool
	// Guarded says that no pod is given a VF while the steps are carried out.
	Guarded bool
	// Patient is false when those who hold VFs have stayed, or could not be seen to leave,
	// for long: pods since the drain was complete, others since they were seen.
	Patient bool
	// Tries are by PF; the zero address is the node's own steps.
	Tries map[hw.PCIAddr]Try
}

// Weigh says what is to be done next of a plan, and what that needs. What disturbs
// nobody comes first and waits for nothing; what takes VFs that nobody holds comes next;
// then a restart, after which no VF is left to be taken; then what makes pods leave; then
// what takes VFs from somebody whom no drain makes leave.
func Weigh(p plan.Plan, v View) (Need, plan.Plan) {
	lanes := map[Need]bool{}
	for _, l := range p.Lanes {
		lanes[weighLane(l, v)] = true
	}
	node := nodeNeed(p, v)
	part := func(needs ...Need) plan.Plan {
		now := plan.Plan{Before: p.Before, After: p.After}
		for _, l := range p.Lanes {
			if slices.Contains(needs, weighLane(l, v)) {
				now.Lanes = append(now.Lanes, l)
			}
		}
		return now
	}
	switch {
	case lanes[Quiet] || node == Quiet:
		return Quiet, part(Quiet)
	case lanes[Free]:
		return Free, part(Free)
	case p.Prepared() && !lanes[Cooling]:
		return Restart, plan.Plan{}
	case lanes[Unknown] && !v.Patient:
		return Blind, part(Unknown)
	case lanes[Unknown]:
		return Unknown, part(Unknown)
	case lanes[Held] && !v.Patient:
		return Overdue, part(Held, Exposed)
	case lanes[Held]:
		return Held, part(Held, Exposed)
	case lanes[Exposed]:
		return Exposed, part(Exposed)
	case lanes[Cooling] || node == Cooling:
		return Cooling, plan.Plan{}
	case lanes[Foreign] && !v.Patient:
		return Occupied, part(Foreign)
	case lanes[Foreign]:
		return Foreign, part(Foreign)
	case lanes[Spent] || node == Spent:
		return Spent, plan.Plan{}
	}
	return Nothing, plan.Plan{}
}

// weighLane is what one PF's steps need.
func weighLane(l plan.Lane, v View) Need {
	if n, tired := tired(v.Tries[l.PF]); tired {
		return n
	}
	class, held, foreign := disruption.None, false, false
	for _, s := range l.Steps {
		class = max(class, s.Class)
		for _, i := range s.Takes {
			ref := hw.VFRef{PF: l.PF, Index: i}
			held, foreign = held || v.Held[ref], foreign || v.Foreign[ref]
		}
	}
	switch {
	case class < disruption.Pods:
		return Quiet
	case !v.Known:
		return Unknown
	case foreign: // also where pods hold others: they would leave in vain
		return Foreign
	case held:
		return Held
	case v.Guarded:
		return Free
	}
	return Exposed
}

// nodeNeed is what the node's own steps need. They disturb nobody.
func nodeNeed(p plan.Plan, v View) Need {
	// A reload alone belongs to the lanes that change rules, and goes with them.
	own := len(p.Before) > 0 || slices.ContainsFunc(p.After, func(s plan.Step) bool {
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
