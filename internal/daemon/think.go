// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/converge"
	"github.com/kubeovn/sriov-network-operator/internal/decide"
	"github.com/kubeovn/sriov-network-operator/internal/holders"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
	"github.com/kubeovn/sriov-network-operator/internal/wire"
)

// machine is what was seen of the machine.
type machine struct {
	// look is when it is to be looked at; zero for never.
	look time.Time
	// burst is when the first event came that was not yet followed by a look.
	burst time.Time
	// looked is when it was looked at last, and seen what was seen; nil before.
	looked    time.Time
	seen      *converge.Observation
	err       error
	pods      []holders.Pod
	podsErr   error
	complaint string // of podsErr, as it was logged
	// left is when a pod was last seen to hold a VF.
	left map[hw.PCIAddr]time.Time
}

// ring makes one look of a burst of events.
func (m *machine) ring(now time.Time, pace Pace) {
	if m.burst.IsZero() {
		m.burst = now
	}
	at := now.Add(pace.Gather)
	if last := m.burst.Add(pace.Press); at.After(last) {
		at = last
	}
	if m.burst.Equal(now) && !m.look.IsZero() && m.look.Before(at) {
		return // it is looked at even sooner
	}
	m.look = at
}

// lookNow looks at the machine and asks who holds VFs.
func (d *daemon) lookNow(ctx context.Context) {
	m := &d.machine
	m.burst = time.Time{}
	seen, err := converge.Look(ctx, d.o.Host.Reader, d.nics, d.api.lifelines.now()...)
	m.looked = d.o.Now()
	m.look = m.looked.Add(d.o.Pace.Resync)
	if m.err = err; err != nil {
		d.log.Error("the machine cannot be looked at", "err", err)
		m.look = m.looked.Add(min(retryLook, d.o.Pace.Resync))
		return
	}
	m.seen = &seen
	d.log.Log(ctx, more, "looked at the machine", "pfs", len(seen.Inventory.PFs))
	m.pods, m.podsErr = d.o.Holders.Pods(ctx)
	m.noteHolders()
	d.complain(m.podsErr)
}

// complain logs that it is not known who holds VFs, once for each cause.
func (d *daemon) complain(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != d.machine.complaint {
		d.log.Warn("it is not known who holds VFs", "err", err)
	}
	d.machine.complaint = text
}

// retryLook is how long after a look that failed another follows.
const retryLook = 10 * time.Second

// view is what follows from everything that is known.
type view struct {
	converge.Outlook
	generation int64
	problems   []wire.Problem
	// unrendered says that the spec may not be rendered yet.
	unrendered bool
	affected   []sriovv1.AffectedPod
	unknown    []string // VFs that are taken and that somebody holds who is no known pod
	need       decide.Need
	part       plan.Plan
	facts      decide.Facts
	move       decide.Move
	// retry is when something that failed may be tried again; zero for never.
	retry time.Time
}

// think says what follows.
func (d *daemon) think(now time.Time) *view {
	want, problems := wire.Desired(d.state.Spec)
	v := &view{generation: d.state.Generation, problems: problems, unrendered: d.unrendered(now)}
	v.Outlook = converge.Follow(want, *d.machine.seen, d.nics, sparing(problems, v.unrendered))
	var attempts map[hw.PCIAddr]decide.Try
	attempts, v.retry = d.tries.weigh(v.Plan, v.generation, now, d.o.Pace)
	held, foreign := d.machine.held()
	weigh := decide.View{
		Held: held, Foreign: foreign, Known: d.machine.podsErr == nil, Guarded: d.settings.gate, Patient: true,
		Tries: attempts,
	}
	v.need, v.part = decide.Weigh(v.Plan, weigh)
	v.facts = decide.Facts{Request: d.drain.asked, Grant: grant(d.state), DrainDisabled: d.settings.drainDisabled}
	waiting := v.need == decide.Foreign ||
		(v.need == decide.Held || v.need == decide.Unknown) && v.facts.Grant == decide.Granted && v.facts.Request != decide.AskNothing
	if !d.patience(waiting, now) {
		weigh.Patient = false
		v.need, v.part = decide.Weigh(v.Plan, weigh)
	}
	v.facts.Need = v.need
	v.move = decide.Next(v.facts)
	d.metrics.granted(v.facts, now)
	v.affected, v.unknown = affected(v.Plan, attempts, v.Inventory, d.machine.pods)
	return v
}

// unrendered reports whether the spec may be empty only because nobody has rendered it:
// the node state is new, and policies cannot match what is not yet reported.
func (d *daemon) unrendered(now time.Time) bool {
	return d.state.Generation <= 1 && len(d.state.Spec.Interfaces) == 0 && now.Sub(d.since) < d.o.Pace.Rendered
}

// sparing says which PFs are left alone although the spec does not name them: those that
// it may name in a part that cannot be read.
func sparing(problems []wire.Problem, all bool) func(hw.PCIAddr) bool {
	var named []hw.PCIAddr
	for _, p := range problems {
		if p.PF.IsZero() && strings.HasPrefix(p.Field, "spec.interfaces") {
			all = true
		}
		named = append(named, p.PF)
	}
	return func(pf hw.PCIAddr) bool { return all || slices.Contains(named, pf) }
}

// leaving is how long after a pod was gone its VF may still be on the way back to the
// host's network namespace.
const leaving = 15 * time.Second

// noteHolders notes when pods were last seen to hold VFs.
func (m *machine) noteHolders() {
	if m.left == nil {
		m.left = map[hw.PCIAddr]time.Time{}
	}
	for _, pod := range m.pods {
		for _, vf := range pod.Devices {
			m.left[vf] = m.looked
		}
	}
	maps.DeleteFunc(m.left, func(_ hw.PCIAddr, at time.Time) bool { return m.looked.Sub(at) > leaving })
}

// held are the VFs that pods hold, or held a moment ago and have not yet let go, and those
// that are in use all the same.
func (m *machine) held() (byPods, foreign map[hw.VFRef]bool) {
	by := holderOf(m.pods)
	byPods, foreign = map[hw.VFRef]bool{}, map[hw.VFRef]bool{}
	for i := range m.seen.Inventory.PFs {
		pf := &m.seen.Inventory.PFs[i]
		for j := range pf.VFs {
			vf := &pf.VFs[j]
			_, is := by[vf.Addr]
			_, was := m.left[vf.Addr]
			switch ref := (hw.VFRef{PF: pf.Addr, Index: vf.Index}); {
			case is || was && vf.Busy():
				byPods[ref] = true
			case vf.Busy():
				foreign[ref] = true
			}
		}
	}
	return byPods, foreign
}

// holderOf is who holds each VF.
func holderOf(pods []holders.Pod) map[hw.PCIAddr]*holders.Pod {
	out := map[hw.PCIAddr]*holders.Pod{}
	for i := range pods {
		for _, vf := range pods[i].Devices {
			out[vf] = &pods[i]
		}
	}
	return out
}

// affected are the pods that hold VFs which the plan takes, sorted, and the VFs that are
// taken and held by nobody who is known. A lane that is not tried again takes nothing.
func affected(p plan.Plan, attempts map[hw.PCIAddr]decide.Try, inv hw.Inventory, present []holders.Pod) ([]sriovv1.AffectedPod, []string) {
	by := holderOf(present)
	pods := map[*holders.Pod][]string{}
	var unknown []string
	for _, ref := range p.Takes() {
		pf, _ := inv.PF(ref.PF)
		vf, ok := pf.VF(ref.Index)
		if !ok || attempts[ref.PF] == decide.Failed {
			continue
		}
		holder, is := by[vf.Addr]
		switch {
		case is:
			pods[holder] = append(pods[holder], vf.Addr.String())
		case vf.Busy():
			unknown = append(unknown, vf.Addr.String())
		}
	}
	var out []sriovv1.AffectedPod
	for h, devices := range pods {
		slices.Sort(devices)
		out = append(out, sriovv1.AffectedPod{Namespace: h.Namespace, Name: h.Name, Devices: devices})
	}
	slices.SortFunc(out, func(a, b sriovv1.AffectedPod) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	slices.Sort(unknown)
	return out, unknown
}
