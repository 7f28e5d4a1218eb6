// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package nodepolicy_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/operator/nodepolicy"
	"github.com/kubeovn/sriov-network-operator/internal/operator/pluginconfig"
	"github.com/kubeovn/sriov-network-operator/test/kube"
	"github.com/kubeovn/sriov-network-operator/test/kube/proxy"
)

var plane = kube.Share()

func TestMain(m *testing.M) { os.Exit(plane.Main(m)) }

// patient is how long a test waits for the operator. A watch that breaks again and again is
// tried again after up to half a minute (k8s.io/client-go, tools/cache, reflector).
const patient = 90 * time.Second

// operator is a running operator that looks after the nodes of one test alone.
type operator struct {
	t     *testing.T
	ns    string
	api   client.WithWatch
	proxy *proxy.Proxy
	// metrics are the operator's.
	metrics *prometheus.Registry
	// through leads to the API server by the proxy.
	through *rest.Config
	// stop ends the operator and returns when it has ended.
	stop func()
}

// newOperator starts an operator behind a proxy with rules. Its nodes carry a label with
// the name of its namespace.
func newOperator(t *testing.T, staleDelay time.Duration, rules ...proxy.Rule) *operator {
	t.Helper()
	cluster := plane.Cluster(t)
	o := &operator{t: t, ns: cluster.Namespace(t), api: cluster.Client(), proxy: proxy.New(1, rules...)}
	o.create(&sriovv1.SriovOperatorConfig{
		ObjectMeta: o.meta(sriovv1.DefaultConfigName),
		Spec:       sriovv1.SriovOperatorConfigSpec{ConfigDaemonNodeSelector: map[string]string{"test": o.ns}},
	})
	o.through = cluster.Behind(t, o.proxy)
	o.run(staleDelay)
	return o
}

// run runs the operator until stop or the end of the test.
func (o *operator) run(staleDelay time.Duration) {
	o.t.Helper()
	scheme, err := kube.Scheme()
	if err != nil {
		o.t.Fatal(err)
	}
	skip := true
	mgr, err := ctrl.NewManager(o.through, ctrl.Options{
		Scheme: scheme, Cache: cache.Options{DefaultNamespaces: map[string]cache.Config{o.ns: {}}},
		Metrics: server.Options{BindAddress: "0"}, Controller: config.Controller{SkipNameValidation: &skip},
	})
	if err != nil {
		o.t.Fatal(err)
	}
	plugins, err := pluginconfig.Add(mgr, pluginconfig.Options{Namespace: o.ns, Workers: 4, Now: time.Now})
	if err != nil {
		o.t.Fatal(err)
	}
	o.metrics = prometheus.NewRegistry()
	err = nodepolicy.Add(mgr, nodepolicy.Options{
		Namespace: o.ns, StaleDelay: staleDelay, Workers: 4, Now: time.Now, Registry: o.metrics,
	}, plugins)
	if err != nil {
		o.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(o.t.Context()))
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	o.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			o.t.Errorf("the manager ended with %v", err)
		}
	})
	o.t.Cleanup(o.stop)
}

// newOperatorThatHolds starts an operator that learns of the first change of a policy, and of
// all later ones at once when a channel is closed, on however slow a machine they are made.
func newOperatorThatHolds(t *testing.T, until <-chan struct{}) *operator {
	t.Helper()
	policies := proxy.On("sriovnetworknodepolicies", "watch")
	o := newOperator(t, time.Hour, proxy.Rule{Match: policies, Fault: proxy.End{Events: 1}})
	o.await("the start", func() string {
		if o.renderings() == 0 {
			return "nothing rendered"
		}
		return ""
	})
	o.proxy.Script(proxy.Rule{Match: policies, Fault: proxy.Hold{Until: until}})
	return o
}

func (o *operator) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: o.ns, Name: name}
}

func (o *operator) create(object client.Object) {
	o.t.Helper()
	if err := o.api.Create(o.t.Context(), object); err != nil {
		o.t.Fatal(err)
	}
}

// edit changes an object until no other writer interferes.
func edit[T client.Object](o *operator, object T, change func(T)) {
	o.t.Helper()
	for {
		if err := o.api.Get(o.t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			o.t.Fatal(err)
		}
		change(object)
		err := o.api.Update(o.t.Context(), object)
		if err == nil {
			return
		}
		if !apierrors.IsConflict(err) {
			o.t.Fatal(err)
		}
	}
}

// node makes a node that the operator looks after.
func (o *operator) node(short string) string {
	o.t.Helper()
	name := o.ns + "-" + short
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"test": o.ns}}}
	o.create(node)
	o.t.Cleanup(func() {
		if err := client.IgnoreNotFound(o.api.Delete(context.Background(), node)); err != nil {
			o.t.Error(err)
		}
	})
	return name
}

// nic is a listed NIC as a daemon reports it.
func nic(port int) sriovv1.InterfaceExt {
	return sriovv1.InterfaceExt{
		Name: fmt.Sprintf("ens1f%d", port), PciAddress: fmt.Sprintf("0000:d8:00.%d", port), Driver: "mlx5_core",
		Vendor: "15b3", DeviceID: "1017", TotalVfs: 16, Mtu: 1500, LinkType: "ETH",
	}
}

// publish reports what a node has, as its daemon does.
func (o *operator) publish(node string, nics ...sriovv1.InterfaceExt) {
	o.t.Helper()
	o.await("node state "+node, func() string {
		_, err := o.get(node)
		return text(err)
	})
	o.report(node, func(s *sriovv1.SriovNetworkNodeStateStatus) { s.Interfaces = nics })
}

// synced reports that a node is as desired.
func (o *operator) synced(node string) {
	o.t.Helper()
	o.report(node, func(s *sriovv1.SriovNetworkNodeStateStatus) { s.SyncStatus = sriovv1.SyncStatusSucceeded })
}

func (o *operator) report(node string, change func(*sriovv1.SriovNetworkNodeStateStatus)) {
	o.t.Helper()
	for {
		state, err := o.get(node)
		if err != nil {
			o.t.Fatal(err)
		}
		change(&state.Status)
		state.Status.ObservedGeneration = state.Generation
		err = o.api.Status().Update(o.t.Context(), state)
		if err == nil {
			return
		}
		if !apierrors.IsConflict(err) {
			o.t.Fatal(err)
		}
	}
}

func (o *operator) get(node string) (*sriovv1.SriovNetworkNodeState, error) {
	state := &sriovv1.SriovNetworkNodeState{ObjectMeta: o.meta(node)}
	return state, o.api.Get(o.t.Context(), client.ObjectKeyFromObject(state), state)
}

// policy makes a policy for the PFs of these names.
func (o *operator) policy(name string, priority, vfs int, pfs ...string) *sriovv1.SriovNetworkNodePolicy {
	p := &sriovv1.SriovNetworkNodePolicy{ObjectMeta: o.meta(name), Spec: sriovv1.SriovNetworkNodePolicySpec{
		ResourceName: name, NodeSelector: map[string]string{}, Priority: &priority, NumVfs: vfs,
		NicSelector: sriovv1.SriovNetworkNicSelector{PfNames: pfs},
	}}
	return p
}

// await waits until what is looked at has nothing to complain of.
func (o *operator) await(what string, look func() string) {
	o.t.Helper()
	deadline := time.Now().Add(patient)
	for {
		complaint := look()
		if complaint == "" {
			return
		}
		if time.Now().After(deadline) {
			o.t.Fatalf("%s: still %s; faults: %v", what, complaint, o.proxy.Struck())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// awaitVFs waits until the spec of a node has these numbers of VFs, in the order of PFs.
func (o *operator) awaitVFs(node string, want ...int) {
	o.t.Helper()
	o.await("spec of "+node, func() string {
		state, err := o.get(node)
		if err != nil {
			return err.Error()
		}
		got := []int{}
		for _, pf := range state.Spec.Interfaces {
			got = append(got, pf.NumVfs)
		}
		if fmt.Sprint(got) == fmt.Sprint(want) {
			return ""
		}
		return fmt.Sprintf("%v VFs, want %v", got, want)
	})
}

// awaitQuiet waits until the operator has nothing more to do.
func (o *operator) awaitQuiet() {
	o.t.Helper()
	if err := o.proxy.Quiet(o.t.Context(), 1500*time.Millisecond); err != nil {
		o.t.Fatal(err)
	}
}

// writes are the requests that changed something, without events and status of policies.
func (o *operator) writes() map[string]int {
	out := map[string]int{}
	for _, r := range o.proxy.Requests() {
		if proxy.Writes(r) && r.Resource != "events" && r.Resource != "leases" {
			out[r.Verb+" "+r.Resource+"/"+r.Subresource]++
		}
	}
	return out
}

// renderings is how often every node was rendered.
func (o *operator) renderings() int {
	o.t.Helper()
	families, err := o.metrics.Gather()
	if err != nil {
		o.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "sriov_operator_full_renderings_total" {
			return int(f.GetMetric()[0].GetCounter().GetValue())
		}
	}
	o.t.Fatal("the metric is not served")
	return 0
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
