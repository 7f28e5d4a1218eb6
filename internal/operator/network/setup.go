// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	render "github.com/kubeovn/sriov-network-operator/internal/render/network"
)

// Names of the controllers, as metrics and logs call them.
const (
	controllerName  = "network"
	definitionsName = "network-attachment-kind"
)

// workers is how many networks are worked on at a time.
const workers = 4

// A try that went wrong is repeated after a time that doubles between these.
const (
	firstRetry = 20 * time.Millisecond
	lastRetry  = time.Minute
)

// Options are what the controllers need to know.
type Options struct {
	// Namespace is the operator's. It is required.
	Namespace string
	// ResourcePrefix is that of resources when the operator configuration has none.
	// Empty is the default.
	ResourcePrefix string
	// Now is the clock that dates conditions. It is required.
	Now func() time.Time
	// Claimed are the entries of sriov-configmap, for the VF driver of networks that name
	// none. Without it there are none.
	Claimed *Claimed
	// Resync is how often every network is looked at although nothing has happened.
	// 0 is the usual, some hours.
	Resync time.Duration
}

// SetupWithManager adds the controllers of networks to a manager. The manager's
// scheme must know this project's kinds and those of client-go; its cache must hold
// the policies and the operator configuration of the operator's namespace, and the
// metadata of namespaces. Networks, which are everywhere, have a cache of their own.
func SetupWithManager(mgr ctrl.Manager, o Options) error {
	kinds, err := scheme()
	if err != nil {
		return err
	}
	found, err := newAttachments(mgr, kinds)
	if err != nil {
		return err
	}
	cached, err := newNetworks(mgr, kinds, o.Resync)
	if err != nil {
		return err
	}
	known := &board{}
	r := &reconciler{
		namespace: o.Namespace, prefix: cmp.Or(o.ResourcePrefix, sriovv1.DefaultResourcePrefix), networks: cached, client: mgr.GetClient(), attachments: found, board: known, claimed: o.Claimed,
		voice: &voice{client: mgr.GetClient(), recorder: mgr.GetEventRecorder(fieldManager), now: o.Now, said: map[target]utterance{}},
	}
	log := mgr.GetLogger().WithValues("controller", controllerName)
	c, err := controller.NewTyped(controllerName, mgr, controller.TypedOptions[target]{
		Reconciler: r, MaxConcurrentReconciles: workers,
		RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[target](firstRetry, lastRetry),
		LogConstructor: func(t *target) logr.Logger {
			if t == nil {
				return log
			}
			return log.WithValues("kind", t.kind.String(), "namespace", t.Namespace, "name", t.Name)
		},
	})
	if err != nil {
		return fmt.Errorf("make the controller of networks: %w", err)
	}
	b := &bell{networks: cached}
	o.Claimed.connect(b)
	for _, s := range append(sources(mgr.GetCache(), cached, r), b.source()) {
		if err := c.Watch(s); err != nil {
			return fmt.Errorf("watch for the controller of networks: %w", err)
		}
	}
	return watchDefinition(mgr, &watcher{
		attachments: found, board: known, all: b.all,
		begin: func() error { return c.Watch(attachmentSource(found, r)) },
	})
}

// newNetworks makes a cache of the networks of the whole cluster that starts with
// the manager.
func newNetworks(mgr ctrl.Manager, kinds *runtime.Scheme, resync time.Duration) (cache.Cache, error) {
	options := cache.Options{
		Scheme: kinds, HTTPClient: mgr.GetHTTPClient(), Mapper: mapper(), DefaultTransform: cache.TransformStripManagedFields(),
	}
	if resync > 0 {
		options.SyncPeriod = &resync
	}
	c, err := cache.New(mgr.GetConfig(), options)
	if err != nil {
		return nil, fmt.Errorf("make the cache of networks: %w", err)
	}
	if err := mgr.Add(c); err != nil {
		return nil, fmt.Errorf("start the cache of networks with the manager: %w", err)
	}
	return c, nil
}

// watchDefinition adds the controller that learns of the attachments' kind.
func watchDefinition(mgr ctrl.Manager, w *watcher) error {
	c, err := controller.New(definitionsName, mgr, controller.Options{
		Reconciler:  w,
		RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[ctrl.Request](firstRetry, lastRetry),
	})
	if err != nil {
		return fmt.Errorf("make the controller of the attachments' kind: %w", err)
	}
	one := ctrl.Request{NamespacedName: types.NamespacedName{Name: definitionName}}
	changes := source.Kind(w.attachments.cached, &apiextensionsv1.CustomResourceDefinition{},
		handler.TypedEnqueueRequestsFromMapFunc(func(context.Context, *apiextensionsv1.CustomResourceDefinition) []ctrl.Request {
			return []ctrl.Request{one}
		}))
	// Where there is no definition, nothing changes: the first look is of its own.
	first := source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[ctrl.Request]) error {
		q.Add(one)
		return nil
	})
	for _, s := range []source.Source{changes, first} {
		if err := c.Watch(s); err != nil {
			return fmt.Errorf("watch for the controller of the attachments' kind: %w", err)
		}
	}
	return nil
}

// sources are what networks depend on, without their attachments.
func sources(own, everywhere cache.Cache, r *reconciler) []source.TypedSource[target] {
	return []source.TypedSource[target]{
		source.TypedKind(everywhere, &sriovv1.SriovNetwork{}, itself[*sriovv1.SriovNetwork](sriovNetwork)),
		source.TypedKind(everywhere, &sriovv1.SriovIBNetwork{}, itself[*sriovv1.SriovIBNetwork](sriovIBNetwork)),
		source.TypedKind(everywhere, &sriovv1.OVSNetwork{}, itself[*sriovv1.OVSNetwork](ovsNetwork)),
		source.TypedKind(own, namespaceObject(), handler.TypedEnqueueRequestsFromMapFunc(r.into),
			predicate.TypedFuncs[*metav1.PartialObjectMetadata]{
				// Networks come by themselves at the start.
				CreateFunc: func(e event.TypedCreateEvent[*metav1.PartialObjectMetadata]) bool { return !e.IsInInitialList },
				UpdateFunc: func(event.TypedUpdateEvent[*metav1.PartialObjectMetadata]) bool { return false },
			}),
		source.TypedKind(own, &sriovv1.SriovOperatorConfig{}, handler.TypedEnqueueRequestsFromMapFunc(r.afterConfig),
			predicate.TypedFuncs[*sriovv1.SriovOperatorConfig]{
				CreateFunc: func(e event.TypedCreateEvent[*sriovv1.SriovOperatorConfig]) bool { return !e.IsInInitialList },
				UpdateFunc: func(e event.TypedUpdateEvent[*sriovv1.SriovOperatorConfig]) bool {
					return e.ObjectOld.Spec.ResourcePrefix != e.ObjectNew.Spec.ResourcePrefix
				},
			}),
		source.TypedKind(own, &sriovv1.SriovNetworkNodePolicy{}, handler.TypedEnqueueRequestsFromMapFunc(r.afterPolicy),
			predicate.TypedFuncs[*sriovv1.SriovNetworkNodePolicy]{
				CreateFunc: func(e event.TypedCreateEvent[*sriovv1.SriovNetworkNodePolicy]) bool { return !e.IsInInitialList },
				UpdateFunc: func(e event.TypedUpdateEvent[*sriovv1.SriovNetworkNodePolicy]) bool {
					was, is := e.ObjectOld.Spec, e.ObjectNew.Spec
					return was.ResourceName != is.ResourceName || was.DeviceType != is.DeviceType
				},
			}),
	}
}

// itself maps a network to its own work item.
func itself[T client.Object](k kind) handler.TypedEventHandler[T, target] {
	return handler.TypedEnqueueRequestsFromMapFunc(func(_ context.Context, o T) []target { return []target{targetOf(k, o)} })
}

// attachmentSource maps attachments to the networks that may want them.
func attachmentSource(a *attachments, r *reconciler) source.TypedSource[target] {
	return source.TypedKind(a.cached, &render.NetworkAttachmentDefinition{}, handler.TypedEnqueueRequestsFromMapFunc(r.afterAttachment),
		predicate.TypedFuncs[*render.NetworkAttachmentDefinition]{
			// All networks come when the kind does.
			CreateFunc: func(e event.TypedCreateEvent[*render.NetworkAttachmentDefinition]) bool { return !e.IsInInitialList },
		})
}

// afterAttachment finds the networks of an attachment's name that are beside it or
// in the operator's namespace.
func (r *reconciler) afterAttachment(ctx context.Context, n *render.NetworkAttachmentDefinition) []target {
	var out []target
	for _, namespace := range []string{n.Namespace, r.namespace} {
		for _, k := range kinds() {
			t := target{k, types.NamespacedName{Namespace: namespace, Name: n.Name}}
			// Most attachments of a cluster are none of ours. An error is for the
			// reconciler to meet, which tries again.
			if err := r.networks.Get(ctx, t.NamespacedName, k.object()); client.IgnoreNotFound(err) != nil || err == nil {
				out = append(out, t)
			}
		}
		if namespace == r.namespace {
			break
		}
	}
	return out
}

// into finds the networks that want their attachment in a namespace.
func (r *reconciler) into(ctx context.Context, namespace *metav1.PartialObjectMetadata) []target {
	return r.chosen(ctx, func(_ kind, o client.Object) bool { return ask(o).networkNamespace == namespace.Name }, client.InNamespace(r.namespace))
}

// afterConfig finds the networks that an operator configuration concerns: all, if
// it is the one that counts.
func (r *reconciler) afterConfig(ctx context.Context, c *sriovv1.SriovOperatorConfig) []target {
	if c.Namespace != r.namespace || c.Name != sriovv1.DefaultConfigName {
		return nil
	}
	return r.chosen(ctx, func(kind, client.Object) bool { return true })
}

// afterPolicy finds the networks whose VF driver a policy decides.
func (r *reconciler) afterPolicy(ctx context.Context, p *sriovv1.SriovNetworkNodePolicy) []target {
	if p.Namespace != r.namespace {
		return nil
	}
	return r.chosen(ctx, func(_ kind, o client.Object) bool {
		return asksForDriver(o) && ask(o).resourceName == p.Spec.ResourceName
	})
}

// chosen lists the networks that the predicate wants.
func (r *reconciler) chosen(ctx context.Context, wanted func(kind, client.Object) bool, options ...client.ListOption) []target {
	var out []target
	err := networks(ctx, r.networks, func(k kind, o client.Object) {
		if wanted(k, o) {
			out = append(out, targetOf(k, o))
		}
	}, options...)
	if err != nil {
		// The cache's list fails only when the process ends or the scheme is wrong.
		ctrl.LoggerFrom(ctx).Error(err, "find the networks that an event concerns")
	}
	return out
}

// namespaceObject is an empty namespace of which only the metadata is wanted.
func namespaceObject() *metav1.PartialObjectMetadata {
	n := &metav1.PartialObjectMetadata{}
	n.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return n
}

// bell puts networks into the queue of their controller.
type bell struct {
	networks client.Reader

	mu    sync.Mutex
	queue workqueue.TypedRateLimitingInterface[target]
}

// source lets the controller hand over its queue.
func (b *bell) source() source.TypedSource[target] {
	return source.TypedFunc[target](func(_ context.Context, q workqueue.TypedRateLimitingInterface[target]) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.queue = q
		return nil
	})
}

// all puts every network into the queue.
func (b *bell) all(ctx context.Context) error {
	return b.ring(ctx, func(client.Object) bool { return true })
}

// ring is without effect before the controller has started: all networks are in
// its queue then.
func (b *bell) ring(ctx context.Context, wanted func(client.Object) bool) error {
	b.mu.Lock()
	q := b.queue
	b.mu.Unlock()
	if q == nil {
		return nil
	}
	return networks(ctx, b.networks, func(k kind, o client.Object) {
		if wanted(o) {
			q.Add(targetOf(k, o))
		}
	})
}
