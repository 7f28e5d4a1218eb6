// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodepolicy

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/operator/nudge"
)

// fieldManager is who writes, as the API records it.
const fieldManager = client.FieldOwner("sriov-network-operator")

const (
	// quiet is how long nothing that concerns all nodes may change before it is worked
	// off, and patience the longest that the first change waits. Nodes may drain for what
	// is rendered between two policies of one folder, which takes far longer than patience.
	quiet    = 100 * time.Millisecond
	patience = 2 * time.Second
	// most is how long one item may take; a request without an answer is then given up
	// and made again.
	most = 15 * time.Second
	// gather is how long the status of a policy waits for more nodes.
	gather = 500 * time.Millisecond
	// behind is how long a write waits whose object has changed since the cache saw it.
	// The change itself comes sooner, if it counts.
	behind = 250 * time.Millisecond
)

// Options are the settings of the controller.
type Options struct {
	// Namespace is the operator's; only objects in it count.
	Namespace string
	// StaleDelay is how long the node state of a node that is gone is kept; 0 or less
	// deletes it at once.
	StaleDelay time.Duration
	// Workers is how many nodes are written at the same time.
	Workers int
	Now     func() time.Time
	// Claimed is told the entries of sriov-configmap that are in force, whenever they are
	// others: of each, resource name and device type. nil tells nobody.
	Claimed func(context.Context, []sriovv1.SriovNetworkNodePolicy) error
	// Registry gets the metrics.
	Registry prometheus.Registerer
}

// PluginConfigs is where the device plugin's configurations go.
type PluginConfigs interface {
	// Put says what a node's device plugin shall read.
	Put(node, text string)
	// Drop says that the operator does not look after a node.
	Drop(node string)
	// Expect says whether all nodes are being rendered or about to be, each of which is put
	// or dropped.
	Expect(all bool)
}

// reconciler is what the three controllers share.
type reconciler struct {
	client   client.Client
	door     door
	options  Options
	plugin   PluginConfigs
	recorder events.EventRecorder
	metrics  *metrics
	board    *board
	written  written
	// basis is nil until the first one was made.
	basis atomic.Pointer[basis]
	calm  nudge.Calm
	// expecting makes what the plugin is told last the last that was so.
	expecting sync.Mutex

	bases, nodes, policies nudge.Queue
}

// Add puts the controllers for node states and for the status of policies into the
// manager.
func Add(mgr ctrl.Manager, o Options, plugin PluginConfigs) error {
	r := &reconciler{
		client: mgr.GetClient(), options: o, plugin: plugin, board: newBoard(),
		recorder: mgr.GetEventRecorder(string(fieldManager)), calm: nudge.Calm{Quiet: quiet, Patience: patience},
	}
	var err error
	if r.door, err = newDoor(mgr); err != nil {
		return err
	}
	if r.metrics, err = newMetrics(o.Registry, r.totals); err != nil {
		return fmt.Errorf("register the metrics of node states: %w", err)
	}
	r.bases.Add(sriovv1.DefaultConfigName, quiet)
	for _, add := range []func(ctrl.Manager) error{r.addBases, r.addNodes, r.addPolicies} {
		if err := add(mgr); err != nil {
			return err
		}
	}
	return nil
}

// totals are the numbers for metrics.
func (r *reconciler) totals() totals {
	t := r.board.totals()
	if b := r.basis.Load(); b != nil {
		t.broken = len(b.Complaints)
	}
	return t
}

// addBases adds the controller with a single work item: everything that concerns all
// nodes.
func (r *reconciler) addBases(mgr ctrl.Manager) error {
	changed := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		r.calm.Note(r.options.Now())
		r.expect()
		r.bases.Add(sriovv1.DefaultConfigName, quiet)
		return nil
	})
	spec := ctrl.NewControllerManagedBy(mgr).Named("node-policy-basis").
		Watches(&sriovv1.SriovNetworkNodePolicy{}, changed, onlyChanged(specChanged)).
		Watches(&sriovv1.SriovNetworkPoolConfig{}, changed, onlyChanged(specChanged)).
		Watches(&sriovv1.SriovOperatorConfig{}, changed, onlyChanged(specChanged)).
		Watches(&corev1.ConfigMap{}, changed, onlyRead(), onlyChanged(dataChanged)).
		WatchesRawSource(r.bases.Source()).
		WithOptions(controller.Options{ReconciliationTimeout: most})
	if err := spec.Complete(reconcile.Func(r.reconcileBasis)); err != nil {
		return fmt.Errorf("add the controller of what all node states have in common: %w", err)
	}
	return nil
}

// addNodes adds the controller with a work item for each node.
func (r *reconciler) addNodes(mgr ctrl.Manager) error {
	byName := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: o.GetName()}}}
	})
	spec := ctrl.NewControllerManagedBy(mgr).Named("node-policy").
		Watches(&corev1.Node{}, byName, onlyChanged(labelsChanged)).
		Watches(&sriovv1.SriovNetworkNodeState{}, r.statesByName(), onlyChanged(stateChanged)).
		WatchesRawSource(r.nodes.Source()).
		WithOptions(controller.Options{MaxConcurrentReconciles: r.options.Workers, ReconciliationTimeout: most})
	if err := spec.Complete(reconcile.Func(r.reconcileNode)); err != nil {
		return fmt.Errorf("add the controller of node states: %w", err)
	}
	return nil
}

// statesByName puts the node of a node state into the queue, unless the change is what was
// just written there. One that was deleted has to be written again.
func (r *reconciler) statesByName() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	add := func(o client.Object, q queue) {
		q.Add(reconcile.Request{NamespacedName: client.ObjectKey{Name: o.GetName()}})
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { add(e.Object, q) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			was, is := e.ObjectOld.(*sriovv1.SriovNetworkNodeState), e.ObjectNew.(*sriovv1.SriovNetworkNodeState) //nolint:errcheck // the watch is of node states alone
			if !r.written.echo(was, is) {
				add(is, q)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) {
			r.written.forget(e.Object.GetName())
			add(e.Object, q)
		},
	}
}

// addPolicies adds the controller with a work item for the status of each policy.
func (r *reconciler) addPolicies(mgr ctrl.Manager) error {
	byName := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: o.GetName()}}}
	})
	spec := ctrl.NewControllerManagedBy(mgr).Named("node-policy-status").
		Watches(&sriovv1.SriovNetworkNodePolicy{}, byName).
		WatchesRawSource(r.policies.Source()).
		WithOptions(controller.Options{MaxConcurrentReconciles: r.options.Workers, ReconciliationTimeout: most})
	if err := spec.Complete(reconcile.Func(r.reconcileStatus)); err != nil {
		return fmt.Errorf("add the controller of the status of policies: %w", err)
	}
	return nil
}
