// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// Live is a cluster behind its API. Its client can read alone: no other verb is ever
// sent.
type Live struct {
	host      string
	namespace string
	sriov     rest.Interface
	core      rest.Interface
}

// page is how many objects one answer holds at most.
const page = 500

// Connect makes a client. It asks nothing yet. namespace is the operator's.
func Connect(config *rest.Config, namespace string) (*Live, error) {
	l := &Live{host: config.Host, namespace: namespace}
	var err error
	if l.sriov, err = client(config, "/apis", sriovv1.SchemeGroupVersion); err != nil {
		return nil, err
	}
	l.core, err = client(config, "/api", corev1.SchemeGroupVersion)
	return l, err
}

// client is a client of one group. Answers are decoded here, so that its scheme needs to
// know nothing but what the API says of errors.
func client(config *rest.Config, path string, group schema.GroupVersion) (rest.Interface, error) {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	c := rest.CopyConfig(config)
	c.APIPath, c.GroupVersion = path, &group
	c.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	c.AcceptContentTypes, c.ContentType = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	c.QPS = -1 // the API server says how fast is too fast
	made, err := rest.RESTClientFor(c)
	if err != nil {
		return nil, fmt.Errorf("make a client for %s: %w", config.Host, err)
	}
	return made, nil
}

// Objects reads the objects. With only, of the node states that of this node alone.
func (l *Live) Objects(ctx context.Context, only string) (Objects, error) {
	var o Objects
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return each(groupCtx, l.sriov, l.at("sriovnetworknodepolicies"), func(p *sriovv1.SriovNetworkNodePolicy) { o.Policies = append(o.Policies, *p) })
	})
	group.Go(func() error {
		return each(groupCtx, l.sriov, l.at("sriovnetworkpoolconfigs"), func(p *sriovv1.SriovNetworkPoolConfig) { o.Pools = append(o.Pools, *p) })
	})
	group.Go(func() error {
		return each(groupCtx, l.sriov, l.at("sriovoperatorconfigs"), func(c *sriovv1.SriovOperatorConfig) {
			if c.Name == sriovv1.DefaultConfigName && c.DeletionTimestamp.IsZero() {
				o.Config = c
			}
		})
	})
	group.Go(func() error { return each(groupCtx, l.core, l.at("configmaps"), o.configMap) })
	group.Go(func() error {
		question := l.at("sriovnetworknodestates")
		if only != "" {
			question.fields = "metadata.name=" + only
		}
		return each(groupCtx, l.sriov, question, func(s *sriovv1.SriovNetworkNodeState) { o.States = append(o.States, *s) })
	})
	group.Go(func() error {
		err := each(groupCtx, l.core, question{resource: "nodes", metadata: true}, func(n *metav1.PartialObjectMetadata) { o.node(&n.ObjectMeta) })
		if apierrors.IsForbidden(err) {
			o.Withheld, err = err, nil
		}
		return err
	})
	if err := group.Wait(); err != nil {
		return o, err
	}
	o.sort()
	return o, nil
}

func (l *Live) at(resource string) question {
	return question{resource: resource, namespace: l.namespace}
}

// fewNodes is for how many nodes pods are asked for node by node; for more, all pods of
// the cluster are looked through.
const fewNodes = 32

// Pods are the pods on these nodes.
func (l *Live) Pods(ctx context.Context, nodes []string) ([]corev1.Pod, error) {
	wanted := map[string]bool{}
	for _, n := range nodes {
		wanted[n] = true
	}
	var pods []corev1.Pod
	take := func(p *corev1.Pod) {
		if wanted[p.Spec.NodeName] {
			pods = append(pods, slim(p))
		}
	}
	if len(nodes) > fewNodes {
		return pods, each(ctx, l.core, question{resource: "pods"}, take)
	}
	for _, n := range nodes {
		if err := each(ctx, l.core, question{resource: "pods", fields: "spec.nodeName=" + n}, take); err != nil {
			return nil, err
		}
	}
	return pods, nil
}

// slim leaves out what nobody asks for, because a large cluster has many pods.
func slim(p *corev1.Pod) corev1.Pod {
	out := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name, Annotations: p.Annotations}}
	out.Spec.NodeName, out.Status.Phase = p.Spec.NodeName, p.Status.Phase
	for _, list := range []struct{ from, to *[]corev1.Container }{{&p.Spec.InitContainers, &out.Spec.InitContainers}, {&p.Spec.Containers, &out.Spec.Containers}} {
		for i := range *list.from {
			*list.to = append(*list.to, corev1.Container{Name: (*list.from)[i].Name, Resources: (*list.from)[i].Resources})
		}
	}
	return out
}

// question is what a list is asked for.
type question struct {
	resource  string
	namespace string // empty for all
	fields    string
	metadata  bool // of each object its metadata alone
}

func (q question) String() string {
	text := q.resource
	if q.namespace != "" {
		text += " in namespace " + q.namespace
	}
	return text
}

// asMetadata asks for objects without spec and status; an API server that cannot do that
// sends whole ones, which begin alike.
const asMetadata = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"

func (q question) request(c rest.Interface, more string) *rest.Request {
	r := c.Get().NamespaceIfScoped(q.namespace, q.namespace != "").Resource(q.resource).Param("limit", fmt.Sprint(page))
	if q.fields != "" {
		r.Param("fieldSelector", q.fields)
	}
	if more != "" {
		r.Param("continue", more)
	}
	if q.metadata {
		r.SetHeader("Accept", asMetadata)
	}
	return r
}

// each hands over every object of a list, page by page.
func each[T any](ctx context.Context, c rest.Interface, q question, take func(*T)) error {
	more := ""
	for {
		answer := q.request(c, more).Do(ctx)
		// Raw alone has not what the API says of an error.
		if err := answer.Error(); err != nil {
			return fmt.Errorf("list %s: %w", q, explain(err))
		}
		text, err := answer.Raw()
		if err != nil {
			return fmt.Errorf("list %s: %w", q, err)
		}
		var list struct {
			metav1.ListMeta `json:"metadata"`

			Items []T `json:"items"`
		}
		if err := json.Unmarshal(text, &list); err != nil {
			return fmt.Errorf("list %s: read the answer: %w", q, err)
		}
		for i := range list.Items {
			take(&list.Items[i])
		}
		if more = list.Continue; more == "" {
			return nil
		}
	}
}

// explain adds what to do about errors that people meet.
func explain(err error) error {
	var dial *url.Error
	switch {
	case errors.Is(err, context.Canceled): // the user has seen enough
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%w; the cluster does not know the kind: install the operator's CRDs, or choose another cluster with --context", err)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%w; ask for the roles of deploy/viewer.yaml", err)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("%w; the kubeconfig's credentials are not accepted: log in again, or choose another with --context", err)
	case errors.As(err, &dial):
		return fmt.Errorf("%w; see whether the cluster can be reached, or choose another with --context", err)
	}
	return err
}

// Watch calls changed whenever a policy or a node state has changed, and returns when a
// watch ends, as every watch does after a while: then read again.
func (l *Live) Watch(ctx context.Context, changed func()) error {
	group, groupCtx := errgroup.WithContext(ctx)
	for _, resource := range []string{"sriovnetworknodepolicies", "sriovnetworknodestates"} {
		group.Go(func() error { return l.watch(groupCtx, resource, changed) })
	}
	if err := group.Wait(); err != nil && !errors.Is(err, errEnded) {
		return err
	}
	return ctx.Err()
}

// errEnded ends the other watch when one has ended.
var errEnded = errors.New("the watch has ended")

func (l *Live) watch(ctx context.Context, resource string, changed func()) error {
	stream, err := l.at(resource).request(l.sriov, "").Param("watch", "true").Stream(ctx)
	if err != nil {
		return fmt.Errorf("watch %s: %w", l.at(resource), explain(err))
	}
	defer func() { _ = stream.Close() }() // it was only read
	decoder := json.NewDecoder(stream)
	for {
		var event struct {
			Type string `json:"type"`
		}
		err := decoder.Decode(&event)
		switch {
		case errors.Is(err, io.EOF), err == nil && event.Type == "ERROR":
			return errEnded
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && strings.Contains(err.Error(), "unexpected EOF"):
			return errEnded
		case err != nil:
			return fmt.Errorf("watch %s: %w", l.at(resource), err)
		}
		changed()
	}
}
