// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/decide"
	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

// daemon is all that is known. One goroutine owns it.
type daemon struct {
	o      Options
	api    *api
	scribe *scribe
	log    *slog.Logger
	// notes are what the other goroutines have to say.
	notes chan func()

	// What the API server says.
	known    known
	state    *sriovv1.SriovNetworkNodeState // nil while there is none
	since    time.Time                      // when state was first seen
	settings settings
	nics     catalog.Table
	nicData  map[string]string // of nics; nil where that is what is shipped
	plugins  []*corev1.Pod
	// found is what plugins found when they started, and handled the version of each pod
	// about which something was done.
	found, handled byPod
	drain          handshake

	// What the machine says.
	machine machine
	tries   tries
	restart restarting

	// run is the plan that is being carried out; nil while none is.
	run *run
	// failed is how the last plan ended that did not succeed.
	failed *course
	// stayed is since when pods hold VFs although the drain is complete.
	stayed time.Time
	// told is the last move that was logged.
	told decide.Move

	report  reporting
	metrics *metrics
	boot    booting
	// wake is when to look around although nothing happens.
	wake time.Time
}

// known says what has been heard of the API server at all.
type known struct{ state, config, nics, plugins, node bool }

func (k known) all() bool { return k.state && k.config && k.nics && k.plugins && k.node }

// settings are what the operator configuration says to the daemon.
type settings struct {
	drainDisabled bool
	// gate is the feature blockDevicePluginUntilConfigured.
	gate bool
	// verbosity is logLevel.
	verbosity int
}

// more and most are what is logged with a logLevel of 1 and 2.
const (
	more = slog.Level(-1)
	most = slog.Level(-2)
)

// run is a plan that is being carried out.
type run struct {
	view   *view
	course *course
	part   plan.Plan
	why    reason.Reason
	done   chan struct{}
}

func newDaemon(o Options, a *api, m *metrics) *daemon {
	return &daemon{
		o: o, api: a, scribe: newScribe(o.Log), log: o.Log, metrics: m,
		notes: make(chan func()), tries: tries{}, found: byPod{}, handled: byPod{},
		settings: settings{gate: true}, nics: catalog.Default(),
	}
}

// errDeaf ends the daemon: without events it would not see what happens.
var errDeaf = errors.New("the watch on the machine ended")

// listen is the loop.
func (d *daemon) listen(ctx context.Context, events <-chan []host.Event) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case note := <-d.notes:
			note()
		case burst, ok := <-events:
			if !ok {
				if ctx.Err() != nil {
					return nil
				}
				return errDeaf
			}
			for _, e := range burst {
				d.hear(ctx, e)
			}
		case <-timer.C:
		}
		d.turn(ctx)
		timer.Reset(max(0, d.wake.Sub(d.o.Now())))
	}
}

// begin starts what it listens to, and listens. It returns when the step that is under way
// is finished.
func (d *daemon) begin(ctx context.Context, stop context.CancelFunc, events <-chan []host.Event) error {
	d.machine.look = d.o.Now()
	go d.scribe.serve(ctx)
	go d.api.watch(ctx, d.api.ownState(), d.hand(ctx, d.sawState))
	go d.api.watch(ctx, d.api.operatorConfig(), d.hand(ctx, d.sawConfig))
	go d.api.watch(ctx, d.api.nicList(), d.hand(ctx, d.sawNICs))
	go d.api.watch(ctx, d.api.pluginPods(), d.hand(ctx, d.sawPlugins))
	err := d.listen(ctx, events)
	stop()
	if d.run != nil {
		<-d.run.done
	}
	return err
}

// note hands something to the goroutine that owns the daemon.
func (d *daemon) note(ctx context.Context, f func()) {
	select {
	case d.notes <- f:
	case <-ctx.Done():
	}
}

// lookAtOnce makes the next turn begin with a look.
func (d *daemon) lookAtOnce() { d.machine.look = d.o.Now() }

// hand makes a watch's callback that hands its objects over.
func (d *daemon) hand(ctx context.Context, take func(context.Context, []any)) func([]any) {
	return func(objects []any) { d.note(ctx, func() { take(ctx, objects) }) }
}

// sawState takes the node state as the watch has it.
func (d *daemon) sawState(ctx context.Context, objects []any) {
	d.known.state = true
	for _, o := range objects {
		if s, ok := o.(*sriovv1.SriovNetworkNodeState); ok && s.DeletionTimestamp == nil {
			d.see(ctx, s)
			return
		}
	}
	d.state = nil
}

// see takes the node state, unless a newer one is known: the answer to a write is there
// before the watch has it.
func (d *daemon) see(ctx context.Context, s *sriovv1.SriovNetworkNodeState) {
	was := d.state
	if was != nil && was.UID == s.UID {
		if order, err := resourceversion.CompareResourceVersion(s.ResourceVersion, was.ResourceVersion); err == nil && order < 0 {
			return
		}
	}
	d.state = s
	if was == nil || was.UID != s.UID {
		d.since, d.report = d.o.Now(), reporting{announced: s.Status.SyncStatus}
	}
	if was == nil || was.UID != s.UID || was.Generation != s.Generation {
		d.machine.look = d.o.Now() // what is planned is planned from a fresh look
	}
	d.hearGrant(ctx)
}

// sawConfig takes the operator configuration; without one, its defaults.
func (d *daemon) sawConfig(_ context.Context, objects []any) {
	d.known.config = true
	now := settings{gate: true}
	for _, o := range objects {
		if c, ok := o.(*sriovv1.SriovOperatorConfig); ok {
			now.drainDisabled, now.verbosity = c.Spec.DisableDrain, c.Spec.LogLevel
			if on, set := c.Spec.FeatureGates[sriovv1.FeatureBlockDevicePluginUntilConfigured]; set {
				now.gate = on
			}
		}
	}
	if now.drainDisabled != d.settings.drainDisabled || now.gate != d.settings.gate {
		d.log.Info("read the operator configuration", "disableDrain", now.drainDisabled, "blockDevicePlugin", now.gate)
	}
	d.settings = now
	if d.o.SetLogLevel != nil {
		d.o.SetLogLevel(now.verbosity)
	}
}

// sawNICs takes the list of supported NICs; without one, that which is shipped.
func (d *daemon) sawNICs(_ context.Context, objects []any) {
	d.known.nics = true
	nics, data := catalog.Default(), map[string]string(nil)
	for _, o := range objects {
		cm, ok := o.(*corev1.ConfigMap)
		if !ok {
			continue
		}
		parsed, problems := catalog.Parse(cm.Data)
		for _, p := range problems {
			d.log.Warn("an entry of the list of supported NICs is broken; the others count", "entry", p.String())
		}
		nics, data = parsed, cm.Data
	}
	d.nics, d.nicData, d.machine.look = nics, data, d.o.Now()
}

// sawPlugins takes the pods of the device plugin on this node.
func (d *daemon) sawPlugins(_ context.Context, objects []any) {
	d.known.plugins = true
	before := len(d.plugins)
	d.plugins = nil
	for _, o := range objects {
		if pod, ok := o.(*corev1.Pod); ok && pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed {
			d.plugins = append(d.plugins, pod)
		}
	}
	d.found.keep(d.plugins)
	d.handled.keep(d.plugins)
	if len(d.plugins) < before {
		d.machine.look = d.o.Now() // it may have stopped for VFs to be taken
	}
}

// hear notes that something happened on the machine.
func (d *daemon) hear(ctx context.Context, e host.Event) {
	// What software makes is of no interest; pods make much of it.
	if strings.HasPrefix(e.Path, "devices/virtual/") && !e.Lost {
		return
	}
	d.log.Log(ctx, most, "something happened on the machine", "path", e.Path, "lost", e.Lost)
	d.machine.ring(d.o.Now(), d.o.Pace)
}
