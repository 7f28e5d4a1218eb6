// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/converge"
	"github.com/kubeovn/sriov-network-operator/internal/decide"
	"github.com/kubeovn/sriov-network-operator/internal/disruption"
	"github.com/kubeovn/sriov-network-operator/internal/execute"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

// restarting is how far a restart is.
type restarting struct {
	// again is when the machine may be told once more to restart; zero before.
	again time.Time
	// err is why it could not be told.
	err error
}

// turn looks if it is time to, and does what follows.
func (d *daemon) turn(ctx context.Context) {
	now := d.o.Now()
	if d.run != nil {
		d.reportRun(ctx, now)
		return
	}
	d.wake = now.Add(d.o.Pace.Resync)
	if !d.machine.look.IsZero() && !now.Before(d.machine.look) {
		d.lookNow(ctx)
		now = d.o.Now()
	}
	d.wakeAt(d.machine.look)
	if !d.known.all() || d.state == nil || d.drain.reading {
		return
	}
	if d.machine.seen == nil || d.machine.err != nil {
		d.reportBlind(ctx, now)
		return
	}
	v := d.think(now)
	d.wakeAt(v.retry)
	if v.unrendered {
		d.wakeAt(d.since.Add(d.o.Pace.Rendered))
	}
	d.say(v)
	d.keepBoot(ctx, v, now)
	d.act(ctx, v, now)
}

// wakeAt makes sure that the daemon looks around by then.
func (d *daemon) wakeAt(at time.Time) {
	if !at.IsZero() && at.Before(d.wake) {
		d.wake = at
	}
}

// say logs what the daemon does, whenever that changes.
func (d *daemon) say(v *view) {
	if v.move == d.told {
		return
	}
	if d.told == (decide.Move{}) && d.o.Decided != nil {
		d.o.Decided()
	}
	d.told = v.move
	d.log.Info("decided", "move", v.move.String(), "need", v.need.String(), "asked", v.facts.Request.String(),
		"granted", v.facts.Grant.String(), "disrupts", v.Plan.Class().String(), "generation", v.generation)
}

// act does what was decided, and reports.
func (d *daemon) act(ctx context.Context, v *view, now time.Time) {
	d.tidy(v)
	if v.move.Why == reason.HeldByNoPod {
		d.lookAgain(v)
	}
	switch v.move.Do {
	case decide.Rest, decide.Fail:
		d.reportView(ctx, v, v.move.Why, now)
		d.settlePlugins(ctx, v)
		d.spellOut(ctx)
	case decide.Apply:
		d.apply(ctx, v, now)
	case decide.Ask:
		d.reportView(ctx, v, v.move.Why, now)
		d.request(ctx, v.move.For)
	case decide.GiveBack:
		d.reportView(ctx, v, v.move.Why, now)
		if v.need == decide.Nothing || v.need == decide.Spent {
			d.settlePlugins(ctx, v)
		}
		d.request(ctx, decide.AskNothing)
	case decide.Wait:
		d.reportView(ctx, v, v.move.Why, now)
		d.spellOut(ctx)
		d.lookAgain(v)
	case decide.Reboot:
		d.reboot(ctx, v, now)
	}
}

// lookAgain makes sure of another look where no event would bring one: the kubelet tells
// nobody that it answers again, or that it has released a VF, and the kernel nobody that
// one under vfio-pci is closed.
func (d *daemon) lookAgain(v *view) {
	switch {
	case v.move.Why == reason.PodsLeaving:
		d.machine.look = d.machine.looked.Add(d.o.Pace.Leaving)
	case blind(v) || v.move.Why == reason.HeldByNoPod:
		d.machine.look = d.machine.looked.Add(min(retryLook, d.o.Pace.Resync))
	}
	d.wakeAt(d.machine.look)
}

// tidy forgets what is over.
func (d *daemon) tidy(v *view) {
	if v.need != decide.Cooling && v.need != decide.Spent {
		d.failed = nil
	}
	if v.move.Do != decide.Reboot {
		d.restart = restarting{}
	}
}

// request asks, unless a request is under way.
func (d *daemon) request(ctx context.Context, r decide.Request) {
	if !d.drain.writing {
		d.ask(ctx, r)
	}
}

// spellOut repairs the annotations where they do not say what is asked for.
func (d *daemon) spellOut(ctx context.Context) {
	if !d.drain.writing && (!d.drain.spelled || !d.mirrored()) {
		d.ask(ctx, d.drain.asked)
	}
}

// freshness is how old a look may be from which VFs are taken.
const freshness = time.Second

// apply carries the part out. Before VFs are taken, the device plugin is stopped and
// waits, and who holds them is looked at once more.
func (d *daemon) apply(ctx context.Context, v *view, now time.Time) {
	if v.part.Class() >= takingClass {
		if d.settings.gate && d.stopPlugins(ctx) {
			d.reportView(ctx, v, reason.PluginStays, now)
			return
		}
		if now.Sub(d.machine.looked) > freshness {
			d.machine.look, d.wake = now, now
			return
		}
	}
	d.stampPlugins(ctx, v)
	d.failed = nil
	d.run = &run{view: v, course: newCourse(v.Plan), part: v.part, why: v.move.Why, done: make(chan struct{})}
	d.log.Info("carrying out", "steps", stepCount(v.part), "disrupts", v.part.Class().String(), "why", string(v.move.Why))
	d.report.due = now
	d.reportRun(ctx, now)
	go d.carryOut(ctx, d.run)
}

func stepCount(p plan.Plan) int {
	n := 0
	for range p.Steps() {
		n++
	}
	return n
}

// carryOut runs the part. It reads nothing of the daemon but what does not change.
func (d *daemon) carryOut(ctx context.Context, r *run) {
	defer close(r.done)
	err := converge.Execute(ctx, d.o.Host, r.part, execute.Options{
		Now: d.o.Now, StepTimeout: d.o.Pace.Step,
		Observe: func(p execute.Progress) { d.note(ctx, func() { d.stepped(ctx, r, p) }) },
	})
	if err == nil {
		if late := converge.AwaitNames(ctx, d.o.Host, r.part, r.view.Inventory); late != nil {
			d.log.Warn("going on before udev is done", "err", late)
		}
	}
	d.note(ctx, func() { d.carriedOut(r, err) })
}

func (d *daemon) stepped(ctx context.Context, r *run, p execute.Progress) {
	r.course.note(p)
	d.metrics.stepped(p)
	if p.State == execute.Done {
		d.log.Log(ctx, more, "a step is done", "pf", p.PF.String(), "step", p.Step.Do.Does(), "took", p.Took)
	}
	if p.State == execute.Failed {
		d.log.Error("a step failed", "pf", p.PF.String(), "step", p.Step.Do.Does(), "took", p.Took, "err", p.Err)
	}
}

func (d *daemon) carriedOut(r *run, err error) {
	now := d.o.Now()
	d.run, d.machine.look = nil, now
	d.metrics.applied(err)
	if err == nil {
		d.log.Info("carried out")
		return
	}
	d.failed = r.course
	d.tries.record(r.part, err, r.view.generation, now, d.o.Pace)
	if errors.Is(err, execute.ErrStale) {
		d.log.Info("the machine changed meanwhile; looking again")
	}
}

// reboot restarts the machine, once the API server knows, or has been away for a while.
func (d *daemon) reboot(ctx context.Context, v *view, now time.Time) {
	d.reportView(ctx, v, v.move.Why, now)
	if now.Before(d.restart.again) {
		d.wakeAt(d.restart.again)
		return
	}
	d.restart.again = now.Add(retryReboot)
	why := causes(v.Plan)
	d.announce(ctx, corev1.EventTypeNormal, "RebootNode", "The node restarts. "+why, now)
	reported := make(chan struct{})
	d.scribe.post(ctx, job{key: "last words", run: func(context.Context) error { close(reported); return nil }})
	go func() {
		parting := time.NewTimer(d.o.Pace.Parting)
		defer parting.Stop()
		select {
		case <-reported:
		case <-parting.C:
		case <-ctx.Done():
			return
		}
		err := d.o.Host.Power.Reboot(ctx, why)
		d.note(ctx, func() { d.rebooted(err) })
	}()
}

func (d *daemon) rebooted(err error) {
	d.restart.err = err
	if err != nil {
		d.log.Error("the machine does not restart", "err", err)
		return
	}
	d.log.Info("the machine restarts")
}

// retryReboot is how long after a restart was asked for another try follows, if the
// daemon still runs then.
const retryReboot = 5 * time.Minute

// stopPlugins deletes the pods of device plugins that give VFs away, and reports whether
// any is still there.
func (d *daemon) stopPlugins(ctx context.Context) bool {
	there := false
	for _, pod := range d.plugins {
		if !begun(pod) {
			continue
		}
		there = true
		if pod.DeletionTimestamp == nil {
			d.stopPlugin(ctx, pod, "VFs are about to be taken")
		}
	}
	return there
}

func (d *daemon) stopPlugin(ctx context.Context, pod *corev1.Pod, why string) {
	if !d.handle(pod) {
		return
	}
	d.log.Info("replacing the device plugin", "pod", pod.Name, "why", why)
	d.scribe.post(ctx, job{key: "stop the device plugin " + string(pod.UID), run: func(ctx context.Context) error {
		return d.api.deletePod(ctx, pod)
	}})
}

// stampPlugins notes what plugins found that were there before the daemon.
func (d *daemon) stampPlugins(ctx context.Context, v *view) {
	now := d.fingerprint(v)
	for _, pod := range d.plugins {
		if begun(pod) && pod.DeletionTimestamp == nil && d.foundBy(pod) == "" {
			d.stamp(ctx, pod, now, false)
		}
	}
}

// settlePlugins lets plugins go on that wait for the node, and replaces those that would
// find something else than when they started.
func (d *daemon) settlePlugins(ctx context.Context, v *view) {
	now := d.fingerprint(v)
	for _, pod := range d.plugins {
		switch settled(pod, d.foundBy(pod), now) {
		case releasePlugin:
			d.stamp(ctx, pod, now, true)
		case stampPlugin:
			d.stamp(ctx, pod, now, false)
		case stopPlugin:
			d.stopPlugin(ctx, pod, "it would find other VFs or another configuration")
		case leavePlugin:
		}
	}
}

// takingClass is the class from which on a plan takes VFs.
const takingClass = disruption.Pods

func (d *daemon) fingerprint(v *view) string {
	return fingerprint(v.Desired, v.Inventory, d.state.Annotations[sriovv1.AnnotationDevicePluginConfig])
}

// handle reports whether nothing was yet done about a pod as it is.
func (d *daemon) handle(pod *corev1.Pod) bool {
	if d.handled[pod.UID] == pod.ResourceVersion {
		return false
	}
	d.handled[pod.UID] = pod.ResourceVersion
	return true
}

// stamp notes on a plugin's pod what it finds, and lets it go on if it waits.
func (d *daemon) stamp(ctx context.Context, pod *corev1.Pod, now string, release bool) {
	if !d.handle(pod) {
		return
	}
	change := map[string]*string{sriovv1.AnnotationDevicePluginFound: &now}
	if release {
		change[sriovv1.AnnotationDevicePluginWaitConfig] = nil
		d.log.Info("the device plugin may go on", "pod", pod.Name)
	}
	d.found[pod.UID] = now
	d.scribe.post(ctx, job{key: "note on the device plugin " + string(pod.UID), run: func(ctx context.Context) error {
		return d.api.annotate(ctx, d.api.core, pods, pod.Namespace, pod.Name, change)
	}})
}
