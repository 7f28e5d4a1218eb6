// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operatorconfig

import (
	"context"
	"fmt"
	"io"
	"maps"
	"reflect"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
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
	"github.com/kubeovn/sriov-network-operator/internal/operator/certs"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

// controllerName is what metrics and logs call the controller.
const controllerName = "operator-config"

// A try that failed for what passes is repeated after a time that doubles between these.
const (
	firstRetry = 20 * time.Millisecond
	lastRetry  = 10 * time.Second
)

// most is how long one try may take; a request without an answer is then given up and
// made again.
const most = 30 * time.Second

// Options are what the controller needs to know.
type Options struct {
	// Settings are what the operator was started with; Namespace is required. What is in
	// the cluster, its kinds, nodes, ConfigMaps and CAs, is filled in.
	Settings operand.Settings
	// SetLogLevel is told the log level that the configuration asks for, again and again.
	SetLogLevel func(level int)
	Now         func() time.Time
	// Random must be unpredictable; keys are drawn from it.
	Random io.Reader
}

// Add puts the controller into the manager, whose cache must hold the operator
// configuration and the ConfigMaps of the operator's namespace, and nodes. What is
// deployed has a cache of its own.
func Add(ctx context.Context, mgr ctrl.Manager, o Options) error {
	r, err := newReconciler(ctx, mgr, o)
	if err != nil {
		return err
	}
	c, err := controller.New(controllerName, mgr, controller.Options{
		Reconciler:            r,
		RateLimiter:           workqueue.NewTypedItemExponentialFailureRateLimiter[ctrl.Request](firstRetry, lastRetry),
		ReconciliationTimeout: most,
	})
	if err != nil {
		return fmt.Errorf("make the controller of the operator configuration: %w", err)
	}
	all, err := r.sources(mgr)
	if err != nil {
		return err
	}
	for _, s := range all {
		if err := c.Watch(s); err != nil {
			return fmt.Errorf("watch for the controller of the operator configuration: %w", err)
		}
	}
	r.kinds.begin = func(kind schema.GroupVersionKind) error {
		if err := c.Watch(r.objectsOf(kind)); err != nil {
			return fmt.Errorf("watch the objects of kind %s: %w", kind.Kind, err)
		}
		return nil
	}
	return nil
}

func newReconciler(ctx context.Context, mgr ctrl.Manager, o Options) (*reconciler, error) {
	asker, err := discovery.NewDiscoveryClientForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("make a client for the API server's kinds: %w", err)
	}
	k := &kinds{watches: map[schema.GroupVersionKind]bool{}, definitions: map[string]cache.Cache{}}
	if k.policies, err = hasPolicies(ctx, asker); err != nil {
		return nil, err
	}
	for _, one := range optionals() {
		// Each is watched by its name, for which the right to list and watch these names is
		// enough.
		k.definitions[one.definition], err = newCache(mgr, cache.Options{
			DefaultFieldSelector: fields.OneTermEqualSelector("metadata.name", one.definition),
			DefaultTransform:     withoutSchemas,
		})
		if err != nil {
			return nil, err
		}
	}
	k.objects, err = newCache(mgr, cache.Options{
		DefaultNamespaces:           map[string]cache.Config{o.Settings.Namespace: {}},
		DefaultLabelSelector:        labels.SelectorFromSet(operand.Selector()),
		ReaderFailOnMissingInformer: true,
	})
	if err != nil {
		return nil, err
	}
	live, err := client.New(mgr.GetConfig(), client.Options{Scheme: runtime.NewScheme(), HTTPClient: mgr.GetHTTPClient(), Mapper: mapper()})
	if err != nil {
		return nil, fmt.Errorf("make the client for what is deployed: %w", err)
	}
	for _, kind := range operand.AllKinds() {
		k.watches[kind.GroupVersionKind] = kind.Definition == "" && (k.policies || !strings.HasPrefix(kind.Kind, "ValidatingAdmissionPolicy"))
	}
	return &reconciler{
		options: o, client: mgr.GetClient(), kinds: k,
		store: &store{
			cached: k.objects, live: live, compare: newComparer(), none: map[operand.Ref]bool{}, underway: map[operand.Ref]write{},
			watched: func(kind schema.GroupVersionKind) bool { return k.watches[kind] },
		},
		keeper: certs.Keeper{Reader: mgr.GetAPIReader(), Writer: mgr.GetClient(), Now: o.Now, Random: o.Random},
		voice:  &voice{client: mgr.GetClient(), recorder: mgr.GetEventRecorder(fieldManager), now: o.Now},
	}, nil
}

// newCache makes a cache that starts with the manager.
func newCache(mgr ctrl.Manager, o cache.Options) (cache.Cache, error) {
	o.Scheme, o.Mapper, o.HTTPClient = runtime.NewScheme(), mapper(), mgr.GetHTTPClient()
	if err := apiextensionsv1.AddToScheme(o.Scheme); err != nil {
		return nil, fmt.Errorf("register the kind of definitions: %w", err)
	}
	c, err := cache.New(mgr.GetConfig(), o)
	if err == nil {
		err = mgr.Add(c)
	}
	if err != nil {
		return nil, fmt.Errorf("make a cache of what is deployed: %w", err)
	}
	return c, nil
}

// mapper knows the kinds that are deployed without asking the API server, which need not
// serve them yet.
func mapper() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper(nil)
	m.Add(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"), meta.RESTScopeRoot)
	m.Add(corev1.SchemeGroupVersion.WithKind("Secret"), meta.RESTScopeNamespace)
	for _, k := range operand.AllKinds() {
		scope := meta.RESTScopeNamespace
		if k.Clustered {
			scope = meta.RESTScopeRoot
		}
		plural := k.GroupVersion().WithResource(k.Resource)
		m.AddSpecific(k.GroupVersionKind, plural, plural, scope)
	}
	return m
}

// withoutSchemas forgets of a definition what it is never asked for, and that is large.
func withoutSchemas(object any) (any, error) {
	if d, ok := object.(*apiextensionsv1.CustomResourceDefinition); ok {
		d.ManagedFields, d.Annotations = nil, nil
		for i := range d.Spec.Versions {
			d.Spec.Versions[i].Schema = nil
		}
	}
	return object, nil
}

// sources are what the controller watches from the start.
func (r *reconciler) sources(mgr ctrl.Manager) ([]source.Source, error) {
	namespace := r.options.Settings.Namespace
	var secrets []string
	for _, g := range operand.Groups() {
		if secret, ok := operand.SecretOf(g, r.options.Settings); ok {
			secrets = append(secrets, secret.Name)
		}
	}
	out, err := certs.Watch(mgr, namespace, secrets, r.whenever())
	if err != nil {
		return nil, err
	}
	for _, definitions := range r.kinds.definitions {
		out = append(out, source.Kind(definitions, client.Object(&apiextensionsv1.CustomResourceDefinition{}), r.whenever()))
	}
	for kind, watched := range r.kinds.watches {
		if watched {
			out = append(out, r.objectsOf(kind))
		}
	}
	return append(out,
		source.Kind(mgr.GetCache(), client.Object(&sriovv1.SriovOperatorConfig{}), r.whenever()),
		source.Kind(mgr.GetCache(), client.Object(&corev1.Node{}), r.whenever(), predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
			return operand.IsControlPlane(e.ObjectOld.GetLabels()) != operand.IsControlPlane(e.ObjectNew.GetLabels())
		}}),
		source.Kind(mgr.GetCache(), client.Object(&corev1.ConfigMap{}), r.whenever(), predicate.Funcs{
			CreateFunc: func(e event.CreateEvent) bool { return isPluginConfig(e.Object) },
			UpdateFunc: func(event.UpdateEvent) bool { return false },
			DeleteFunc: func(e event.DeleteEvent) bool { return isPluginConfig(e.Object) },
		})), nil
}

func isPluginConfig(o client.Object) bool {
	return strings.HasPrefix(o.GetName(), sriovv1.ConfigMapDevicePluginConfig)
}

// whenever puts the only work item into the queue, whatever has happened.
func (r *reconciler) whenever() handler.EventHandler {
	one := ctrl.Request{NamespacedName: client.ObjectKey{Namespace: r.options.Settings.Namespace, Name: sriovv1.DefaultConfigName}}
	return handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []ctrl.Request { return []ctrl.Request{one} })
}

// objectsOf watches the deployed objects of a kind. Pods that come and go change the
// status of their workload: what counts of it is whether there are any.
func (r *reconciler) objectsOf(kind schema.GroupVersionKind) source.Source {
	return source.Kind(r.kinds.objects, client.Object(blank(operand.Ref{GroupVersionKind: kind})), r.whenever(), predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			return !isWorkload(kind.Kind) || workloadChanged(e.ObjectOld, e.ObjectNew)
		},
	})
}

func workloadChanged(before, after client.Object) bool {
	was, old := before.(*unstructured.Unstructured)
	is, ok := after.(*unstructured.Unstructured)
	if !old || !ok {
		return true
	}
	return was.GetGeneration() != is.GetGeneration() || (readyPods(was) > 0) != (readyPods(is) > 0) ||
		!maps.Equal(was.GetLabels(), is.GetLabels()) || !maps.Equal(was.GetAnnotations(), is.GetAnnotations()) ||
		!reflect.DeepEqual(was.GetOwnerReferences(), is.GetOwnerReferences()) ||
		(was.GetDeletionTimestamp() == nil) != (is.GetDeletionTimestamp() == nil)
}
