// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package drain

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/operator/nudge"
)

// fieldManager is who writes, as the API records it.
const fieldManager = client.FieldOwner("sriov-network-operator")

const (
	// gather is how long a decision waits for more news, and how long a node waits for
	// more news of its pods.
	gather = 20 * time.Millisecond
	// tell is how long the status of a pool waits for more news.
	tell = 500 * time.Millisecond
	// most is how long one item may take; a request without an answer is then given up
	// and made again.
	most = 30 * time.Second
	// lastRetry is the longest time after which an item that went wrong is tried again.
	lastRetry = 30 * time.Second
)

// Defaults of Options.
const (
	// DefaultDeadline is how long a drain may keep its turn while other nodes wait.
	DefaultDeadline = 10 * time.Minute
	// DefaultRetry is how long an eviction that was refused waits to be tried again, as
	// kubectl drain does.
	DefaultRetry = 5 * time.Second
)

// Options are the settings of the controllers.
type Options struct {
	// Namespace is the operator's; only objects in it count.
	Namespace string
	// ResourcePrefix is that of the resources that stand for VFs, where the operator
	// configuration names none. Empty is the default of the API.
	ResourcePrefix string
	// Workers is how many nodes are worked on at the same time.
	Workers int
	// Deadline is how long a drain may keep its turn while other nodes wait, and after
	// which its pool says what blocks it.
	Deadline time.Duration
	// Retry is how long an eviction that was refused waits to be tried again.
	Retry time.Duration
	Now   func() time.Time
	// Registry gets the metrics.
	Registry prometheus.Registerer
}

// reconciler is what the controllers share.
type reconciler struct {
	// client reads from the cache; live asks the API server.
	client   client.Client
	live     client.Reader
	options  Options
	recorder events.EventRecorder
	metrics  *metrics
	board    *board
	slots    *slots
	pods     *podWatches
	told     told

	rollouts, nodes, pools nudge.Queue
}

// Add puts the controllers into the manager. Its cache must hold the nodes with labels,
// our annotations, our taint and the condition Ready, and of the namespace the node
// states, pools and the operator configuration.
func Add(mgr ctrl.Manager, o Options) error {
	pods, err := kubernetes.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return fmt.Errorf("make a client for pods: %w", err)
	}
	r := &reconciler{
		client: mgr.GetClient(), live: mgr.GetAPIReader(), options: o, board: newBoard(),
		recorder: mgr.GetEventRecorder(string(fieldManager)),
		slots:    &slots{client: mgr.GetClient(), live: mgr.GetAPIReader(), namespace: o.Namespace},
	}
	r.pods = newPodWatches(pods, r.nodes.AddFirst)
	if r.metrics, err = newMetrics(o.Registry, r.board); err != nil {
		return fmt.Errorf("register the metrics of drains: %w", err)
	}
	if err := mgr.Add(r.pods); err != nil {
		return fmt.Errorf("add the watches of pods: %w", err)
	}
	r.rollouts.Add(sriovv1.DefaultConfigName, 0)
	for _, add := range []func(ctrl.Manager) error{r.addRollout, r.addNodes, r.addPools} {
		if err := add(mgr); err != nil {
			return err
		}
	}
	return nil
}

// addRollout adds the controller with a single work item: who may go now.
func (r *reconciler) addRollout(mgr ctrl.Manager) error {
	changed := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		r.rollouts.Add(sriovv1.DefaultConfigName, gather)
		return nil
	})
	spec := ctrl.NewControllerManagedBy(mgr).Named("drain-rollout").
		Watches(&corev1.Node{}, changed, onlyChanged(nodeChanged)).
		Watches(&sriovv1.SriovNetworkNodeState{}, changed, onlyChanged(stateChanged)).
		Watches(&sriovv1.SriovNetworkPoolConfig{}, changed, onlyChanged(specChanged)).
		Watches(&sriovv1.SriovOperatorConfig{}, changed, onlyChanged(specChanged)).
		WatchesRawSource(r.rollouts.Source()).
		WithOptions(controller.Options{ReconciliationTimeout: most, RateLimiter: retries()})
	if err := spec.Complete(untilItFits(r.reconcileRollout)); err != nil {
		return fmt.Errorf("add the controller of turns: %w", err)
	}
	return nil
}

// addNodes adds the controller with a work item for each node.
func (r *reconciler) addNodes(mgr ctrl.Manager) error {
	byName := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: o.GetName()}}}
	})
	spec := ctrl.NewControllerManagedBy(mgr).Named("drain-node").
		Watches(&corev1.Node{}, byName, onlyChanged(nodeChanged)).
		Watches(&sriovv1.SriovNetworkNodeState{}, byName, onlyChanged(planChanged)).
		WatchesRawSource(r.nodes.Source()).
		WithOptions(controller.Options{MaxConcurrentReconciles: r.options.Workers, ReconciliationTimeout: most, RateLimiter: retries()})
	if err := spec.Complete(untilItFits(r.reconcileNode)); err != nil {
		return fmt.Errorf("add the controller of drains: %w", err)
	}
	return nil
}

// addPools adds the controller with a work item for the status of each pool.
func (r *reconciler) addPools(mgr ctrl.Manager) error {
	byName := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: o.GetName()}}}
	})
	spec := ctrl.NewControllerManagedBy(mgr).Named("drain-pool-status").
		Watches(&sriovv1.SriovNetworkPoolConfig{}, byName).
		WatchesRawSource(r.pools.Source()).
		WithOptions(controller.Options{ReconciliationTimeout: most, RateLimiter: retries()})
	if err := spec.Complete(untilItFits(r.reconcilePool)); err != nil {
		return fmt.Errorf("add the controller of the status of pools: %w", err)
	}
	return nil
}

func retries() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](gather, lastRetry)
}

// untilItFits repeats what was decided on an object that somebody else has changed
// meanwhile. That is how it goes, and no error.
func untilItFits(do reconcile.Func) reconcile.Func {
	return func(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
		result, err := do(ctx, request)
		if apierrors.IsConflict(err) {
			return reconcile.Result{RequeueAfter: gather}, nil
		}
		return result, err
	}
}
