// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/fleet"
)

// Watch keeps what is known of the cluster. Every resource is listed and watched by
// itself, and for as long as it takes: one that may not be read, or is not there yet,
// holds up no other.
type Watch struct {
	namespace string
	informers []*informer

	nodes, states, policies, pools, configs *informer
	configMaps                              []*informer
}

// informer is one resource as it is now.
type informer struct {
	// words are what people call the objects.
	words string
	store cache.Store
	cache.Controller
}

// resource is what an informer reads.
type resource struct {
	words           string
	group           schema.GroupVersion
	name, namespace string
	selector        fields.Selector
	object          runtime.Object
	transform       cache.TransformFunc
}

// NewWatch prepares a watch of the operator's namespace. It asks the API server nothing
// before Run.
func NewWatch(config *rest.Config, namespace string) (*Watch, error) {
	w := &Watch{namespace: namespace}
	ours := func(words, name string, object runtime.Object, transform cache.TransformFunc) resource {
		return resource{words, sriovv1.SchemeGroupVersion, name, namespace, fields.Everything(), object, transform}
	}
	configMap := func(words, name string) resource {
		return resource{
			words, corev1.SchemeGroupVersion, "configmaps", namespace, fields.OneTermEqualSelector("metadata.name", name), &corev1.ConfigMap{}, withoutManagers,
		}
	}
	var supported, claimed *informer
	for _, want := range []struct {
		into **informer
		resource
	}{
		{&w.nodes, resource{"nodes", corev1.SchemeGroupVersion, "nodes", metav1.NamespaceAll, fields.Everything(), &corev1.Node{}, trimNode}},
		{&w.states, ours("node states", "sriovnetworknodestates", &sriovv1.SriovNetworkNodeState{}, parseState)},
		{&w.policies, ours("policies", "sriovnetworknodepolicies", &sriovv1.SriovNetworkNodePolicy{}, withoutManagers)},
		{&w.pools, ours("pools", "sriovnetworkpoolconfigs", &sriovv1.SriovNetworkPoolConfig{}, withoutManagers)},
		{&w.configs, ours("settings of the operator", "sriovoperatorconfigs", &sriovv1.SriovOperatorConfig{}, withoutManagers)},
		{&supported, configMap("supported NICs", sriovv1.ConfigMapSupportedNICIDs)},
		{&claimed, configMap("claims of nodes", sriovv1.ConfigMapSriovConfig)},
	} {
		made, err := newInformer(config, want.resource)
		if err != nil {
			return nil, fmt.Errorf("watch %s: %w", want.words, err)
		}
		*want.into = made
		w.informers = append(w.informers, made)
	}
	w.configMaps = []*informer{supported, claimed}
	return w, nil
}

func newInformer(config *rest.Config, r resource) (*informer, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, sriovv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	config = rest.CopyConfig(config)
	config.GroupVersion, config.APIPath = &r.group, "/apis"
	if r.group.Group == "" {
		config.APIPath = "/api"
	}
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	asker, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, err
	}
	out := &informer{words: r.words}
	out.store, out.Controller = cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.NewListWatchFromClient(asker, r.name, r.namespace, r.selector),
		ObjectType:    r.object, Handler: cache.ResourceEventHandlerFuncs{}, Transform: r.transform,
	})
	return out, nil
}

// Run watches until the context ends.
func (w *Watch) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, i := range w.informers {
		all.Go(func() { i.RunWithContext(ctx) })
	}
	all.Wait()
}

// Know is what is known now. It waits for nothing.
func (w *Watch) Know() Knowledge {
	var unknown []string
	for _, i := range w.informers {
		if !i.HasSynced() {
			unknown = append(unknown, i.words)
		}
	}
	k := Knowledge{Unknown: unknown}
	k.Facts.Namespace = w.namespace
	if len(unknown) > 0 {
		return k
	}
	k.Facts = Know(w.namespace, w.objects())
	return k
}

func (w *Watch) objects() Objects {
	out := Objects{
		Objects: fleet.Objects{Policies: all[sriovv1.SriovNetworkNodePolicy](w.policies), Pools: all[sriovv1.SriovNetworkPoolConfig](w.pools)},
		Nodes:   all[Node](w.nodes), States: all[State](w.states),
	}
	for _, config := range all[sriovv1.SriovOperatorConfig](w.configs) {
		if config.Name == sriovv1.DefaultConfigName {
			out.Config = &config
		}
	}
	for _, i := range w.configMaps {
		out.ConfigMaps = append(out.ConfigMaps, all[corev1.ConfigMap](i)...)
	}
	return out
}

// all are the objects of an informer; what they point to must not be changed.
func all[T any](i *informer) []T {
	list := i.store.List()
	out := make([]T, 0, len(list))
	for _, o := range list {
		if object, ok := o.(*T); ok {
			out = append(out, *object)
		}
	}
	return out
}

// trimNode keeps a node's name and labels.
func trimNode(object any) (any, error) {
	n, ok := object.(*corev1.Node)
	if !ok {
		return object, nil
	}
	return &Node{ObjectMeta: metav1.ObjectMeta{Name: n.Name, ResourceVersion: n.ResourceVersion, Labels: n.Labels}}, nil
}

// parseState parses each node state once, when it changes.
func parseState(object any) (any, error) {
	s, ok := object.(*sriovv1.SriovNetworkNodeState)
	if !ok {
		return object, nil
	}
	out := NewState(s)
	return &out, nil
}

func withoutManagers(object any) (any, error) {
	if o, ok := object.(metav1.Object); ok {
		o.SetManagedFields(nil)
	}
	return object, nil
}
