// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"slices"
	"testing"

	"github.com/kubeovn/sriov-network-operator/internal/decide"
	"github.com/kubeovn/sriov-network-operator/internal/disruption"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

func pf(bus uint8) hw.PCIAddr { return hw.PCIAddr{Bus: bus} }

// lane takes VF 0 of the PF if its class is pods.
func lane(bus uint8, class disruption.Class) plan.Lane {
	s := plan.Step{Do: plan.SetNumVFs{PF: pf(bus), To: 2}, Class: class}
	if class == disruption.Pods {
		s.Takes = []int{0}
	}
	return plan.Lane{PF: pf(bus), Steps: []plan.Step{s}}
}

func module() plan.Step { return plan.Step{Do: plan.LoadModule{Module: "vfio-pci"}} }

func argument() plan.Step { return plan.Step{Do: plan.SetKernelArgs{Add: []string{"iommu=pt"}}} }

func reboot() *plan.Reboot {
	return &plan.Reboot{Why: []reason.Why{reason.Because(reason.NoIOMMU, "no IOMMU")}}
}

func TestWeigh(t *testing.T) {
	held := map[hw.VFRef]bool{{PF: pf(1), Index: 0}: true}
	calm := decide.View{Known: true, Guarded: true, Patient: true}
	with := func(change func(v *decide.View)) decide.View {
		v := calm
		change(&v)
		return v
	}
	for _, test := range []struct {
		name string
		plan plan.Plan
		view decide.View
		need decide.Need
		// lanes are the PFs that are to be done now, and before how many steps of the node.
		lanes  []uint8
		before int
	}{
		{name: "an empty plan needs nothing", view: calm},
		{
			name: "what disturbs nobody goes first, and waits for no other PF", view: with(func(v *decide.View) { v.Held = held }),
			plan: plan.Plan{Before: []plan.Step{module()}, Lanes: []plan.Lane{lane(1, disruption.Pods), lane(2, disruption.Link)}},
			need: decide.Quiet, lanes: []uint8{2}, before: 1,
		},
		{
			name: "VFs that nobody holds are taken without a drain", view: calm,
			plan: plan.Plan{Lanes: []plan.Lane{lane(1, disruption.Pods)}}, need: decide.Free, lanes: []uint8{1},
		},
		{
			name: "unless a pod could be given one meanwhile", view: with(func(v *decide.View) { v.Guarded = false }),
			plan: plan.Plan{Lanes: []plan.Lane{lane(1, disruption.Pods)}}, need: decide.Exposed, lanes: []uint8{1},
		},
		{
			name: "a PF whose VFs are held waits, and another does not", view: with(func(v *decide.View) { v.Held = held }),
			plan: plan.Plan{Lanes: []plan.Lane{lane(1, disruption.Pods), lane(2, disruption.Pods)}}, need: decide.Free, lanes: []uint8{2},
		},
		{
			name: "a VF that the plan does not take may be held", view: with(func(v *decide.View) { v.Held = map[hw.VFRef]bool{{PF: pf(1), Index: 1}: true} }),
			plan: plan.Plan{Lanes: []plan.Lane{lane(1, disruption.Pods)}}, need: decide.Free, lanes: []uint8{1},
		},
		{
			name: "pods must leave", view: with(func(v *decide.View) { v.Held = held }),
			plan: plan.Plan{Lanes: []plan.Lane{lane(1, disruption.Pods)}}, need: decide.Held, lanes: []uint8{1},
		},
		{
			name: "pods have stayed too long", view: with(func(v *decide.View) { v.Held, v.Patient = held, false }),
			plan: plan.Plan{Lanes: []plan.Lane{lane(1, disruption.Pods)}}, need: decide.Overdue, lanes: []uint8{1},
		},
		{
			name: "somebody who is no pod holds a VF", view: with(func(v *decide.View) { v.Foreign = held }),
			plan: plan.Plan{Lanes: []plan.Lane{lane(1, disruption.Pods)}}, need: decide.Foreign, lanes: []uint8{1},
		},
		{
			name: "and has stayed", view: with(func(v *decide.View) { v.Foreign, v.Patient = held, false }),
			plan: plan.Plan{Lanes: []plan.Lane{lane(1, disruption.Pods)}}, need: decide.Occupied, lanes: []uint8{1},
		},
		{
			name: "no pod leaves for a PF of which somebody holds a VF who is no pod", view: with(func(v *decide.View) { v.Held, v.Foreign = held, held }),
			plan: plan.Plan{Lanes: []plan.Lane{lane(1, disruption.Pods)}}, need: decide.Foreign, lanes: []uint8{1},
		},
		{
			name: "whoever it is holds no other PF up", view: with(func(v *decide.View) { v.Foreign = held }),
			plan: plan.Plan{Lanes: []plan.Lane{lane(1, disruption.Pods), lane(2, disruption.Pods)}}, need: decide.Free, lanes: []uint8{2},
		},
		{
			name: "nor pods that are to leave another PF", view: with(func(v *decide.View) {
				v.Foreign, v.Held = held, map[hw.VFRef]bool{{PF: pf(2), Index: 0}: true}
			}),
			plan: plan.Plan{Lanes: []plan.Lane{lane(1, disruption.Pods), lane(2, disruption.Pods)}}, need: decide.Held, lanes: []uint8{2},
		},
		{
			name: "who holds VFs cannot be learned", view: with(func(v *decide.View) { v.Known = false }),
			plan: plan.Plan{Lanes: []plan.Lane{lane(1, disruption.Pods)}}, need: decide.Unknown, lanes: []uint8{1},
		},
		{
			name: "nor long after the drain was complete", view: with(func(v *decide.View) { v.Known, v.Patient = false, false }),
			plan: plan.Plan{Lanes: []plan.Lane{lane(1, disruption.Pods)}}, need: decide.Blind, lanes: []uint8{1},
		},
		{
			name: "who holds VFs does not matter if none is taken", view: with(func(v *decide.View) { v.Known = false }),
			plan: plan.Plan{Lanes: []plan.Lane{lane(1, disruption.Link)}}, need: decide.Quiet, lanes: []uint8{1},
		},
		{
			name: "a restart takes every VF anyway", view: with(func(v *decide.View) { v.Held = held }),
			plan: plan.Plan{Reboot: reboot(), Lanes: []plan.Lane{lane(1, disruption.Pods)}}, need: decide.Restart,
		},
		{
			name: "the boot loader is told before a restart is asked for", view: calm,
			plan: plan.Plan{Reboot: reboot(), Before: []plan.Step{argument()}}, need: decide.Quiet, before: 1,
		},
		{
			name: "there is no restart for what the boot loader could not be told", view: with(func(v *decide.View) { v.Tries = map[hw.PCIAddr]decide.Try{{}: decide.Failed} }),
			plan: plan.Plan{Reboot: reboot(), Before: []plan.Step{argument()}}, need: decide.Spent,
		},
		{
			name: "other steps of the node that failed keep nobody from a restart", view: with(func(v *decide.View) { v.Tries = map[hw.PCIAddr]decide.Try{{}: decide.Failed} }),
			plan: plan.Plan{Reboot: reboot(), Before: []plan.Step{module()}}, need: decide.Restart,
		},
		{
			name: "a PF that failed holds no other up", view: with(func(v *decide.View) { v.Tries = map[hw.PCIAddr]decide.Try{pf(1): decide.Failed} }),
			plan: plan.Plan{Lanes: []plan.Lane{lane(1, disruption.None), lane(2, disruption.None)}}, need: decide.Quiet, lanes: []uint8{2},
		},
		{
			name: "all that is left has failed", view: with(func(v *decide.View) { v.Tries = map[hw.PCIAddr]decide.Try{pf(1): decide.Failed} }),
			plan: plan.Plan{Lanes: []plan.Lane{lane(1, disruption.None)}}, need: decide.Spent,
		},
		{
			name: "what failed a moment ago has to wait", view: with(func(v *decide.View) {
				v.Tries = map[hw.PCIAddr]decide.Try{pf(1): decide.Failing, pf(2): decide.Failed}
			}),
			plan: plan.Plan{Lanes: []plan.Lane{lane(1, disruption.None), lane(2, disruption.None)}}, need: decide.Cooling,
		},
		{
			name: "steps of the node that failed hold no PF up", view: with(func(v *decide.View) { v.Tries = map[hw.PCIAddr]decide.Try{{}: decide.Failed} }),
			plan: plan.Plan{Before: []plan.Step{module()}, Lanes: []plan.Lane{lane(1, disruption.None)}}, need: decide.Quiet, lanes: []uint8{1}, before: 1,
		},
		{
			name: "a reload of rules goes with those who change them", view: with(func(v *decide.View) { v.Held = held }),
			plan: plan.Plan{Lanes: []plan.Lane{lane(1, disruption.Pods)}, After: []plan.Step{{Do: plan.ReloadUdev{}}}}, need: decide.Held, lanes: []uint8{1},
		},
		{
			name: "the node's own last steps", view: calm,
			plan: plan.Plan{After: []plan.Step{{Do: plan.RemoveFile{Path: "etc/udev/rules.d/x"}}, {Do: plan.ReloadUdev{}}}}, need: decide.Quiet,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			need, now := decide.Weigh(test.plan, test.view)
			var lanes []uint8
			for _, l := range now.Lanes {
				lanes = append(lanes, l.PF.Bus)
			}
			if need != test.need || !slices.Equal(lanes, test.lanes) || len(now.Before) != test.before {
				t.Errorf("got %s, PFs %v, %d steps of the node", need, lanes, len(now.Before))
			}
		})
	}
}
