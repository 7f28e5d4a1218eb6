// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	render "github.com/kubeovn/sriov-network-operator/internal/render/network"
	"github.com/kubeovn/sriov-network-operator/test/kube"
	"github.com/kubeovn/sriov-network-operator/test/kube/proxy"
)

// TestTheEndIsTheSame runs the program as it is deployed, as processes, each in a cluster of
// its own. Whatever happens on the way, all of them end as the one in which nothing does.
func TestTheEndIsTheSame(t *testing.T) {
	program := filepath.Join(t.TempDir(), "sriov-network-operator")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the operator: %v\n%s", err, out)
	}
	calm := newWorld(t, program)
	undisturbed := calm.replica()
	calm.change()
	want := calm.settled()
	undisturbed.kill()

	t.Run("with a hostile API", func(t *testing.T) {
		for _, seed := range []uint64{1, 2} {
			t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, program)
				w.seed, w.rules = seed, proxy.Storm()
				r := w.replica()
				w.change()
				w.awaitEnd(want)
				if struck := r.proxy.Struck(); len(struck) < 5 {
					t.Errorf("only these faults struck: %v", struck)
				}
			})
		}
	})
	t.Run("with a leader that is killed", func(t *testing.T) {
		never := make(chan struct{})
		for name, last := range map[string]proxy.Rule{
			"before its first write":       {Fault: proxy.Hold{Until: never}},
			"at its third write":           {After: 2, Fault: proxy.Hold{Until: never}},
			"late":                         {After: 20, Fault: proxy.Hold{Until: never}},
			"when an answer does not come": {After: 5, Fault: proxy.Cut{}},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				last.Match = works
				w := newWorld(t, program)
				w.rules = []proxy.Rule{last}
				first := w.replica()
				w.awaitLeader("")
				w.rules = nil
				w.replica()
				w.change()
				await(t, "the moment", func() string {
					if len(first.proxy.Struck()) == 0 {
						return fmt.Sprintf("to come after %v", first.proxy.Counts())
					}
					return ""
				})
				holder := w.leader()
				first.kill()
				killed := time.Now()
				w.awaitLeader(holder)
				t.Logf("the other replica led %.1f s after the kill", time.Since(killed).Seconds())
				w.awaitEnd(want)
			})
		}
	})
}

// works reports whether a request is one of the controllers' writes.
func works(r proxy.Request) bool {
	return proxy.Writes(r) && r.Resource != "leases" && r.Resource != "events"
}

// world is a cluster with an operator's objects, and the nodes that it looks after.
type world struct {
	t       *testing.T
	cluster *kube.Cluster
	api     client.Client
	program string
	ns      string
	seed    uint64
	rules   []proxy.Rule
}

// nodesOfAWorld are the names of nodes after the namespace's.
func nodesOfAWorld() []string { return []string{"a", "b", "c", "d", "e", "f"} }

func newWorld(t *testing.T, program string) *world {
	t.Helper()
	ctrl.SetLogger(logr.Discard()) // clients would complain
	cluster := kube.Start(t, kube.WithNetworkAttachments())
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	if err := render.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	api, err := client.New(cluster.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, cluster: cluster, api: api, program: program, ns: cluster.Namespace(t), seed: 1}
	w.create(&sriovv1.SriovOperatorConfig{
		ObjectMeta: w.meta(sriovv1.DefaultConfigName), Spec: sriovv1.SriovOperatorConfigSpec{ConfigDaemonNodeSelector: map[string]string{"world": w.ns}},
	})
	for _, short := range nodesOfAWorld() {
		name := w.ns + "-" + short
		w.create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"world": w.ns, "half": fmt.Sprint(short < "d")}}})
		state := &sriovv1.SriovNetworkNodeState{ObjectMeta: w.meta(name)}
		w.create(state)
		state.Status.Interfaces = []sriovv1.InterfaceExt{port(0), port(1)}
		if err := api.Status().Update(t.Context(), state); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// port is a port of a listed NIC.
func port(n int) sriovv1.InterfaceExt {
	return sriovv1.InterfaceExt{
		Name: fmt.Sprintf("ens1f%d", n), PciAddress: fmt.Sprintf("0000:d8:00.%d", n), Driver: "mlx5_core",
		Vendor: "15b3", DeviceID: "1017", TotalVfs: 16, Mtu: 1500, LinkType: sriovv1.LinkTypeETH,
	}
}

func (w *world) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: w.ns, Name: name}
}

func (w *world) create(o client.Object) {
	w.t.Helper()
	if err := w.api.Create(w.t.Context(), o); err != nil {
		w.t.Fatal(err)
	}
}

// change does what people do: it makes policies, entries and networks, some of them bad, and
// changes its mind.
func (w *world) change() {
	w.t.Helper()
	policy := func(name string, priority, vfs int, half map[string]string, pf string) *sriovv1.SriovNetworkNodePolicy {
		return &sriovv1.SriovNetworkNodePolicy{ObjectMeta: w.meta(name), Spec: sriovv1.SriovNetworkNodePolicySpec{
			ResourceName: name, NodeSelector: half, Priority: &priority, NumVfs: vfs, NicSelector: sriovv1.SriovNetworkNicSelector{PfNames: []string{pf}},
		}}
	}
	all, half := map[string]string{}, map[string]string{"half": "true"}
	for _, p := range []*sriovv1.SriovNetworkNodePolicy{
		policy("wide", 90, 3, all, "ens1f0"), policy("narrow", 10, 4, half, "ens1f0"), policy("gone", 5, 7, all, "ens1f1"), policy("none", 5, 2, map[string]string{"no": "node"}, "ens1f1"),
	} {
		w.create(p)
	}
	claims := &corev1.ConfigMap{ObjectMeta: w.meta(sriovv1.ConfigMapSriovConfig), Data: map[string]string{
		w.ns + "-b":      "interfaces: [{nicName: ens1f1, numVfs: 6, resourceName: userspace, deviceType: vfio-pci}]",
		w.ns + "-nobody": "interfaces: [{nicName: ens1f1, numVfz: 6}]",
	}}
	w.create(claims)
	network := func(name string, spec sriovv1.SriovNetworkSpec) *sriovv1.SriovNetwork {
		return &sriovv1.SriovNetwork{ObjectMeta: w.meta(name), Spec: spec}
	}
	w.create(network("plain", sriovv1.SriovNetworkSpec{ResourceName: "wide", Vlan: 5}))
	w.create(network("fast", sriovv1.SriovNetworkSpec{ResourceName: "userspace", KubeOVN: &sriovv1.KubeOVNConfig{}}))
	w.create(network("bad", sriovv1.SriovNetworkSpec{ResourceName: "wide", IPAM: "{"}))
	w.create(&sriovv1.OVSNetwork{ObjectMeta: w.meta("switched"), Spec: sriovv1.OVSNetworkSpec{ResourceName: "narrow"}})

	if err := w.api.Delete(w.t.Context(), policy("gone", 0, 0, nil, "")); err != nil {
		w.t.Fatal(err)
	}
	mend(w, policy("wide", 0, 0, nil, ""), func(p *sriovv1.SriovNetworkNodePolicy) { p.Spec.NumVfs, p.Spec.Mtu = 8, 9000 })
	mend(w, network("plain", sriovv1.SriovNetworkSpec{}), func(n *sriovv1.SriovNetwork) { n.Spec.Vlan = 7 })
	mend(w, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: w.ns + "-f"}}, func(n *corev1.Node) { n.Labels["half"] = "true" })
}

// mend changes an object as it is now.
func mend[T client.Object](w *world, object T, change func(T)) {
	w.t.Helper()
	for {
		if err := w.api.Get(w.t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			w.t.Fatal(err)
		}
		change(object)
		err := w.api.Update(w.t.Context(), object)
		if err == nil {
			return
		}
		if !apierrors.IsConflict(err) {
			w.t.Fatal(err)
		}
	}
}

// replica is a pod of the program behind a proxy of its own: a process that is started
// again when it ends, as one does that cannot renew its lease.
type replica struct {
	proxy *proxy.Proxy
	// kill ends it for good, without a warning.
	kill func()
}

func (w *world) replica() *replica {
	w.t.Helper()
	r := &replica{proxy: proxy.New(w.seed, w.rules...)}
	dir := w.t.TempDir()
	kubeconfig, logs := filepath.Join(dir, "kubeconfig"), filepath.Join(dir, "log")
	if err := kube.WriteKubeconfig(kubeconfig, w.cluster.Behind(w.t, r.proxy)); err != nil {
		w.t.Fatal(err)
	}
	log, err := os.Create(logs)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	ended, starts := make(chan struct{}), 0
	go func() {
		defer close(ended)
		for ; ctx.Err() == nil; starts++ {
			process := exec.CommandContext(ctx, w.program, "-namespace", w.ns, "-metrics-bind-address", "0", "-health-probe-bind-address", "0", "-workers", "4")
			process.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
			process.Stdout, process.Stderr = log, log
			_ = process.Run() // what it says is in the log
		}
	}()
	r.kill = func() {
		cancel() // SIGKILL
		<-ended
	}
	w.t.Cleanup(func() {
		r.kill()
		_ = log.Close()
		w.t.Logf("a replica was started %d times; faults: %v", starts, r.proxy.Struck())
		if w.t.Failed() {
			text, _ := os.ReadFile(logs)
			w.t.Logf("it wrote last:\n%s", text[max(0, len(text)-4000):])
		}
	})
	return r
}

// leader is who holds the lease.
func (w *world) leader() string {
	lease := awaitLease(w.t, w.api, w.ns)
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// awaitLeader waits until somebody else leads.
func (w *world) awaitLeader(before string) {
	w.t.Helper()
	await(w.t, "a leader", func() string {
		if now := w.leader(); now == before || now == "" {
			return fmt.Sprintf("%q leads", now)
		}
		return ""
	})
}

// settled is the end of a world in which nothing happens.
func (w *world) settled() map[string]string {
	w.t.Helper()
	var was map[string]string
	var since time.Time
	await(w.t, "rest", func() string {
		is := w.look()
		if !maps.Equal(was, is) {
			was, since = is, time.Now()
		}
		if _, ok := is["attachment fast"]; !ok || time.Since(since) < 3*time.Second {
			return "at work"
		}
		return ""
	})
	return was
}

// awaitEnd waits until the world is as it should be.
func (w *world) awaitEnd(want map[string]string) {
	w.t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	for {
		diff := cmp.Diff(want, w.look())
		if diff == "" {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("the end (-undisturbed +here):\n%s", diff)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// look is all that the operator is responsible for, without times, versions and the name of
// the namespace.
func (w *world) look() map[string]string {
	w.t.Helper()
	out := map[string]string{}
	note := func(what, name string, parts ...any) {
		text, err := json.MarshalIndent(parts, "", " ")
		if err != nil {
			w.t.Fatal(err)
		}
		out[what+" "+strings.ReplaceAll(name, w.ns, "NS")] = strings.ReplaceAll(string(text), w.ns, "NS")
	}
	list := func(l client.ObjectList) {
		if err := w.api.List(w.t.Context(), l, client.InNamespace(w.ns)); err != nil {
			w.t.Fatal(err)
		}
	}
	var states sriovv1.SriovNetworkNodeStateList
	list(&states)
	for _, s := range states.Items {
		note("state", s.Name, s.Spec, said(s.Status.Conditions), len(s.OwnerReferences), s.Annotations)
	}
	var policies sriovv1.SriovNetworkNodePolicyList
	list(&policies)
	for _, p := range policies.Items {
		s := p.Status
		note("policy", p.Name, said(s.Conditions), s.MatchedNodeCount, s.MatchedPFCount, s.SyncedNodeCount, s.FailedNodeCount)
	}
	var configMaps corev1.ConfigMapList
	list(&configMaps)
	for _, cm := range configMaps.Items {
		if strings.HasPrefix(cm.Name, sriovv1.ConfigMapDevicePluginConfig) {
			note("configMap", cm.Name, cm.Data)
		}
	}
	var networks sriovv1.SriovNetworkList
	list(&networks)
	for _, n := range networks.Items {
		note("network", n.Name, said(n.Status.Conditions), n.Finalizers, n.Annotations)
	}
	var attachments render.NetworkAttachmentDefinitionList
	list(&attachments)
	for _, a := range attachments.Items {
		note("attachment", a.Name, a.Spec, a.Annotations, len(a.OwnerReferences))
	}
	for _, short := range nodesOfAWorld() {
		var node corev1.Node
		if err := w.api.Get(context.WithoutCancel(w.t.Context()), client.ObjectKey{Name: w.ns + "-" + short}, &node); err != nil {
			w.t.Fatal(err)
		}
		note("node", node.Name, node.Labels)
	}
	var config sriovv1.SriovOperatorConfig
	if err := w.api.Get(w.t.Context(), client.ObjectKey{Namespace: w.ns, Name: sriovv1.DefaultConfigName}, &config); err != nil {
		w.t.Fatal(err)
	}
	for _, c := range config.Status.Conditions {
		if c.Type == sriovv1.ConditionConfigMapAccepted {
			note("config", config.Name, said([]metav1.Condition{c}))
		}
	}
	return out
}

// said is what conditions say.
func said(conditions []metav1.Condition) map[string]string {
	out := map[string]string{}
	for _, c := range conditions {
		out[c.Type] = fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
	}
	return out
}
