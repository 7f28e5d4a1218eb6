// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"

	"github.com/kubeovn/sriov-network-operator/internal/holders"
	"github.com/kubeovn/sriov-network-operator/internal/host"
)

// Options are what the daemon is started with.
type Options struct {
	// Node is the name of the node, and of its node state.
	Node string
	// Namespace is the operator's.
	Namespace string
	// Addrs are the node's own addresses, at which others reach it. A PF that holds
	// one is in use by the host.
	Addrs []netip.Addr
	// API is where the API server is.
	API *rest.Config
	// Host is the machine.
	Host host.Host
	// Holders tells which pods hold which VFs.
	Holders Holders
	// ExternalDrainer says that other software drains the node.
	ExternalDrainer bool
	// AtBoot lets a service of systemd restore at boot what the node state asks for.
	AtBoot bool
	// Now is the clock.
	Now func() time.Time
	Log *slog.Logger
	// SetLogLevel is told the log level that the operator configuration asks for, again
	// and again. It may be nil.
	SetLogLevel func(level int)
	// Decided is called once, when it is decided for the first time what to do. It may be
	// nil.
	Decided func()
	// Registry takes the metrics; nil keeps them to the daemon.
	Registry prometheus.Registerer
	// Pace is how long things may take or wait; zero fields have their defaults.
	Pace Pace
}

// Holders tells which pods hold VFs; holders.Kubelet does.
type Holders interface {
	// Pods are all pods of the machine that hold devices. An error means that nothing
	// is known.
	Pods(ctx context.Context) ([]holders.Pod, error)
}

// Pace is how long things may take or wait.
type Pace struct {
	// Gather is how long the machine must have been quiet before it is looked at, and
	// Press how long it is waited for that at most.
	Gather, Press time.Duration
	// Resync is how long the daemon goes without a look when nothing happens.
	Resync time.Duration
	// Step is how long one step of a plan may take.
	Step time.Duration
	// Report is the least time between two reports of progress.
	Report time.Duration
	// Retries are the waits before a lane that failed is tried again.
	Retries []time.Duration
	// Later is the wait before what failed too often and disturbs nobody is tried again.
	Later time.Duration
	// Leaving is the time between two looks at who still holds VFs, once a drain is
	// complete, and Patience how long that goes on.
	Leaving, Patience time.Duration
	// Rendered is how long a new node state without a spec is no wish to give PFs back.
	Rendered time.Duration
	// Parting is how long a restart waits until the API server knows of it.
	Parting time.Duration
}

// withDefaults has a value in every field.
func (p Pace) withDefaults() Pace {
	def := func(field *time.Duration, value time.Duration) {
		if *field == 0 {
			*field = value
		}
	}
	def(&p.Gather, 100*time.Millisecond)
	def(&p.Press, time.Second)
	def(&p.Resync, 10*time.Minute)
	// An mlx5 NIC takes half a second for each of up to hundreds of VFs.
	def(&p.Step, 5*time.Minute)
	def(&p.Report, time.Second)
	def(&p.Later, 10*time.Minute)
	def(&p.Leaving, time.Second)
	def(&p.Patience, 2*time.Minute)
	def(&p.Rendered, time.Minute)
	def(&p.Parting, 10*time.Second)
	if p.Retries == nil {
		p.Retries = []time.Duration{time.Second, 5 * time.Second}
	}
	return p
}

// check says which option is missing.
func (o Options) check() error {
	switch {
	case o.Node == "":
		return errors.New("start the daemon: the node's name is missing; set --node-name or NODE_NAME")
	case o.Namespace == "":
		return errors.New("start the daemon: the operator's namespace is missing; set --namespace or NAMESPACE")
	case o.API == nil || o.Now == nil || o.Log == nil || o.Holders == nil:
		return errors.New("start the daemon: an option is missing")
	}
	return nil
}

// Run keeps the node as its node state asks until ctx ends. A step that is under way is
// finished first.
func Run(ctx context.Context, o Options) error {
	if err := o.check(); err != nil {
		return err
	}
	o.Pace = o.Pace.withDefaults()
	api, err := newAPI(o.API, o.Node, o.Namespace, o.Addrs...)
	if err != nil {
		return err
	}
	metrics, err := newMetrics(o.Registry)
	if err != nil {
		return err
	}
	// One context for all: when the watch ends with it, it has ended for the loop, too.
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	events, err := o.Host.Events.Watch(ctx)
	if err != nil {
		return fmt.Errorf("watch the machine: %w", err)
	}
	d := newDaemon(o, api, metrics)
	// Whoever connects is not kept waiting.
	api.lifelines.learned = func() { go d.note(ctx, d.lookAtOnce) }
	return d.begin(ctx, stop, events)
}
