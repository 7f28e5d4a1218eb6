// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package kube_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/test/kube"
)

const (
	// workers is how many requests the floor makes at a time, as the operator does.
	workers = 16
	// ports is how many PFs a node has, and vfs how many VFs each PF reports.
	ports, vfs = 4, 8
)

// fleet is a cluster of nodes with the operator as a process, and the same node states
// once more in a namespace that the operator does not look at.
type fleet struct {
	b        *testing.B
	cluster  *kube.Cluster
	api      client.Client
	ns       string
	floorNS  string
	program  string
	operator *exec.Cmd
	log      string
	// ended is closed when the operator is no more.
	ended   chan struct{}
	size    int
	floorIs *sync.Once
	// first is how long after its start the operator had made all node states.
	first time.Duration
}

// newFleet starts everything and returns when the operator rests.
func newFleet(b *testing.B, size int) *fleet {
	b.Helper()
	ctrl.SetLogger(logr.Discard()) // the client would complain
	f := &fleet{b: b, cluster: kube.Start(b, kube.WithAudit()), size: size, floorIs: &sync.Once{}}
	f.api, f.ns, f.floorNS = f.cluster.Client(), f.cluster.Namespace(b), f.cluster.Namespace(b)
	f.create(&sriovv1.SriovOperatorConfig{ObjectMeta: f.meta(sriovv1.DefaultConfigName)})
	for port := range ports {
		f.create(f.policy(port))
	}
	nodes := f.cluster.CreateNodes(b, size, func(n *corev1.Node) {
		n.Labels[sriovv1.LabelSriovCapable] = sriovv1.LabelSriovCapableTrue
	})
	a := f.listen(operatorAgent)
	defer a.close()
	f.build()
	f.start()
	started := time.Now()
	last, _ := a.states(size, 5*time.Minute)
	f.first = last.Sub(started)
	f.parallel(nodes, func(ctx context.Context, i int, node string) error {
		return f.publish(ctx, f.ns, node, i)
	})
	a.rest(5 * time.Second)
	return f
}

func (f *fleet) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: f.ns, Name: name}
}

func (f *fleet) create(o client.Object) {
	f.b.Helper()
	if err := f.api.Create(f.b.Context(), o); err != nil {
		f.b.Fatal(err)
	}
}

// netdev is the name of a node's port.
func netdev(port int) string { return fmt.Sprintf("ens%df%dnp%d", 1+port/2, port%2, port%2) }

// policy wants VFs of one port of every node.
func (f *fleet) policy(port int) *sriovv1.SriovNetworkNodePolicy {
	return &sriovv1.SriovNetworkNodePolicy{ObjectMeta: f.meta(fmt.Sprintf("port-%d", port)), Spec: sriovv1.SriovNetworkNodePolicySpec{
		ResourceName: fmt.Sprintf("port_%d", port), NodeSelector: map[string]string{}, NumVfs: vfs,
		NicSelector: sriovv1.SriovNetworkNicSelector{Vendor: "15b3", PfNames: []string{netdev(port)}},
	}}
}

// publish reports what a node has, as its daemon would.
func (f *fleet) publish(ctx context.Context, namespace, node string, number int) error {
	status := sriovv1.SriovNetworkNodeStateStatus{SyncStatus: sriovv1.SyncStatusInProgress}
	for port := range ports {
		status.Interfaces = append(status.Interfaces, inventory(number, port))
	}
	text, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return err
	}
	state := &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: node}}
	return f.api.Status().Patch(ctx, state, client.RawPatch(types.MergePatchType, text))
}

// inventory is a port of a node with its VFs.
func inventory(node, port int) sriovv1.InterfaceExt {
	mac := func(kind, n int) string {
		return fmt.Sprintf("0c:42:%02x:%02x:%02x:%02x", kind, node>>8, node&0xff, 16*port+n)
	}
	pf := sriovv1.InterfaceExt{
		Name: netdev(port), PciAddress: fmt.Sprintf("0000:%02x:00.%d", 0x5f+port/2, port%2), Mac: mac(0, 0), Driver: "mlx5_core",
		Vendor: "15b3", DeviceID: "101d", Mtu: 1500, NumVfs: vfs, TotalVfs: 128, LinkType: sriovv1.LinkTypeETH, LinkSpeed: "25000 Mb/s",
		LinkAdminState: sriovv1.LinkAdminStateUp, EswitchMode: sriovv1.EswitchModeLegacy,
	}
	for n := range vfs {
		pf.VFs = append(pf.VFs, sriovv1.VirtualFunction{
			Name: fmt.Sprintf("%sv%d", netdev(port), n), PciAddress: fmt.Sprintf("0000:%02x:%02x.%d", 0x5f+port/2, 1+port%2, n), Mac: mac(1, n),
			Driver: "mlx5_core", Vendor: "15b3", DeviceID: "101e", Mtu: 1500, VfID: n,
		})
	}
	return pf
}

// copy makes the same node states in the namespace of the floor, once.
func (f *fleet) copy() {
	f.b.Helper()
	f.floorIs.Do(func() { f.double() })
}

func (f *fleet) double() {
	f.b.Helper()
	f.parallel(names(f.states(f.ns)), func(ctx context.Context, i int, node string) error {
		state := &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Namespace: f.floorNS, Name: node}}
		if err := f.api.Create(ctx, state); err != nil {
			return err
		}
		return f.publish(ctx, f.floorNS, node, i)
	})
}

// states are the node states of a namespace, sorted by name.
func (f *fleet) states(namespace string) []sriovv1.SriovNetworkNodeState {
	f.b.Helper()
	var list sriovv1.SriovNetworkNodeStateList
	if err := f.api.List(f.b.Context(), &list, client.InNamespace(namespace)); err != nil {
		f.b.Fatal(err)
	}
	if len(list.Items) != f.size && f.size > 0 {
		f.b.Fatalf("there are %d node states, want %d", len(list.Items), f.size)
	}
	return list.Items
}

func names(states []sriovv1.SriovNetworkNodeState) []string {
	out := make([]string, 0, len(states))
	for i := range states {
		out = append(out, states[i].Name)
	}
	return out
}

// parallel does something for each node, as many at a time as there are workers.
func (f *fleet) parallel(nodes []string, do func(ctx context.Context, i int, node string) error) {
	f.b.Helper()
	group, ctx := errgroup.WithContext(f.b.Context())
	group.SetLimit(workers)
	for i, node := range nodes {
		group.Go(func() error { return do(ctx, i, node) })
	}
	if err := group.Wait(); err != nil {
		f.b.Fatal(err)
	}
}

func (f *fleet) listen(agent string) *audit { return listen(f, agent) }

// alive ends the benchmark when the operator has ended.
func (f *fleet) alive() {
	f.b.Helper()
	select {
	case <-f.ended:
		text, _ := os.ReadFile(f.log)
		f.b.Fatalf("the operator has ended; it wrote last:\n%s", tail(text))
	default:
	}
}

// build builds the operator.
func (f *fleet) build() {
	f.b.Helper()
	dir := f.b.TempDir()
	f.program, f.log = filepath.Join(dir, "sriov-network-operator"), filepath.Join(dir, "log")
	build := exec.CommandContext(f.b.Context(), "go", "build", "-o", f.program, "github.com/kubeovn/sriov-network-operator/cmd/sriov-network-operator")
	if out, err := build.CombinedOutput(); err != nil {
		f.b.Fatalf("build the operator: %v\n%s", err, out)
	}
}

// start runs the operator as a process, as a pod would, until the benchmark or stop ends it.
func (f *fleet) start() {
	f.b.Helper()
	log, err := os.Create(f.log)
	if err != nil {
		f.b.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	f.operator = exec.Command(f.program, "-namespace", f.ns, "-metrics-bind-address", "0", "-health-probe-bind-address", "0")
	f.operator.Env = append(os.Environ(), "KUBECONFIG="+f.cluster.Kubeconfig())
	f.operator.Stdout, f.operator.Stderr = log, log
	if err := f.operator.Start(); err != nil {
		f.b.Fatal(err)
	}
	f.ended = make(chan struct{})
	go func() {
		_ = f.operator.Wait() // what it says is in the log
		close(f.ended)
	}()
	f.b.Cleanup(f.stop)
}

// stop ends the operator as a pod's end does: it gives up its lease.
func (f *fleet) stop() {
	_ = f.operator.Process.Signal(syscall.SIGTERM) // it may have ended
	<-f.ended
}

func tail(text []byte) []byte {
	const most = 4096
	return text[max(0, len(text)-most):]
}

var memoryLine = regexp.MustCompile(`(?m)^(VmHWM|VmRSS):\s+(\d+) kB$`)

// memory is how much of the machine's memory the operator has, and the most that it had.
func (f *fleet) memory() (now, most float64) {
	f.b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", f.operator.Process.Pid))
	if err != nil {
		f.b.Fatal(err)
	}
	for _, m := range memoryLine.FindAllSubmatch(text, -1) {
		kib, err := strconv.ParseFloat(string(m[2]), 64)
		if err != nil {
			f.b.Fatal(err)
		}
		if bytes.Equal(m[1], []byte("VmRSS")) {
			now = kib / 1024
		} else {
			most = kib / 1024
		}
	}
	return now, most
}

// load is how busy the machine is.
func (f *fleet) load() string {
	f.b.Helper()
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		f.b.Fatal(err)
	}
	return string(bytes.Fields(text)[0])
}
