// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	"github.com/kubeovn/sriov-network-operator/internal/disruption"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

// Plan is everything that must happen for a node to become what is desired. It
// is plain data, ordered, and the same for the same inputs.
type Plan struct {
	// Before is what the node needs: modules and udev rules, in order. It goes on
	// beside the lanes, whose steps wait for it where they say so.
	Before []Step `json:"before,omitempty"`
	// Lanes are independent of each other; each is done in order.
	Lanes []Lane `json:"lanes,omitempty"`
	// After is done last, in order, also when a lane failed.
	After []Step `json:"after,omitempty"`
	// Reboot says why the machine must boot again when the steps are done; nil when
	// it need not. No step reboots: who carries plans out does, once a plan has this
	// and no step that may be done before it. PFs that wait for the boot have no
	// lane. See Within.
	Reboot *Reboot `json:"reboot,omitempty"`
	// Blocked is what was asked for and cannot be done here.
	Blocked []Blocker `json:"blocked,omitempty"`
	// Notices are worth a word and keep nothing from being done.
	Notices []Blocker `json:"notices,omitempty"`
}

// Lane is what happens to one PF. Its steps never touch another PF.
type Lane struct {
	PF hw.PCIAddr `json:"pf"`
	// Name is the PF's netdev when the plan was made, for people.
	Name  string `json:"name,omitempty"`
	Steps []Step `json:"steps"`
	// Basis is the fingerprint of what the lane was planned from. A lane whose
	// basis is another one now is stale: plan again, never patch.
	Basis string `json:"basis"`
}

// Step is one action, the reason for it, and what it disturbs. Why is for
// people, Class is for decisions; nothing decides on Why.
type Step struct {
	Do    Action
	Why   reason.Why
	Class disruption.Class
	// Takes are the indices of the VFs that exist and that the step destroys or
	// takes from their driver. Whoever holds one of them must leave first.
	Takes []int
	// CutsLink says that the PF's own traffic pauses.
	CutsLink bool
	// AfterNode says that the step waits until the node's first steps are done:
	// it makes devices appear that rules name and modules drive.
	AfterNode bool
}

// Blocker is something that was asked for and is not done.
type Blocker struct {
	// PF is zero when it concerns the node.
	PF   hw.PCIAddr `json:"pf,omitzero"`
	Name string     `json:"name,omitempty"`
	Why  reason.Why `json:"why"`
}

// Class is the highest class of all steps, or Reboot for a plan that needs one;
// None for a plan without either.
func (p Plan) Class() disruption.Class {
	class := disruption.None
	if p.Reboot != nil {
		class = disruption.Reboot
	}
	for s := range p.Steps() {
		class = max(class, s.Class)
	}
	return class
}

// Empty reports whether there is nothing to do. Blocked may still hold what
// cannot be done.
func (p Plan) Empty() bool {
	for range p.Steps() {
		return false
	}
	return p.Reboot == nil
}

// Prepared reports whether the plan needs a boot and the boot loader has been seen
// to hold what that boot is to bring. Nobody asks for a reboot before.
func (p Plan) Prepared() bool {
	return p.Reboot != nil && !slices.ContainsFunc(p.Before, func(s Step) bool {
		switch s.Do.(type) {
		case SetKernelArgs, RecordBoot:
			return true
		default:
			return false
		}
	})
}

// Within is the part of the plan that disturbs at most so much: the steps of the
// node, and the lanes all of whose steps are of at most this class. A lane is never
// done in part. It has no Reboot unless that is within, too.
//
// What disturbs nobody may be done at once; so the boot loader is told of kernel
// arguments.
func (p Plan) Within(most disruption.Class) Plan {
	out := p
	if most < disruption.Reboot {
		out.Reboot = nil
	}
	out.Lanes = nil
	for _, l := range p.Lanes {
		if !slices.ContainsFunc(l.Steps, func(s Step) bool { return s.Class > most }) {
			out.Lanes = append(out.Lanes, l)
		}
	}
	return out
}

// Steps are all steps: Before, the lanes one after another, After.
func (p Plan) Steps() func(yield func(Step) bool) {
	return func(yield func(Step) bool) {
		for _, s := range p.Before {
			if !yield(s) {
				return
			}
		}
		for _, l := range p.Lanes {
			for _, s := range l.Steps {
				if !yield(s) {
					return
				}
			}
		}
		for _, s := range p.After {
			if !yield(s) {
				return
			}
		}
	}
}

// Takes are the VFs that the plan destroys or takes from their driver, sorted.
func (p Plan) Takes() []hw.VFRef {
	var out []hw.VFRef
	for _, l := range p.Lanes {
		for _, s := range l.Steps {
			for _, i := range s.Takes {
				out = append(out, hw.VFRef{PF: l.PF, Index: i})
			}
		}
	}
	slices.SortFunc(out, func(a, b hw.VFRef) int {
		if c := a.PF.Compare(b.PF); c != 0 {
			return c
		}
		return a.Index - b.Index
	})
	return slices.Compact(out)
}

// SameBasis reports whether the other plan was made from the same inputs, lane by
// lane. A plan that is confirmed by a person is computed once more before it is
// executed; when the bases differ, the person has seen another machine.
func (p Plan) SameBasis(o Plan) bool {
	return (p.Reboot == nil) == (o.Reboot == nil) && slices.EqualFunc(p.Lanes, o.Lanes, func(a, b Lane) bool {
		return a.PF == b.PF && a.Basis == b.Basis
	})
}
