// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package daemon_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/daemon"
	"github.com/kubeovn/sriov-network-operator/internal/holders"
	"github.com/kubeovn/sriov-network-operator/internal/host/sim"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/test/kube"
	"github.com/kubeovn/sriov-network-operator/test/kube/proxy"
)

var plane = kube.Share()

func TestMain(m *testing.M) { os.Exit(plane.Main(m)) }

// patient is how long a test waits for the daemon.
const patient = 40 * time.Second

const connectX5 = "two-port-connectx5"

// node is a simulated machine, its objects in a real API server, and a daemon for it.
type node struct {
	t       *testing.T
	name    string
	ns      string
	api     client.WithWatch
	cluster *kube.Cluster
	machine *sim.Machine
	proxy   *proxy.Proxy
	config  *rest.Config
	pods    kubelet
	options func(*daemon.Options)
}

// kubelet says who holds VFs.
type kubelet struct {
	mu   sync.Mutex
	pods []holders.Pod
	err  error
}

func (k *kubelet) Pods(context.Context) ([]holders.Pod, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.pods), k.err
}

func (k *kubelet) set(err error, pods ...holders.Pod) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pods, k.err = pods, err
}

// newNode makes a machine and its objects. The node state is empty.
// More is added to the description of the machine.
func newNode(t *testing.T, machine string, more ...string) *node {
	t.Helper()
	text, err := os.ReadFile("../../test/machines/" + machine + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	m, err := sim.Parse([]byte(string(text) + strings.Join(more, "")))
	if err != nil {
		t.Fatal(err)
	}
	cluster := plane.Cluster(t)
	n := &node{t: t, ns: cluster.Namespace(t), api: cluster.Client(), cluster: cluster, machine: m, proxy: proxy.New(1)}
	n.name = n.ns
	n.config = cluster.Behind(t, n.proxy)
	n.create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.name}})
	n.create(&sriovv1.SriovNetworkNodeState{ObjectMeta: n.meta(n.name)})
	return n
}

func (n *node) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: n.ns, Name: name}
}

func (n *node) create(object client.Object) {
	n.t.Helper()
	if err := n.api.Create(n.t.Context(), object); err != nil {
		n.t.Fatal(err)
	}
}

// start runs a daemon until the function is called or the test ends. The function returns
// its error.
func (n *node) start() func() error {
	n.t.Helper()
	ctx, cancel := context.WithCancel(n.t.Context())
	o := daemon.Options{
		Node: n.name, Namespace: n.ns, API: n.config, Host: n.machine.Host(), Holders: &n.pods,
		Now: time.Now, Log: slog.New(slog.NewTextHandler(n.t.Output(), nil)),
		Pace: daemon.Pace{
			Gather: 20 * time.Millisecond, Press: 100 * time.Millisecond, Report: 50 * time.Millisecond,
			Retries: []time.Duration{50 * time.Millisecond, 100 * time.Millisecond}, Leaving: 50 * time.Millisecond,
			Rendered: 300 * time.Millisecond,
		},
	}
	if n.options != nil {
		n.options(&o)
	}
	done := make(chan error, 1)
	go func() { done <- daemon.Run(ctx, o) }()
	stop := sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	n.t.Cleanup(func() { _ = stop() })
	return stop
}

// state is the node state.
func (n *node) state() *sriovv1.SriovNetworkNodeState {
	n.t.Helper()
	s := &sriovv1.SriovNetworkNodeState{}
	if err := n.api.Get(n.t.Context(), client.ObjectKey{Namespace: n.ns, Name: n.name}, s); err != nil {
		n.t.Fatal(err)
	}
	return s
}

// await waits until the node state is as the test wants it: complaint is empty then.
func (n *node) await(what string, complaint func(*sriovv1.SriovNetworkNodeState) string) *sriovv1.SriovNetworkNodeState {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patient)
	defer cancel()
	last := "no node state"
	for ctx.Err() == nil {
		w, err := n.api.Watch(ctx, &sriovv1.SriovNetworkNodeStateList{}, client.InNamespace(n.ns))
		if err != nil {
			continue
		}
		for e := range w.ResultChan() {
			if s, ok := e.Object.(*sriovv1.SriovNetworkNodeState); ok {
				if last = complaint(s); last == "" {
					w.Stop()
					return s
				}
			}
		}
		w.Stop()
	}
	n.t.Fatalf("%s: still %s; status %s %s\n%s", what, last, n.state().Status.SyncStatus, n.state().Status.LastSyncError, n.machine.Snapshot())
	return nil
}

// awaitSync waits until the daemon reports on the present spec.
func (n *node) awaitSync(want sriovv1.SyncStatus) *sriovv1.SriovNetworkNodeState {
	n.t.Helper()
	return n.await(string(want), func(s *sriovv1.SriovNetworkNodeState) string {
		if s.Status.ObservedGeneration != s.Generation || s.Status.SyncStatus != want {
			return fmt.Sprintf("%s of generation %d, and the spec is of %d", s.Status.SyncStatus, s.Status.ObservedGeneration, s.Generation)
		}
		return ""
	})
}

// awaitNode waits until the node's annotation asks for this.
func (n *node) awaitNode(want string) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patient)
	defer cancel()
	w, err := n.api.Watch(ctx, &corev1.NodeList{}, client.MatchingFields{"metadata.name": n.name})
	if err != nil {
		n.t.Fatal(err)
	}
	defer w.Stop()
	got := ""
	for e := range w.ResultChan() {
		if o, ok := e.Object.(*corev1.Node); ok {
			if got = o.Annotations[sriovv1.AnnotationNodeDrain]; got == want {
				return
			}
		}
	}
	n.t.Fatalf("the node asks for %q and not for %q; %s %q", got, want, n.state().Status.SyncStatus, n.state().Status.LastSyncError)
}

// asks is what the node's annotation asks for now.
func (n *node) asks() string {
	n.t.Helper()
	o := &corev1.Node{}
	if err := n.api.Get(n.t.Context(), client.ObjectKey{Name: n.name}, o); err != nil {
		n.t.Fatal(err)
	}
	return o.Annotations[sriovv1.AnnotationNodeDrain]
}

// edit changes the node state.
func (n *node) edit(change func(*sriovv1.SriovNetworkNodeState)) {
	n.t.Helper()
	for {
		s := n.state()
		change(s)
		err := n.api.Update(n.t.Context(), s)
		if err == nil {
			return
		}
		if !apierrors.IsConflict(err) {
			n.t.Fatal(err)
		}
	}
}

// editStatus changes the status as somebody might.
func (n *node) editStatus(change func(*sriovv1.SriovNetworkNodeState)) {
	n.t.Helper()
	for {
		s := n.state()
		change(s)
		for i := range s.Status.Conditions {
			if s.Status.Conditions[i].LastTransitionTime.IsZero() {
				s.Status.Conditions[i].LastTransitionTime = metav1.Now()
			}
		}
		err := n.api.Status().Update(n.t.Context(), s)
		if err == nil {
			return
		}
		if !apierrors.IsConflict(err) {
			n.t.Fatal(err)
		}
	}
}

// want makes the spec ask for these PFs.
func (n *node) want(pfs ...sriovv1.Interface) {
	n.t.Helper()
	n.edit(func(s *sriovv1.SriovNetworkNodeState) { s.Spec.Interfaces = pfs })
}

// grant plays the controller.
func (n *node) grant(state, message string) {
	n.t.Helper()
	n.edit(func(s *sriovv1.SriovNetworkNodeState) {
		metav1.SetMetaDataAnnotation(&s.ObjectMeta, sriovv1.AnnotationCurrentState, state)
		metav1.SetMetaDataAnnotation(&s.ObjectMeta, sriovv1.AnnotationDrainMessage, message)
	})
}

// pf is a wish for VFs on one of the machine's ports.
func pf(port, numVFs int, groups ...sriovv1.VfGroup) sriovv1.Interface {
	if groups == nil && numVFs > 0 {
		groups = []sriovv1.VfGroup{{ResourceName: "a", PolicyName: "a", VfRange: fmt.Sprintf("0-%d", numVFs-1), DeviceType: sriovv1.DeviceTypeNetdevice}}
	}
	return sriovv1.Interface{
		PciAddress: fmt.Sprintf("0000:5f:00.%d", port), Name: fmt.Sprintf("ens41f%dnp%d", port, port), NumVfs: numVFs, VfGroups: groups,
	}
}

// vf is the address of a VF as the machine has it.
func (n *node) vf(port, index int) hw.PCIAddr {
	n.t.Helper()
	s := n.state()
	for i := range s.Status.Interfaces {
		if s.Status.Interfaces[i].PciAddress == pf(port, 0).PciAddress && index < len(s.Status.Interfaces[i].VFs) {
			addr, err := hw.ParsePCIAddr(s.Status.Interfaces[i].VFs[index].PciAddress)
			if err != nil {
				n.t.Fatal(err)
			}
			return addr
		}
	}
	n.t.Fatalf("port %d has no VF %d in the status", port, index)
	return hw.PCIAddr{}
}

func vfRef(port, index int) hw.VFRef {
	return hw.VFRef{PF: hw.PCIAddr{Bus: 0x5f, Function: uint8(port)}, Index: index}
}

// hold gives a VF to a pod.
func (n *node) hold(pod string, port, index int) holders.Pod {
	n.t.Helper()
	if err := n.machine.TakeVF(vfRef(port, index)); err != nil {
		n.t.Fatal(err)
	}
	return holders.Pod{Namespace: n.ns, Name: pod, Devices: []hw.PCIAddr{n.vf(port, index)}}
}

// condition is a condition of the node state in one line.
func condition(s *sriovv1.SriovNetworkNodeState, kind string) string {
	c := meta.FindStatusCondition(s.Status.Conditions, kind)
	if c == nil {
		return "none"
	}
	return string(c.Status) + " " + c.Reason
}

// awaitEvent waits for an event on the node state with this text in it.
func (n *node) awaitEvent(why, text string) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patient)
	defer cancel()
	w, err := n.api.Watch(ctx, &corev1.EventList{}, client.InNamespace(n.ns))
	if err != nil {
		n.t.Fatal(err)
	}
	defer w.Stop()
	var got []string
	for e := range w.ResultChan() {
		if o, ok := e.Object.(*corev1.Event); ok && o.Reason == why {
			if got = append(got, o.Message); strings.Contains(o.Message, text) && o.InvolvedObject.Name == n.name {
				return
			}
		}
	}
	n.t.Fatalf("the events %s are %q", why, got)
}

// awaitMirror waits until the node state repeats what is asked for.
func (n *node) awaitMirror(want string) {
	n.t.Helper()
	n.await("the mirror", func(s *sriovv1.SriovNetworkNodeState) string {
		if got := s.Annotations[sriovv1.AnnotationDesiredState]; got != want {
			return got
		}
		return ""
	})
}
