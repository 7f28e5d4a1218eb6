// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package network_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/operator/network"
	render "github.com/kubeovn/sriov-network-operator/internal/render/network"
	"github.com/kubeovn/sriov-network-operator/test/kube"
	"github.com/kubeovn/sriov-network-operator/test/kube/proxy"
)

// plane is the control plane of this package's tests; garbage collection and the
// end of namespaces are the controller manager's.
var plane = kube.Share(kube.WithNetworkAttachments(), kube.WithControllerManager())

func TestMain(m *testing.M) { os.Exit(plane.Main(m)) }

// rig is an operator that runs for one test, in a namespace of its own.
type rig struct {
	t         *testing.T
	cluster   *kube.Cluster
	client    client.Client
	namespace string
	proxy     *proxy.Proxy
	claimed   *network.Claimed
}

// start runs the operator behind a proxy. What is left in its namespace at the end
// of the test goes while the operator still runs.
func start(t *testing.T, c *kube.Cluster, rules ...proxy.Rule) *rig {
	t.Helper()
	r := &rig{t: t, cluster: c, client: attachmentClient(t, c), namespace: c.Namespace(t), proxy: proxy.New(1, rules...), claimed: &network.Claimed{}}
	stop := r.operate()
	t.Cleanup(func() {
		r.proxy.Script()
		r.clear()
		stop()
	})
	return r
}

// attachmentClient knows attachments besides the kinds of the cluster's own client.
func attachmentClient(t *testing.T, c *kube.Cluster) client.Client {
	t.Helper()
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	if err := render.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	k, err := client.New(c.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// operate runs an operator until stop is called.
func (r *rig) operate() (stop func()) {
	r.t.Helper()
	scheme, err := kube.Scheme()
	if err != nil {
		r.t.Fatal(err)
	}
	again := true
	options := ctrl.Options{Scheme: scheme, Metrics: server.Options{BindAddress: "0"}, Controller: config.Controller{SkipNameValidation: &again}}
	mgr, err := ctrl.NewManager(r.cluster.Behind(r.t, r.proxy), options)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := network.SetupWithManager(mgr, network.Options{Namespace: r.namespace, Now: time.Now, Resync: 300 * time.Millisecond, Claimed: r.claimed}); err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Errorf("the operator ended with %v", err)
		}
	}
}

// clear removes the networks of the operator's namespace and waits for their end.
func (r *rig) clear() {
	ctx := context.WithoutCancel(r.t.Context())
	for _, list := range []client.ObjectList{&sriovv1.SriovNetworkList{}, &sriovv1.SriovIBNetworkList{}, &sriovv1.OVSNetworkList{}} {
		if err := r.client.List(ctx, list, client.InNamespace(r.namespace)); err != nil {
			r.t.Error(err)
		}
		items, err := meta.ExtractList(list)
		if err != nil {
			r.t.Error(err)
		}
		for _, item := range items {
			o := item.(client.Object)
			if err := client.IgnoreNotFound(r.client.Delete(ctx, o)); err != nil {
				r.t.Error(err)
			}
			eventually(r.t, func() error { return gone(r.client.Get(ctx, client.ObjectKeyFromObject(o), o), o) })
		}
	}
}

// eventually waits until there is nothing wrong any more.
func eventually(t *testing.T, wrong func() error) {
	t.Helper()
	deadline := time.After(60 * time.Second)
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		err := wrong()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatal(err)
		case <-tick.C:
		}
	}
}

// gone turns what a read of something that should not be there returned into what
// is wrong.
func gone(err error, o client.Object) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("%T %s/%s is there", o, o.GetNamespace(), o.GetName())
}

func (r *rig) create(objects ...client.Object) {
	r.t.Helper()
	for _, o := range objects {
		if err := r.client.Create(r.t.Context(), o); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *rig) remove(o client.Object) {
	r.t.Helper()
	if err := r.client.Delete(r.t.Context(), o); err != nil {
		r.t.Fatal(err)
	}
}

// edit changes an object as it is now.
func edit[T client.Object](r *rig, o T, change func(T)) {
	r.t.Helper()
	eventually(r.t, func() error {
		if err := r.client.Get(r.t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		change(o)
		return r.client.Update(r.t.Context(), o)
	})
}

// attachment waits until the attachment is as the check wants, and returns it.
func (r *rig) attachment(namespace, name string, wrong func(*render.NetworkAttachmentDefinition) error) *render.NetworkAttachmentDefinition {
	r.t.Helper()
	n := &render.NetworkAttachmentDefinition{}
	eventually(r.t, func() error {
		*n = render.NetworkAttachmentDefinition{}
		if err := r.client.Get(r.t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, n); err != nil {
			return err
		}
		return wrong(n)
	})
	return n
}

// noAttachment waits until there is none.
func (r *rig) noAttachment(namespace, name string) {
	r.t.Helper()
	n := &render.NetworkAttachmentDefinition{}
	eventually(r.t, func() error {
		return gone(r.client.Get(r.t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, n), n)
	})
}

// attachments are all that are in a namespace.
func (r *rig) attachments(namespace string) []render.NetworkAttachmentDefinition {
	r.t.Helper()
	list := &render.NetworkAttachmentDefinitionList{}
	if err := r.client.List(r.t.Context(), list, client.InNamespace(namespace)); err != nil {
		r.t.Fatal(err)
	}
	return list.Items
}

// condition waits until the condition Ready of a network's present generation has
// a reason, and returns it.
func (r *rig) condition(o client.Object, reason string) metav1.Condition {
	r.t.Helper()
	var found metav1.Condition
	eventually(r.t, func() error {
		if err := r.client.Get(r.t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		c := meta.FindStatusCondition(conditions(o), sriovv1.ConditionReady)
		if c == nil || c.Reason != reason || c.ObservedGeneration != o.GetGeneration() {
			return fmt.Errorf("%T %s has the condition %+v, want reason %s of generation %d", o, o.GetName(), c, reason, o.GetGeneration())
		}
		found = *c
		return nil
	})
	return found
}

func conditions(o client.Object) []metav1.Condition {
	switch n := o.(type) {
	case *sriovv1.SriovNetwork:
		return n.Status.Conditions
	case *sriovv1.SriovIBNetwork:
		return n.Status.Conditions
	case *sriovv1.OVSNetwork:
		return n.Status.Conditions
	}
	return nil
}

// quiet waits until the operator asks for nothing more, over some resyncs.
func (r *rig) quiet() {
	r.t.Helper()
	if err := r.proxy.Quiet(r.t.Context(), time.Second); err != nil {
		r.t.Fatal(err)
	}
}

// writes are the operator's, without events.
func (r *rig) writes() []proxy.Request {
	var out []proxy.Request
	for _, q := range r.proxy.Requests() {
		if proxy.Writes(q) && q.Resource != "events" {
			out = append(out, q)
		}
	}
	return out
}

func named(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name}
}

func (r *rig) sriov(name string, change func(*sriovv1.SriovNetworkSpec)) *sriovv1.SriovNetwork {
	n := &sriovv1.SriovNetwork{ObjectMeta: named(r.namespace, name)}
	n.Spec.ResourceName = "vfs"
	if change != nil {
		change(&n.Spec)
	}
	return n
}

func foreign(namespace, name, config string, annotations map[string]string) *render.NetworkAttachmentDefinition {
	n := &render.NetworkAttachmentDefinition{ObjectMeta: named(namespace, name)}
	n.Annotations, n.Spec.Config = annotations, config
	return n
}

func namespaceNamed(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func fine(*render.NetworkAttachmentDefinition) error { return nil }
