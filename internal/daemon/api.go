// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// Resources of the API.
const (
	nodeStates = "sriovnetworknodestates"
	configs    = "sriovoperatorconfigs"
	configMaps = "configmaps"
	pods       = "pods"
	nodes      = "nodes"
	eventsOf   = "events"
)

// pluginApp is the label app of the device plugin's pods.
const pluginApp = "sriov-device-plugin"

// api is the API server, as far as one daemon needs it. Its kinds are those of two
// groups, so that the many others cost no memory.
type api struct {
	sriov, core     rest.Interface
	lifelines       *lifelines
	node, namespace string
}

func newAPI(config *rest.Config, node, namespace string, own ...netip.Addr) (*api, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, sriovv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("register the kinds: %w", err)
		}
	}
	config = rest.CopyConfig(config)
	config.QPS = -1 // the API server shares itself out fairly
	lifelines := newLifelines(config.Host, own)
	config.Dial = lifelines.through(config.Dial)
	http, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	a := &api{node: node, namespace: namespace, lifelines: lifelines}
	if a.sriov, err = group(config, http, scheme, sriovv1.SchemeGroupVersion, "/apis"); err != nil {
		return nil, err
	}
	a.core, err = group(config, http, scheme, corev1.SchemeGroupVersion, "/api")
	return a, err
}

// group is a client of one group's kinds.
func group(config *rest.Config, http *http.Client, scheme *runtime.Scheme, gv schema.GroupVersion, path string) (rest.Interface, error) {
	c := rest.CopyConfig(config)
	c.GroupVersion, c.APIPath = &gv, path
	c.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	c.ContentType = runtime.ContentTypeJSON
	client, err := rest.RESTClientForConfigAndClient(c, http)
	if err != nil {
		return nil, fmt.Errorf("make a client for %s: %w", gv, err)
	}
	return client, nil
}

// selection is what one watch is about.
type selection struct {
	from      rest.Interface
	resource  string
	fields    fields.Set
	labels    string
	namespace string
	kind      runtime.Object
}

// watched are the objects that are watched: single ones, and the device plugin's pods of
// this node.
func (a *api) ownState() selection {
	return selection{from: a.sriov, resource: nodeStates, namespace: a.namespace, fields: named(a.node), kind: &sriovv1.SriovNetworkNodeState{}}
}

func (a *api) operatorConfig() selection {
	return selection{from: a.sriov, resource: configs, namespace: a.namespace, fields: named(sriovv1.DefaultConfigName), kind: &sriovv1.SriovOperatorConfig{}}
}

func (a *api) nicList() selection {
	return selection{from: a.core, resource: configMaps, namespace: a.namespace, fields: named(sriovv1.ConfigMapSupportedNICIDs), kind: &corev1.ConfigMap{}}
}

func (a *api) pluginPods() selection {
	return selection{
		from: a.core, resource: pods, namespace: a.namespace, kind: &corev1.Pod{},
		fields: fields.Set{"spec.nodeName": a.node}, labels: "app=" + pluginApp,
	}
}

func named(name string) fields.Set { return fields.Set{metav1.ObjectNameField: name} }

// watch calls back with all objects of the selection whenever one of them changes, first
// when all are known. A watch that ends begins anew.
func (a *api) watch(ctx context.Context, s selection, seen func(objects []any)) {
	lw := cache.NewFilteredListWatchFromClient(s.from, s.resource, s.namespace, func(o *metav1.ListOptions) {
		o.FieldSelector, o.LabelSelector = s.fields.String(), s.labels
	})
	const first, longest = 200 * time.Millisecond, 10 * time.Second
	r := cache.NewReflectorWithOptions(cache.ToListWatcherWithWatchListSemantics(lw, s.from), s.kind,
		cache.NewUndeltaStore(seen, cache.MetaNamespaceKeyFunc),
		cache.ReflectorOptions{Name: s.resource, Backoff: &wait.Backoff{Duration: first, Cap: longest, Factor: 2, Jitter: 1, Steps: 10}})
	r.RunWithContext(ctx)
}

// requestTimeout is how long one request may take.
const requestTimeout = 30 * time.Second

// annotations is a merge patch of annotations; nil removes one.
type annotations struct {
	Metadata annotated `json:"metadata"`
}

type annotated struct {
	Annotations map[string]*string `json:"annotations"`
}

// onlyMetadata asks for an answer without the rest of the object.
const onlyMetadata = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

// annotate changes annotations of an object.
func (a *api) annotate(ctx context.Context, from rest.Interface, resource, namespace, name string, change map[string]*string) error {
	text, err := json.Marshal(annotations{Metadata: annotated{Annotations: change}})
	if err != nil {
		return fmt.Errorf("marshal annotations: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	r := from.Patch(types.MergePatchType).Resource(resource).Name(name).Body(text).SetHeader("Accept", onlyMetadata)
	if namespace != "" {
		r = r.Namespace(namespace)
	}
	if err := r.Do(ctx).Error(); err != nil {
		return fmt.Errorf("annotate %s %s: %w", resource, name, err)
	}
	return nil
}

// nodeAnnotations are the annotations of the daemon's node.
func (a *api) nodeAnnotations(ctx context.Context) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	text, err := a.core.Get().Resource(nodes).Name(a.node).SetHeader("Accept", onlyMetadata).DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("read node %s: %w", a.node, err)
	}
	var node metav1.PartialObjectMetadata
	if err := json.Unmarshal(text, &node); err != nil {
		return nil, fmt.Errorf("read node %s: %w", a.node, err)
	}
	return node.Annotations, nil
}

// ask writes what the daemon asks for: on the node first, because that is what the
// controller reads, then on the node state, for others.
func (a *api) ask(ctx context.Context, request string, mirror map[string]*string) error {
	if err := a.annotate(ctx, a.core, nodes, "", a.node, map[string]*string{sriovv1.AnnotationNodeDrain: &request}); err != nil {
		return err
	}
	return a.annotate(ctx, a.sriov, nodeStates, a.namespace, a.node, mirror)
}

// writeStatus makes the status that of the node state, if it is still the one that was
// looked at. Conditions of others stay as they are.
func (a *api) writeStatus(ctx context.Context, over *sriovv1.SriovNetworkNodeState, status sriovv1.SriovNetworkNodeStateStatus) (*sriovv1.SriovNetworkNodeState, error) {
	const tries = 3
	for try := 1; ; try++ {
		got, err := a.putStatus(ctx, over, status)
		if err == nil || !apierrors.IsConflict(err) || try == tries {
			return got, err
		}
		uid := over.UID
		if over, err = a.state(ctx); err != nil {
			return nil, err
		}
		if over.UID != uid {
			return nil, apierrors.NewNotFound(sriovv1.SchemeGroupVersion.WithResource(nodeStates).GroupResource(), a.node)
		}
	}
}

func (a *api) state(ctx context.Context) (*sriovv1.SriovNetworkNodeState, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	out := &sriovv1.SriovNetworkNodeState{}
	if err := a.sriov.Get().Namespace(a.namespace).Resource(nodeStates).Name(a.node).Do(ctx).Into(out); err != nil {
		return nil, fmt.Errorf("read node state %s: %w", a.node, err)
	}
	return out, nil
}

func (a *api) putStatus(ctx context.Context, over *sriovv1.SriovNetworkNodeState, status sriovv1.SriovNetworkNodeStateStatus) (*sriovv1.SriovNetworkNodeState, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	status.Conditions = withForeign(status.Conditions, over.Status.Conditions)
	in := &sriovv1.SriovNetworkNodeState{
		TypeMeta:   metav1.TypeMeta{APIVersion: sriovv1.SchemeGroupVersion.String(), Kind: sriovv1.KindSriovNetworkNodeState},
		ObjectMeta: metav1.ObjectMeta{Namespace: a.namespace, Name: a.node, UID: over.UID, ResourceVersion: over.ResourceVersion},
		Spec:       over.Spec,
		Status:     status,
	}
	out := &sriovv1.SriovNetworkNodeState{}
	if err := a.sriov.Put().Namespace(a.namespace).Resource(nodeStates).Name(a.node).SubResource("status").Body(in).Do(ctx).Into(out); err != nil {
		return nil, fmt.Errorf("write the status of node state %s: %w", a.node, err)
	}
	return out, nil
}

// deletePod deletes exactly this pod; one that is gone is no error.
func (a *api) deletePod(ctx context.Context, pod *corev1.Pod) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	o := &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.UID}}
	err := a.core.Delete().Namespace(pod.Namespace).Resource(pods).Name(pod.Name).Body(o).Do(ctx).Error()
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("delete pod %s: %w", pod.Name, err)
	}
	return nil
}

// announce makes an event.
func (a *api) announce(ctx context.Context, e *corev1.Event) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if err := a.core.Post().Namespace(a.namespace).Resource(eventsOf).Body(e).Do(ctx).Error(); err != nil {
		return fmt.Errorf("make an event: %w", err)
	}
	return nil
}
