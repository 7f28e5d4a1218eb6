// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/converge"
	"github.com/kubeovn/sriov-network-operator/internal/decide"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
	"github.com/kubeovn/sriov-network-operator/internal/show"
)

// reporting is what was reported.
type reporting struct {
	// posted is the status that is on its way; nil when none is.
	posted *sriovv1.SriovNetworkNodeStateStatus
	// announced is the sync status of which events have told.
	announced sriovv1.SyncStatus
	// due is when progress may be reported again.
	due time.Time
}

// reportView reports what follows from a look.
func (d *daemon) reportView(ctx context.Context, v *view, why reason.Reason, now time.Time) {
	var steps []sriovv1.NodePlanStep
	if d.failed != nil && (v.need == decide.Cooling || v.need == decide.Spent) {
		steps = d.failed.shown()
	} else if !v.Plan.Empty() {
		steps = newCourse(v.Plan).shown()
	}
	d.publish(ctx, d.status(v, steps, why, now))
}

// reportRun reports how far the plan is that is being carried out, once in Pace.Report:
// each report costs the processor that makes the VFs several milliseconds.
func (d *daemon) reportRun(ctx context.Context, now time.Time) {
	d.wake = d.report.due
	if now.Before(d.report.due) || d.state == nil {
		return
	}
	d.report.due = now.Add(d.o.Pace.Report)
	d.wake = d.report.due
	d.publish(ctx, d.status(d.run.view, d.run.course.shown(), d.run.why, now))
}

// reportBlind reports that the machine cannot be looked at.
func (d *daemon) reportBlind(ctx context.Context, now time.Time) {
	s := *d.before().DeepCopy()
	s.ObservedGeneration, s.SyncStatus, s.Plan = d.state.Generation, sriovv1.SyncStatusFailed, nil
	s.LastSyncError = fmt.Sprint(d.machine.err)
	s.Conditions = d.conditions(d.before().Conditions, reason.MachineUnreadable, s.LastSyncError, sriovv1.SyncStatusFailed, reason.NothingUnderWay, reason.NoDrain, now)
	d.publish(ctx, s)
}

// before is the status that is reported, or on its way.
func (d *daemon) before() *sriovv1.SriovNetworkNodeStateStatus {
	if d.report.posted != nil {
		return d.report.posted
	}
	return &d.state.Status
}

// publish writes the status if it differs from what the API server has.
func (d *daemon) publish(ctx context.Context, s sriovv1.SriovNetworkNodeStateStatus) {
	d.metrics.synced(s.SyncStatus, d.o.Now())
	if equality.Semantic.DeepEqual(ours(s), ours(*d.before())) {
		return
	}
	d.tellBoot(ctx, s.Conditions)
	over, posted := d.state, &s
	d.report.posted = posted
	d.scribe.post(ctx, job{key: "status", run: func(ctx context.Context) error {
		got, err := d.api.writeStatus(ctx, over, s)
		if err == nil {
			d.note(ctx, func() { d.published(ctx, posted, got) })
		}
		return err
	}, failed: func(error) { d.note(ctx, func() { d.unposted(posted) }) }})
}

// published takes over what was written, and makes an event of a change of syncStatus.
func (d *daemon) published(ctx context.Context, posted *sriovv1.SriovNetworkNodeStateStatus, got *sriovv1.SriovNetworkNodeState) {
	d.unposted(posted)
	if d.state == nil {
		return
	}
	d.see(ctx, got)
	if was := d.report.announced; was != got.Status.SyncStatus {
		d.report.announced = got.Status.SyncStatus
		text := fmt.Sprintf("Status changed from: %s to: %s", cmp.Or(string(was), "none"), got.Status.SyncStatus)
		if got.Status.LastSyncError != "" {
			text += ". Last sync error: " + got.Status.LastSyncError
		}
		d.announce(ctx, corev1.EventTypeNormal, "SyncStatusChanged", text, d.o.Now())
	}
}

func (d *daemon) unposted(posted *sriovv1.SriovNetworkNodeStateStatus) {
	if d.report.posted == posted {
		d.report.posted = nil
	}
}

// maxMessage is the longest text of an event that the API server takes.
const maxMessage = 1000

// announce makes an event on the node state. An event that the API server refuses is
// missed by nobody.
func (d *daemon) announce(ctx context.Context, kind, why, text string, now time.Time) {
	at := metav1.NewTime(now)
	e := &corev1.Event{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Event"},
		ObjectMeta: metav1.ObjectMeta{Namespace: d.o.Namespace, Name: fmt.Sprintf("%s.%x", d.o.Node, now.UnixNano())},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: sriovv1.SchemeGroupVersion.String(), Kind: sriovv1.KindSriovNetworkNodeState,
			Namespace: d.o.Namespace, Name: d.o.Node, UID: d.state.UID, ResourceVersion: d.state.ResourceVersion,
		},
		Reason: why, Message: text[:min(len(text), maxMessage)], Type: kind, Count: 1, FirstTimestamp: at, LastTimestamp: at,
		Source: corev1.EventSource{Component: "config-daemon", Host: d.o.Node}, ReportingController: "config-daemon", ReportingInstance: d.o.Node,
	}
	d.scribe.post(ctx, job{key: "event " + e.Name, run: func(ctx context.Context) error {
		err := d.api.announce(ctx, e)
		if apierrors.IsForbidden(err) || apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("%w: %w", errSuperfluous, err)
		}
		return err
	}})
}

// status is the status of the node state.
func (d *daemon) status(v *view, steps []sriovv1.NodePlanStep, why reason.Reason, now time.Time) sriovv1.SriovNetworkNodeStateStatus {
	s := converge.NodeState(d.o.Node, d.o.Namespace, v.Outlook).Status
	s.ObservedGeneration = v.generation
	s.Bridges = d.before().Bridges
	d.assign(&s)
	sync, ready := d.verdict(v, why)
	s.SyncStatus, s.LastSyncError = sync, d.whyNot(v)
	if len(steps) > 0 {
		s.Plan = &sriovv1.NodePlan{
			Disrupts: sriovv1.Disruption(v.Plan.Class().String()), ObservedGeneration: v.generation,
			AffectedPods: v.affected, UnknownHolders: v.unknown, Steps: steps,
		}
	}
	message := s.LastSyncError
	if sync != sriovv1.SyncStatusFailed || message == "" {
		message = d.detail(v, ready)
	}
	progressing, draining := reason.NothingUnderWay, reason.NoDrain
	if d.run != nil || v.move.Do == decide.Reboot {
		progressing = why
	}
	if v.facts.Request != decide.AskNothing || v.move.Do == decide.Ask || v.move.Why == reason.LettingGo {
		draining = v.move.Why
	}
	s.Conditions = d.conditions(d.before().Conditions, ready, message, sync, progressing, draining, now)
	d.sayBoot(&s.Conditions, v, now)
	d.perPF(&s, v, ready, now)
	return s
}

// verdict is the sync status and the reason of condition Ready. A node that is not as
// desired is never Succeeded (D28).
func (d *daemon) verdict(v *view, why reason.Reason) (sriovv1.SyncStatus, reason.Reason) {
	if d.run != nil {
		return sriovv1.SyncStatusInProgress, why
	}
	switch v.move.Do {
	case decide.Fail:
		return sriovv1.SyncStatusFailed, why
	case decide.GiveBack:
		if v.need == decide.Spent || v.need == decide.Occupied {
			return sriovv1.SyncStatusFailed, why
		}
	case decide.Rest:
		switch {
		case v.unrendered && len(v.Spared) > 0:
			return sriovv1.SyncStatusInProgress, reason.SpecNotRendered
		case len(v.problems) > 0:
			return sriovv1.SyncStatusFailed, reason.SpecUnreadable
		case len(v.Plan.Blocked) > 0:
			return sriovv1.SyncStatusFailed, v.Plan.Blocked[0].Why.Reason
		}
		return sriovv1.SyncStatusSucceeded, reason.AsDesired
	case decide.Apply, decide.Ask, decide.Wait, decide.Reboot:
	}
	return sriovv1.SyncStatusInProgress, why
}

// whyNot is why the node is not as desired, one line for each cause, with the fix.
func (d *daemon) whyNot(v *view) string {
	var out []string
	for _, p := range v.problems {
		out = append(out, p.String()+". "+reason.SpecUnreadable.Fix())
	}
	if text := d.tries.text(); text != "" {
		out = append(out, text)
	}
	for _, b := range v.Plan.Blocked {
		out = append(out, show.Finding(b))
	}
	if foreign(v) && v.move.Do != decide.Wait {
		out = append(out, fmt.Sprintf("%s VFs: %s. %s", reason.HeldByNoPod.Sentence(), strings.Join(v.unknown, ", "), reason.HeldByNoPod.Fix()))
	}
	if blind(v) {
		out = append(out, fmt.Sprint(d.machine.podsErr))
	}
	if d.restart.err != nil {
		out = append(out, d.restart.err.Error())
	}
	return lines(out)
}

// blind reports whether it matters that nobody says who holds VFs.
func blind(v *view) bool { return v.need == decide.Unknown || v.need == decide.Blind }

// foreign reports whether it matters that somebody holds VFs who is no pod.
func foreign(v *view) bool { return v.need == decide.Foreign || v.need == decide.Occupied }

// causes are why the node must restart.
func causes(p plan.Plan) string {
	if p.Reboot == nil {
		return ""
	}
	var out []string
	for _, why := range p.Reboot.Why {
		out = append(out, why.String())
	}
	return lines(out)
}

func lines(texts []string) string { return strings.Join(texts, "\n") }

// detail is a sentence about the reason, with the pods it is about.
func (d *daemon) detail(v *view, why reason.Reason) string {
	text := why.Sentence()
	switch why {
	case reason.PodsHoldVFs, reason.DrainPending, reason.DrainRunning, reason.PodsLeaving, reason.PodsStay, reason.LettingGo:
		if waits := d.state.Annotations[sriovv1.AnnotationDrainMessage]; waits != "" {
			text += " " + waits
		}
		if len(v.affected) > 0 {
			text += " Pods: " + podNames(v.affected) + "."
		}
	case reason.HeldByNoPod:
		text += " VFs: " + strings.Join(v.unknown, ", ") + "."
	case reason.RestartNeeded, reason.RestartGranted:
		text += " " + causes(v.Plan)
	default:
	}
	return text
}

// podNames are the first few pods.
func podNames(pods []sriovv1.AffectedPod) string {
	const most = 5
	var out []string
	for i := range pods {
		if i == most {
			return strings.Join(out, ", ") + fmt.Sprintf(" and %d more", len(pods)-most)
		}
		out = append(out, pods[i].Namespace+"/"+pods[i].Name)
	}
	return strings.Join(out, ", ")
}

// assign names the pod that holds each VF.
func (d *daemon) assign(s *sriovv1.SriovNetworkNodeStateStatus) {
	by := holderOf(d.machine.pods)
	for i := range s.Interfaces {
		for j := range s.Interfaces[i].VFs {
			vf := &s.Interfaces[i].VFs[j]
			addr, err := hw.ParsePCIAddr(vf.PciAddress)
			if h := by[addr]; err == nil && h != nil {
				vf.Assigned = h.Namespace + "/" + h.Name
			}
		}
	}
}

// perPF writes the condition Ready of every PF that is asked for.
func (d *daemon) perPF(s *sriovv1.SriovNetworkNodeStateStatus, v *view, why reason.Reason, now time.Time) {
	before := map[string][]metav1.Condition{}
	for i := range d.before().Interfaces {
		before[d.before().Interfaces[i].PciAddress] = d.before().Interfaces[i].Conditions
	}
	for i := range s.Interfaces {
		pf := &s.Interfaces[i]
		addr, err := hw.ParsePCIAddr(pf.PciAddress)
		if err != nil {
			continue
		}
		if _, asked := v.Desired.PF(addr); !asked {
			continue
		}
		word, text := d.ofPF(addr, v, why)
		pf.Conditions = slices.Clone(before[pf.PciAddress])
		set(&pf.Conditions, sriovv1.ConditionReady, word == reason.AsDesired, word, text, s.ObservedGeneration, now)
	}
}

// ofPF is why a PF is not as desired, or that it is.
func (d *daemon) ofPF(addr hw.PCIAddr, v *view, why reason.Reason) (reason.Reason, string) {
	if t := d.tries[addr]; t != nil && d.run == nil {
		return reason.StepFailed, t.err.Error()
	}
	for _, b := range v.Plan.Blocked {
		if b.PF == addr {
			return b.Why.Reason, show.Finding(b)
		}
	}
	for _, p := range v.problems {
		if p.PF == addr {
			return reason.SpecUnreadable, p.String()
		}
	}
	if slices.ContainsFunc(v.Plan.Lanes, func(l plan.Lane) bool { return l.PF == addr }) {
		return why, why.Sentence()
	}
	return reason.AsDesired, "The PF is as desired."
}

// conditions are the daemon's conditions, in place of those before.
func (d *daemon) conditions(before []metav1.Condition, ready reason.Reason, message string, sync sriovv1.SyncStatus, progressing, draining reason.Reason, now time.Time) []metav1.Condition {
	out := slices.Clone(before)
	g := d.state.Generation
	if d.run != nil {
		g = d.run.view.generation
	}
	set(&out, sriovv1.ConditionReady, sync == sriovv1.SyncStatusSucceeded, ready, message, g, now)
	set(&out, sriovv1.ConditionProgressing, progressing != reason.NothingUnderWay, progressing, progressing.Sentence(), g, now)
	text := draining.Sentence()
	if draining != reason.NoDrain {
		text = message
		if sync == sriovv1.SyncStatusFailed {
			text = draining.Sentence()
		}
	}
	set(&out, sriovv1.ConditionDraining, draining != reason.NoDrain, draining, text, g, now)
	return out
}

// set changes one condition; its time changes with its status alone.
func set(to *[]metav1.Condition, kind string, is bool, why reason.Reason, text string, generation int64, now time.Time) {
	status := metav1.ConditionFalse
	if is {
		status = metav1.ConditionTrue
	}
	const longest = 32768 // of a condition's message
	meta.SetStatusCondition(to, metav1.Condition{
		Type: kind, Status: status, Reason: string(why), Message: text[:min(len(text), longest)], ObservedGeneration: generation,
		LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)),
	})
}

// owned are the conditions that the daemon writes.
func owned() []string {
	return []string{sriovv1.ConditionReady, sriovv1.ConditionProgressing, sriovv1.ConditionDraining, sriovv1.ConditionRestoredAtBoot}
}

// withForeign adds the conditions that others write.
func withForeign(mine, present []metav1.Condition) []metav1.Condition {
	out := slices.DeleteFunc(slices.Clone(mine), func(c metav1.Condition) bool { return !slices.Contains(owned(), c.Type) })
	for i := range present {
		if !slices.Contains(owned(), present[i].Type) {
			out = append(out, present[i])
		}
	}
	return out
}

// ours is the part of a status that the daemon writes.
func ours(s sriovv1.SriovNetworkNodeStateStatus) sriovv1.SriovNetworkNodeStateStatus {
	s.Conditions = withForeign(s.Conditions, nil)
	return s
}
