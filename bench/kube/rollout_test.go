// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package kube_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/operator/drain"
	"github.com/kubeovn/sriov-network-operator/test/kube"
	"github.com/kubeovn/sriov-network-operator/test/kube/proxy"
)

// change is how long a node takes to change its machine: four PFs with seven VFs each
// take longer.
const change = 5 * time.Second

// BenchmarkRollout measures how long it takes until every node of a cluster has had its
// turn, against the schedule that has no time between turns: as many rounds as it takes,
// each as long as a node takes to change its machine. Every node has a pod that must leave
// first. The daemons, and the kubelets that end pods, are scripted; what they take counts.
func BenchmarkRollout(b *testing.B) {
	for _, size := range []struct{ nodes, atOnce int }{{200, 20}, {1000, 50}} {
		b.Run(fmt.Sprintf("%d nodes, %d at a time", size.nodes, size.atOnce), func(b *testing.B) {
			r := newTurns(b, size.nodes, size.atOnce)
			var took time.Duration
			for b.Loop() {
				took += r.round()
			}
			took /= time.Duration(b.N)
			schedule := time.Duration((size.nodes+size.atOnce-1)/size.atOnce) * change
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(took.Seconds(), "s/rollout")
			b.ReportMetric(took.Seconds()/schedule.Seconds(), "of-schedule")
			b.ReportMetric(float64(r.writes())/float64(size.nodes*b.N), "writes/node")
		})
	}
}

// turns is a cluster whose nodes take turns.
type turns struct {
	b     *testing.B
	ns    string
	api   client.WithWatch
	proxy *proxy.Proxy
	names []string

	// held are told of changes of current-state, by node.
	held map[string]chan string
}

func newTurns(b *testing.B, nodes, atOnce int) *turns {
	b.Helper()
	cluster := kube.Start(b)
	r := &turns{b: b, ns: cluster.Namespace(b), api: cluster.Client(), proxy: proxy.New(1), held: map[string]chan string{}}
	limit := intstr.FromInt(atOnce)
	r.must(r.api.Create(b.Context(), &sriovv1.SriovNetworkPoolConfig{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: "all"}, Spec: sriovv1.SriovNetworkPoolConfigSpec{MaxUnavailable: &limit},
	}))
	for i := range nodes {
		name := fmt.Sprintf("node-%04d", i)
		r.names = append(r.names, name)
		r.held[name] = make(chan string, 16)
	}
	r.each(func(ctx context.Context, name string) error {
		ready := corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionTrue}
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{ready}}}
		if err := r.api.Create(ctx, node); err != nil {
			return err
		}
		return r.api.Create(ctx, r.state(name))
	})
	r.operate(cluster)
	go r.follow()
	go r.endPods()
	return r
}

// operate runs the controllers of drains, behind a proxy that counts.
func (r *turns) operate(cluster *kube.Cluster) {
	r.b.Helper()
	scheme, err := kube.Scheme()
	r.must(err)
	skip := true
	mgr, err := ctrl.NewManager(cluster.Behind(r.b, r.proxy), ctrl.Options{
		Scheme: scheme, Cache: cache.Options{DefaultNamespaces: map[string]cache.Config{r.ns: {}}},
		Metrics: server.Options{BindAddress: "0"}, Controller: config.Controller{SkipNameValidation: &skip},
	})
	r.must(err)
	r.must(drain.Add(mgr, drain.Options{
		Namespace: r.ns, Workers: 16, Deadline: time.Hour, Retry: drain.DefaultRetry, Now: time.Now, Registry: prometheus.NewRegistry(),
	}))
	ctx, stop := context.WithCancel(r.b.Context())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	r.b.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			r.b.Error(err)
		}
	})
}

func (r *turns) must(err error) {
	r.b.Helper()
	if err != nil {
		r.b.Fatal(err)
	}
}

func (r *turns) state(node string) *sriovv1.SriovNetworkNodeState {
	return &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: node}}
}

func (r *turns) pod(node string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: "on-" + node},
		Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "main", Image: "example.com/main"}}},
	}
}

// each does something for every node, many at a time.
func (r *turns) each(do func(ctx context.Context, node string) error) {
	r.b.Helper()
	group, ctx := errgroup.WithContext(r.b.Context())
	group.SetLimit(16)
	for _, name := range r.names {
		group.Go(func() error { return do(ctx, name) })
	}
	r.must(group.Wait())
}

// follow tells daemons of changes of their node's current-state.
func (r *turns) follow() {
	last := map[string]string{}
	for r.b.Context().Err() == nil {
		w, err := r.api.Watch(r.b.Context(), &sriovv1.SriovNetworkNodeStateList{}, client.InNamespace(r.ns))
		if err != nil {
			return
		}
		for e := range w.ResultChan() {
			o, ok := e.Object.(client.Object)
			if !ok {
				continue
			}
			if held := o.GetAnnotations()[sriovv1.AnnotationCurrentState]; last[o.GetName()] != held {
				last[o.GetName()] = held
				r.held[o.GetName()] <- held
			}
		}
	}
}

// endPods plays the kubelets: a pod that was asked to leave ends at once.
func (r *turns) endPods() {
	for r.b.Context().Err() == nil {
		w, err := r.api.Watch(r.b.Context(), &corev1.PodList{}, client.InNamespace(r.ns))
		if err != nil {
			return
		}
		for e := range w.ResultChan() {
			if pod, ok := e.Object.(*corev1.Pod); ok && !pod.DeletionTimestamp.IsZero() {
				go func() { _ = r.api.Delete(r.b.Context(), pod, client.GracePeriodSeconds(0)) }()
			}
		}
	}
}

// round lets all nodes ask at once, and returns how long it took until the last has its
// machine changed.
func (r *turns) round() time.Duration {
	r.b.Helper()
	r.each(func(ctx context.Context, name string) error {
		for len(r.held[name]) > 0 {
			<-r.held[name]
		}
		return r.api.Create(ctx, r.pod(name))
	})
	r.proxy.Reset()
	began := time.Now()
	asking := make(chan struct{}, 16)
	group, ctx := errgroup.WithContext(r.b.Context())
	for _, name := range r.names {
		group.Go(func() error {
			asking <- struct{}{}
			err := r.ask(ctx, name, sriovv1.DrainRequired)
			<-asking
			if err != nil {
				return err
			}
			if err := r.await(ctx, name, sriovv1.DrainComplete); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(change):
			}
			return r.ask(ctx, name, sriovv1.DrainIdle)
		})
	}
	r.must(group.Wait())
	took := time.Since(began)
	r.each(func(ctx context.Context, name string) error { return r.await(ctx, name, sriovv1.DrainIdle) })
	return took
}

// await waits until a node's current-state is this.
func (r *turns) await(ctx context.Context, node, want string) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case held := <-r.held[node]:
			if held == want {
				return nil
			}
		}
	}
}

// ask does what a daemon does: the plan with the pod that must leave, the request, and its
// copy for others.
func (r *turns) ask(ctx context.Context, name, request string) error {
	patches := []struct {
		object client.Object
		status bool
		text   any
	}{
		{r.state(name), true, map[string]any{"status": sriovv1.SriovNetworkNodeStateStatus{Plan: &sriovv1.NodePlan{
			Disrupts: sriovv1.DisruptionPods, AffectedPods: []sriovv1.AffectedPod{{Namespace: r.ns, Name: "on-" + name}},
		}}}},
		{&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}, false, annotations(sriovv1.AnnotationNodeDrain, request)},
		{r.state(name), false, annotations(sriovv1.AnnotationDesiredState, request)},
	}
	if request == sriovv1.DrainIdle {
		patches = patches[1:]
	}
	for _, p := range patches {
		text, err := json.Marshal(p.text)
		if err != nil {
			return err
		}
		for err = apierrors.NewConflict(corev1.Resource(""), name, nil); apierrors.IsConflict(err); {
			if p.status {
				err = r.api.Status().Patch(ctx, p.object, client.RawPatch(types.MergePatchType, text))
			} else {
				err = r.api.Patch(ctx, p.object, client.RawPatch(types.MergePatchType, text))
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func annotations(key, value string) any {
	return map[string]any{"metadata": map[string]any{"annotations": map[string]string{key: value}}}
}

// writes is how many requests of the controllers changed something, without events.
func (r *turns) writes() int {
	n := 0
	for _, q := range r.proxy.Requests() {
		if proxy.Writes(q) && q.Resource != "events" {
			n++
		}
	}
	return n
}
