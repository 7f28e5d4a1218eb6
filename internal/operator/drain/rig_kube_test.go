// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package drain_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
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

var plane = kube.Share(kube.WithControllerManager(), kube.WithScheduler(), kube.WithKwok(0))

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.FromSlogHandler(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	os.Exit(plane.Main(m))
}

// patient is how long a test waits for the operator. A watch that breaks again and again is
// tried again after up to half a minute (k8s.io/client-go, tools/cache, reflector).
const patient = 90 * time.Second

// resourceName is what pods ask for that want a VF.
const resourceName = "openshift.io/vf"

// rig is a namespace with an operator that drains the nodes of one test alone.
type rig struct {
	t       *testing.T
	cluster *kube.Cluster
	ns      string
	api     client.WithWatch
	proxy   *proxy.Proxy
	// rules are what operators that start suffer from the beginning.
	rules []proxy.Rule
}

// newRig makes a namespace without an operator.
func newRig(t *testing.T, cluster *kube.Cluster) *rig {
	t.Helper()
	r := &rig{t: t, cluster: cluster, ns: cluster.Namespace(t), api: cluster.Client()}
	r.create(&sriovv1.SriovOperatorConfig{ObjectMeta: r.meta(sriovv1.DefaultConfigName)})
	return r
}

// newOperator makes a namespace with an operator.
func newOperator(t *testing.T, edits ...func(*drain.Options)) *rig {
	t.Helper()
	r := newRig(t, plane.Cluster(t))
	r.proxy, _ = r.start(edits...)
	return r
}

// start starts an operator behind a proxy of its own. It ends with the test, or before.
func (r *rig) start(edits ...func(*drain.Options)) (*proxy.Proxy, func()) {
	r.t.Helper()
	scheme, err := kube.Scheme()
	if err != nil {
		r.t.Fatal(err)
	}
	skip := true
	hostile := proxy.New(1, r.rules...)
	mgr, err := ctrl.NewManager(r.cluster.Behind(r.t, hostile), ctrl.Options{
		Scheme: scheme, Cache: cache.Options{DefaultNamespaces: map[string]cache.Config{r.ns: {}}},
		Metrics: server.Options{BindAddress: "0"}, Controller: config.Controller{SkipNameValidation: &skip},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	o := drain.Options{
		Namespace: r.ns, Workers: 8, Deadline: time.Hour, Retry: 200 * time.Millisecond, Now: time.Now, Registry: prometheus.NewRegistry(),
	}
	for _, edit := range edits {
		edit(&o)
	}
	if err := drain.Add(mgr, o); err != nil {
		r.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(r.t.Context())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	ended := false
	end := func() {
		if ended {
			return
		}
		ended = true
		stop()
		if err := <-done; err != nil {
			r.t.Errorf("the manager ended with %v", err)
		}
	}
	r.t.Cleanup(end)
	return hostile, end
}

func (r *rig) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: r.ns, Name: name}
}

func (r *rig) create(object client.Object) {
	r.t.Helper()
	if err := r.api.Create(r.t.Context(), object); err != nil {
		r.t.Fatal(err)
	}
}

// remove deletes an object at once, without waiting for a kubelet.
func (r *rig) remove(object client.Object) {
	r.t.Helper()
	if err := client.IgnoreNotFound(r.api.Delete(r.t.Context(), object, client.GracePeriodSeconds(0))); err != nil {
		r.t.Fatal(err)
	}
}

// edit changes an object until no other writer interferes.
func edit[T client.Object](r *rig, object T, change func(T)) {
	r.t.Helper()
	for {
		if err := r.api.Get(r.t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			r.t.Fatal(err)
		}
		change(object)
		err := r.api.Update(r.t.Context(), object)
		if err == nil {
			return
		}
		if !apierrors.IsConflict(err) {
			r.t.Fatal(err)
		}
	}
}

// nodeOf is a Ready node. With a kubelet (kwok) its pods run and end by themselves;
// without one they end when the test says so.
func nodeOf(name, test string, kubelet bool) *corev1.Node {
	has := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("32"), corev1.ResourceMemory: resource.MustParse("256Gi"),
		corev1.ResourcePods: resource.MustParse("110"), resourceName: resource.MustParse("64"),
	}
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"test": test, corev1.LabelHostname: name, corev1.LabelOSStable: "linux"}},
		Status: corev1.NodeStatus{Capacity: has, Allocatable: has.DeepCopy(), Conditions: []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now(),
		}}},
	}
	if kubelet {
		n.Annotations = map[string]string{"kwok.x-k8s.io/node": "fake"}
	}
	return n
}

// node makes a node with a kubelet, and its node state as a daemon finds it.
func (r *rig) node(short string, edits ...func(*corev1.Node, *sriovv1.SriovNetworkNodeState)) string {
	r.t.Helper()
	name := r.ns + "-" + short
	node := nodeOf(name, r.ns, true)
	state := &sriovv1.SriovNetworkNodeState{ObjectMeta: r.meta(name)}
	for _, edit := range edits {
		edit(node, state)
	}
	status := state.Status
	r.create(node)
	r.create(state)
	if status.Plan != nil {
		before := state.DeepCopy()
		state.Status = status
		if err := r.api.Status().Patch(r.t.Context(), state, client.MergeFrom(before)); err != nil {
			r.t.Fatal(err)
		}
	}
	r.t.Cleanup(func() {
		if err := client.IgnoreNotFound(r.api.Delete(context.Background(), node)); err != nil {
			r.t.Error(err)
		}
	})
	return name
}

// without a kubelet, pods end when the test says so. The controller manager calls such a
// node lost after 40 seconds.
func withoutKubelet(n *corev1.Node, _ *sriovv1.SriovNetworkNodeState) { n.Annotations = nil }

// annotate sets annotations; an empty value takes one away.
func (r *rig) annotate(object client.Object, pairs ...string) {
	r.t.Helper()
	if err := annotate(r.t.Context(), r.api, object, pairs...); err != nil {
		r.t.Fatal(err)
	}
}

func annotate(ctx context.Context, api client.Client, object client.Object, pairs ...string) error {
	values := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		values[pairs[i]] = pairs[i+1]
		if pairs[i+1] == "" {
			values[pairs[i]] = nil
		}
	}
	text, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": values}})
	if err != nil {
		return err
	}
	return api.Patch(ctx, object, client.RawPatch(types.MergePatchType, text))
}

func (r *rig) stateOf(node string) *sriovv1.SriovNetworkNodeState {
	return &sriovv1.SriovNetworkNodeState{ObjectMeta: r.meta(node)}
}

// ask lets a node's daemon ask: for what, after its plan says who is affected.
func (r *rig) ask(node, request string, affected ...*corev1.Pod) {
	r.t.Helper()
	if err := ask(r.t.Context(), r.api, r.stateOf(node), request, affected...); err != nil {
		r.t.Fatal(err)
	}
}

func ask(ctx context.Context, api client.Client, state *sriovv1.SriovNetworkNodeState, request string, affected ...*corev1.Pod) error {
	if request != sriovv1.DrainIdle {
		plan := sriovv1.NodePlan{Disrupts: sriovv1.DisruptionPods}
		for _, p := range affected {
			plan.AffectedPods = append(plan.AffectedPods, sriovv1.AffectedPod{Namespace: p.Namespace, Name: p.Name, UID: string(p.UID)})
		}
		text, err := json.Marshal(map[string]any{"status": map[string]any{"plan": plan}})
		if err != nil {
			return err
		}
		if err := api.Status().Patch(ctx, state, client.RawPatch(types.MergePatchType, text)); err != nil {
			return err
		}
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: state.Name}}
	if err := annotate(ctx, api, node, sriovv1.AnnotationNodeDrain, request); err != nil {
		return err
	}
	return annotate(ctx, api, state, sriovv1.AnnotationDesiredState, request)
}

// pod makes a running pod on a node that holds a VF.
func (r *rig) pod(node, name string, edits ...func(*corev1.Pod)) *corev1.Pod {
	r.t.Helper()
	p := podOn(r.ns, node, name)
	for _, edit := range edits {
		edit(p)
	}
	r.create(p)
	p.Status.Phase = corev1.PodRunning
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	for {
		err := r.api.Status().Update(r.t.Context(), p)
		if err == nil {
			return p
		}
		if !apierrors.IsConflict(err) {
			r.t.Fatal(err)
		}
		if err := r.api.Get(r.t.Context(), client.ObjectKeyFromObject(p), p); err != nil {
			r.t.Fatal(err)
		}
		if p.Status.Phase == corev1.PodRunning {
			return p
		}
		p.Status.Phase = corev1.PodRunning
	}
}

func podOn(ns, node, name string) *corev1.Pod {
	one := corev1.ResourceList{resourceName: resource.MustParse("1")}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{
			NodeName:    node,
			Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}},
			Containers: []corev1.Container{{
				Name: "main", Image: "example.com/main", Resources: corev1.ResourceRequirements{Requests: one, Limits: one},
			}},
		},
	}
}

// plain takes the VF from a pod.
func plain(p *corev1.Pod) { p.Spec.Containers[0].Resources = corev1.ResourceRequirements{} }

// pool makes a pool of the nodes that carry a label with the pool's name.
func (r *rig) pool(name string, limit *intstr.IntOrString, edits ...func(*sriovv1.SriovNetworkPoolConfig)) *sriovv1.SriovNetworkPoolConfig {
	r.t.Helper()
	p := &sriovv1.SriovNetworkPoolConfig{ObjectMeta: r.meta(name), Spec: sriovv1.SriovNetworkPoolConfigSpec{
		NodeSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"test": r.ns, name: "yes"}}, MaxUnavailable: limit,
	}}
	for _, edit := range edits {
		edit(p)
	}
	r.create(p)
	return p
}

func atMost(n int32) *intstr.IntOrString {
	v := intstr.FromInt32(n)
	return &v
}

// in puts a node into pools.
func in(pools ...string) func(*corev1.Node, *sriovv1.SriovNetworkNodeState) {
	return func(n *corev1.Node, _ *sriovv1.SriovNetworkNodeState) {
		for _, p := range pools {
			n.Labels[p] = "yes"
		}
	}
}

// await waits until what is looked at has nothing to complain of.
func (r *rig) await(what string, look func() string) {
	r.t.Helper()
	deadline := time.Now().Add(patient)
	for {
		complaint := look()
		if complaint == "" {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%s: still %s", what, complaint)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// look reads a node and its state.
func (r *rig) look(name string) (*corev1.Node, *sriovv1.SriovNetworkNodeState) {
	r.t.Helper()
	node, state := &corev1.Node{}, r.stateOf(name)
	if err := r.api.Get(r.t.Context(), client.ObjectKey{Name: name}, node); err != nil {
		r.t.Fatal(err)
	}
	if err := r.api.Get(r.t.Context(), client.ObjectKeyFromObject(state), state); err != nil {
		r.t.Fatal(err)
	}
	return node, state
}

// awaitHeld waits until a node's current-state is this.
func (r *rig) awaitHeld(node, want string) {
	r.t.Helper()
	r.await(node, func() string {
		_, state := r.look(node)
		if got := state.Annotations[sriovv1.AnnotationCurrentState]; got != want {
			return fmt.Sprintf("%q (%s), want %q", got, state.Annotations[sriovv1.AnnotationDrainMessage], want)
		}
		return ""
	})
}

// awaitMessage waits until a node's message holds all these words.
func (r *rig) awaitMessage(node string, words ...string) {
	r.t.Helper()
	r.await("message of "+node, func() string {
		_, state := r.look(node)
		return lacking(state.Annotations[sriovv1.AnnotationDrainMessage], words)
	})
}

func lacking(got string, words []string) string {
	for _, word := range words {
		if !strings.Contains(got, word) {
			return fmt.Sprintf("%q, want it to hold %q", got, word)
		}
	}
	return ""
}

// awaitPool waits until a pool's condition Ready has a reason and its message these words.
func (r *rig) awaitPool(name, reason string, words ...string) {
	r.t.Helper()
	r.await("pool "+name, func() string {
		var p sriovv1.SriovNetworkPoolConfig
		if err := r.api.Get(r.t.Context(), client.ObjectKey{Namespace: r.ns, Name: name}, &p); err != nil {
			return err.Error()
		}
		c := meta.FindStatusCondition(p.Status.Conditions, sriovv1.ConditionReady)
		switch {
		case c == nil:
			return "without the condition"
		case c.Reason != reason:
			return c.Reason + ": " + c.Message
		case (c.Status == metav1.ConditionTrue) != (reason == sriovv1.ReasonNodesTakeTurns):
			return string(c.Status) + " with " + c.Reason
		case p.Status.ObservedGeneration != p.Generation:
			return "about another generation"
		}
		return lacking(c.Message, words)
	})
}

// gate is what keeps pods from a node, in words.
func gate(n *corev1.Node) string {
	var all []string
	if n.Spec.Unschedulable {
		all = append(all, "cordoned")
	}
	if n.Annotations[sriovv1.AnnotationCordoned] != "" {
		all = append(all, "by us")
	}
	if slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == sriovv1.TaintDraining }) {
		all = append(all, "tainted")
	}
	return strings.Join(all, " ")
}

// alive are the names of the namespace's pods that are not asked to leave, sorted.
func (r *rig) alive() []string {
	r.t.Helper()
	var pods corev1.PodList
	if err := r.api.List(r.t.Context(), &pods, client.InNamespace(r.ns)); err != nil {
		r.t.Fatal(err)
	}
	var out []string
	for i := range pods.Items {
		if pods.Items[i].DeletionTimestamp.IsZero() {
			out = append(out, pods.Items[i].Name)
		}
	}
	slices.Sort(out)
	return out
}

// writes are the requests of the operator that changed something, without events.
func (r *rig) writes() []string {
	var out []string
	for _, q := range r.proxy.Requests() {
		if proxy.Writes(q) && q.Resource != "events" {
			out = append(out, q.Verb+" "+q.Resource+"/"+q.Subresource+" "+q.Name)
		}
	}
	return out
}
