// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build vm

package vm_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
	"github.com/kubeovn/sriov-network-operator/test/kube"
	"github.com/kubeovn/sriov-network-operator/test/vm"
	"github.com/kubeovn/sriov-network-operator/test/vm/node"
)

// module is what the import paths of the product begin with.
const module = "github.com/kubeovn/sriov-network-operator/"

const (
	// worker is the node that the machine is, and patience how long a change of it may take.
	worker   = "worker"
	patience = 4 * time.Minute
)

// clusterNode is a machine with the daemon, which belongs to a cluster with the operator.
type clusterNode struct {
	applier
	t       *testing.T
	cluster *kube.Cluster
	api     client.WithWatch
}

// newClusterNode starts a control plane, the operator, a machine and its daemon. The machine's
// pods are none.
func newClusterNode(t *testing.T, options ...vm.Option) *clusterNode {
	t.Helper()
	n := newMachineInCluster(t, options...)
	n.moves()
	return n
}

// newMachineInCluster starts a control plane and a machine that is a node of it, as yet without
// the operator.
func newMachineInCluster(t *testing.T, options ...vm.Option) *clusterNode {
	t.Helper()
	cluster := kube.Start(t, kube.WithNetworkAttachments())
	n := &clusterNode{
		applier: applier{vm.Start(t, append(options, vm.Forward(node.Forward(cluster)))...)}, t: t, cluster: cluster, api: cluster.Client(),
	}
	n.create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: worker, Labels: map[string]string{
		corev1.LabelOSStable: "linux", sriovv1.LabelSriovCapable: sriovv1.LabelSriovCapableTrue,
	}}})
	n.ready()
	return n
}

// moves starts the operator, and the machine's daemon while these pods hold VFs.
func (n *clusterNode) moves(holders ...node.Pod) {
	t := n.t
	t.Helper()
	n.create(&sriovv1.SriovOperatorConfig{ObjectMeta: inOurs(sriovv1.DefaultConfigName)})
	if err := n.cluster.RunOperator(vm.Build(t, module+"cmd/sriov-network-operator")); err != nil {
		t.Fatal(err)
	}
	from := node.Packages()
	programs := node.Programs{Daemon: vm.Build(t, from.Daemon), Kubelet: vm.Build(t, from.Kubelet)}
	if err := node.Join(t.Context(), n.Machine(), n.cluster, worker, programs, holders...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the daemon said at last:\n%s", node.Said(context.WithoutCancel(t.Context()), n.Machine()))
			t.Logf("the operator said at last:\n%s", n.cluster.Said("sriov-network-operator"))
		}
	})
}

// in is the same machine for a part of the test.
func (n *clusterNode) in(t *testing.T) *clusterNode {
	t.Helper()
	part := *n
	part.t = t
	return &part
}

func inOurs(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: sriovv1.DefaultNamespace, Name: name}
}

func (n *clusterNode) create(o client.Object) {
	n.t.Helper()
	if err := n.api.Create(n.t.Context(), o); err != nil {
		n.t.Fatal(err)
	}
}

// ready says of the node what its kubelet would.
func (n *clusterNode) ready() {
	n.t.Helper()
	it := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: worker}}
	patch := `{"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]}}`
	if err := n.api.Status().Patch(n.t.Context(), it, client.RawPatch("application/strategic-merge-patch+json", []byte(patch))); err != nil {
		n.t.Fatal(err)
	}
}

// hold makes these pods, and no others, hold VFs.
func (n *clusterNode) hold(pods ...node.Pod) {
	n.t.Helper()
	if err := node.Hold(n.t.Context(), n.Machine(), pods...); err != nil {
		n.t.Fatal(err)
	}
}

// pod makes a pod that holds a VF of the first PF, and has its netdev in a namespace of its own.
func (n *clusterNode) pod(index int) node.Pod {
	n.t.Helper()
	name := fmt.Sprintf("pod%d", index)
	n.run(name)
	address := n.Shell(n.t.Context(), fmt.Sprintf(`udevadm settle
		ip netns add %[1]s
		ip link set enp1s0f0v%[2]d netns %[1]s
		ip -n %[1]s link set enp1s0f0v%[2]d up
		ip -n %[1]s addr add 192.0.2.1%[2]d/24 dev enp1s0f0v%[2]d
		basename $(readlink /sys/class/net/enp1s0f0/device/virtfn%[2]d)`, name, index))
	return node.Pod{Namespace: "default", Name: name, Devices: []string{strings.TrimSpace(address)}}
}

// wish makes these policies the only ones.
func (n *clusterNode) wish(policies ...string) {
	n.t.Helper()
	if err := n.api.DeleteAllOf(n.t.Context(), &sriovv1.SriovNetworkNodePolicy{}, client.InNamespace(sriovv1.DefaultNamespace)); err != nil {
		n.t.Fatal(err)
	}
	for _, text := range policies {
		p := &sriovv1.SriovNetworkNodePolicy{}
		if err := yaml.Unmarshal([]byte(text), p); err != nil {
			n.t.Fatal(err)
		}
		n.create(p)
	}
}

// await waits for the node state to be as the test wants it: complaint is empty then.
func (n *clusterNode) await(what string, complaint func(*sriovv1.SriovNetworkNodeState) string) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	last := "there is no node state"
	for ctx.Err() == nil {
		w, err := n.api.Watch(ctx, &sriovv1.SriovNetworkNodeStateList{}, client.InNamespace(sriovv1.DefaultNamespace))
		if err != nil {
			continue // the API server is away
		}
		for e := range w.ResultChan() {
			if s, ok := e.Object.(*sriovv1.SriovNetworkNodeState); ok && s.Name == worker {
				if last = complaint(s); last == "" {
					w.Stop()
					return
				}
			}
		}
		w.Stop()
	}
	n.t.Fatalf("%s: still %s", what, last)
}

// synced waits until the node is as a spec with these groups asks, or with none.
func (n *clusterNode) synced(groups int) {
	n.t.Helper()
	n.reported(groups, sriovv1.SyncStatusSucceeded)
}

// reported waits until the daemon says this of a spec with these groups, and returns what it says.
func (n *clusterNode) reported(groups int, verdict sriovv1.SyncStatus) *sriovv1.SriovNetworkNodeState {
	n.t.Helper()
	var out *sriovv1.SriovNetworkNodeState
	n.await("the node "+string(verdict), func(s *sriovv1.SriovNetworkNodeState) string {
		have := 0
		for _, pf := range s.Spec.Interfaces {
			have += len(pf.VfGroups)
		}
		if have != groups {
			return fmt.Sprintf("%d VF groups are asked for", have)
		}
		if s.Status.ObservedGeneration != s.Generation || s.Status.SyncStatus != verdict {
			return fmt.Sprintf("%s of generation %d of %d: %s %+v", s.Status.SyncStatus, s.Status.ObservedGeneration, s.Generation, s.Status.LastSyncError, s.Status.Conditions)
		}
		out = s
		return ""
	})
	return out
}

// mortal has the daemon killed after every change that it makes to the machine. The function that it returns ends that,
// and says of each death what was to come next.
func (n *clusterNode) mortal() func() string {
	n.t.Helper()
	const ninelives = "/usr/local/bin/ninelives"
	if err := n.Push(n.t.Context(), vm.Build(n.t, module+"test/vm/ninelives"), ninelives); err != nil {
		n.t.Fatal(err)
	}
	command := n.Shell(n.t.Context(), "systemctl stop daemon; sed -n s/^ExecStart=//p /etc/systemd/system/daemon.service")
	var died, said bytes.Buffer
	p, err := n.Start(n.t.Context(), vm.Command{
		Argv: append([]string{ninelives}, strings.Fields(command)...), Stdout: io.MultiWriter(&died, n.t.Output()), Stderr: &said,
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		if n.t.Failed() {
			n.t.Logf("its lives:\n%s", said.String()[max(0, said.Len()-20000):])
		}
	})
	return func() string {
		n.t.Helper()
		if err := p.Kill(); err != nil {
			n.t.Fatal(err)
		}
		if _, err := p.Wait(n.t.Context()); err != nil {
			n.t.Fatal(err)
		}
		n.Shell(n.t.Context(), "systemctl start daemon")
		return died.String()
	}
}

func TestAPolicyInAClusterBecomesVirtualFunctions(t *testing.T) {
	n := newClusterNode(t)
	n.wish(policy("net", 4, "enp1s0f0, enp2s0f0"))
	n.synced(2)
	for _, pf := range []string{"enp1s0f0", "enp2s0f0"} {
		n.want(t, pf, vfs(1500, repeat("igbvf", 4)...))
	}

	t.Run("killed after every change of the machine", func(t *testing.T) {
		n := n.in(t)
		deaths := n.mortal()
		n.wish(policy("net", 7, "enp1s0f0", "mtu: 4000"),
			policy("one", 3, "enp2s0f1#0-0"), policy("dpdk", 3, "enp2s0f1#1-2", "deviceType: vfio-pci"))
		n.synced(3)
		died := deaths()
		if left := n.Shell(t.Context(), "find /etc/sriov-operator /etc/udev/rules.d /etc/modules-load.d -name '.*' -type f"); left != "" {
			t.Errorf("its deaths have left\n%s", left)
		}
		if got := strings.Count(died, "killed before"); got < 20 {
			t.Errorf("the daemon died %d times", got)
		}
		for _, change := range []string{"/etc/sriov-operator/pci/", "/sys/bus/pci/", "netlink"} {
			if !strings.Contains(died, change) {
				t.Errorf("the daemon did not die before a change of %s", change)
			}
		}
		n.want(t, "enp1s0f0", vfs(4000, repeat("igbvf", 7)...))
		n.want(t, "enp2s0f0", vfs(1500))
		n.want(t, "enp2s0f1", vfs(1500, "igbvf", "vfio-pci", "vfio-pci"))
	})
	t.Run("the API server goes away", func(t *testing.T) {
		n := n.in(t)
		n.wish(policy("net", 5, "enp1s0f0"))
		n.await("a change under way", func(s *sriovv1.SriovNetworkNodeState) string {
			if s.Status.SyncStatus == sriovv1.SyncStatusInProgress && s.Status.Plan != nil {
				return ""
			}
			return string(s.Status.SyncStatus)
		})
		n.cluster.RestartServer(t)
		n.synced(1)
		n.want(t, "enp1s0f0", vfs(1500, repeat("igbvf", 5)...))
		n.want(t, "enp2s0f0", vfs(1500))
	})
	t.Run("power fails in the middle", func(t *testing.T) {
		n := n.in(t)
		n.wish(policy("net", 6, "enp1s0f0, enp2s0f1"))
		n.await("a change under way", func(s *sriovv1.SriovNetworkNodeState) string {
			if s.Status.SyncStatus == sriovv1.SyncStatusInProgress && s.Status.Plan != nil {
				return ""
			}
			return string(s.Status.SyncStatus)
		})
		if _, err := n.HardReset(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, pf := range []string{"enp1s0f0", "enp2s0f1"} {
			n.awaitKernel(pf, vfs(1500, repeat("igbvf", 6)...))
		}
		n.synced(2)
	})
	t.Run("nobody asks any more, while the daemon is down", func(t *testing.T) {
		n := n.in(t)
		n.Shell(t.Context(), "systemctl stop daemon")
		n.wish()
		n.Shell(t.Context(), "systemctl start daemon")
		n.awaitKernel("enp1s0f0", vfs(1500))
		n.synced(0)
		n.want(t, "enp2s0f1", vfs(1500))
	})
	t.Run("the NIC of the API connection is refused", func(t *testing.T) { n.in(t).keepsItsConnection() })
}

// keepsItsConnection leads the daemon's connection over a PF, by the route of its subnet alone: it goes out there, and
// comes back through another PF, which is bridged to the management NIC in a network namespace that stands for the world
// outside.
func (n *clusterNode) keepsItsConnection() {
	n.t.Helper()
	// Without the advertisements of QEMU's router: they would give every port of the segment a default route.
	n.Shell(n.t.Context(), `sysctl -qw net.ipv6.conf.all.disable_ipv6=1
		ip netns add outside
		for link in enp0s7 enp1s0f1; do ip link set $link netns outside; done
		ip -n outside link add br0 type bridge
		for link in enp0s7 enp1s0f1; do ip -n outside link set $link master br0 up; done
		ip -n outside link set br0 up
		ip link set enp2s0f0 up
		ip addr add 10.0.2.15/24 dev enp2s0f0
		systemctl restart daemon`)
	n.Shell(n.t.Context(), "for i in $(seq 50); do grep -q 1 /sys/class/net/enp2s0f0/carrier && break; sleep 0.1; done")
	before, vfsBefore := n.Shell(n.t.Context(), connection), n.state(n.t, "enp2s0f0")

	n.wish(policy("api", 2, "enp2s0f0"), policy("other", 2, "enp1s0f0"))
	state := n.reported(2, sriovv1.SyncStatusFailed)
	for _, text := range []string{"enp2s0f0 carries connection to the API server via enp2s0f0", reason.HostTraffic.Fix()} {
		if !strings.Contains(state.Status.LastSyncError, text) {
			n.t.Errorf("the daemon does not say %q: %s", text, state.Status.LastSyncError)
		}
	}
	got := map[string]string{}
	for i := range state.Status.Interfaces {
		if c := meta.FindStatusCondition(state.Status.Interfaces[i].Conditions, sriovv1.ConditionReady); c != nil {
			got[state.Status.Interfaces[i].Name] = c.Reason
		}
	}
	want := map[string]string{"enp1s0f0": string(reason.AsDesired), "enp2s0f0": string(reason.HostTraffic)}
	if diff := cmp.Diff(want, got); diff != "" {
		n.t.Errorf("reasons of the PFs (-want +got):\n%s", diff)
	}
	n.want(n.t, "enp1s0f0", vfs(1500, "igbvf", "igbvf"))
	n.want(n.t, "enp2s0f0", vfsBefore)
	if diff := cmp.Diff(before, n.Shell(n.t.Context(), connection)); diff != "" {
		n.t.Errorf("the connection (-before +after):\n%s", diff)
	}

	// Whoever consents has the connection cut off for a moment; the daemon tells of it afterwards.
	n.wish(policy("api", 2, "enp2s0f0", "allowInUse: true"), policy("other", 2, "enp1s0f0"))
	n.synced(2)
	n.want(n.t, "enp2s0f0", vfs(1500, "igbvf", "igbvf"))
}

// connection is what of the PF's link must not change.
const connection = "cat /sys/class/net/enp2s0f0/ifindex /sys/class/net/enp2s0f0/carrier_changes; ip -4 -o addr show enp2s0f0; ip route"

// awaitKernel waits until the kernel says this of a PF.
func (n *clusterNode) awaitKernel(pf, want string) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	got := ""
	for ctx.Err() == nil {
		if got = n.state(n.t, pf); got == want {
			return
		}
		n.Shell(n.t.Context(), "udevadm settle")
	}
	n.t.Fatalf("%s is\n%s\nand not\n%s", pf, got, want)
}

// Two pods hold VFs 0 and 1. While VFs 2-6 change their driver, their traffic goes on and nobody asks them
// to leave; when VF 1 itself is asked for, its pod is asked, and no other.
func TestOnlyThePodsThatHoldWhatIsTakenMustLeave(t *testing.T) {
	n := newClusterNode(t)
	n.wish(policy("net", 7, "enp1s0f0"))
	n.synced(1)
	held := []node.Pod{n.pod(0), n.pod(1)}
	n.hold(held...)
	n.Shell(t.Context(), "ip netns exec pod0 ping -q -c 3 -i 0.2 192.0.2.11")
	var said bytes.Buffer
	ping, err := n.Start(t.Context(), vm.Command{
		Argv: []string{"ip", "netns", "exec", "pod0", "ping", "-q", "-i", "0.1", "192.0.2.11"}, Stdout: &said,
	})
	if err != nil {
		t.Fatal(err)
	}
	n.wish(policy("net", 7, "enp1s0f0#0-1"), policy("dpdk", 7, "enp1s0f0#2-6", "deviceType: vfio-pci"))
	n.synced(2)
	n.want(t, "enp1s0f0", vfs(1500, append(repeat("igbvf", 2), repeat("vfio-pci", 5)...)...))
	n.Shell(t.Context(), "pkill -INT ping")
	if _, err := ping.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), " 0% packet loss") {
		t.Errorf("traffic was lost:\n%s", said.String())
	}
	for i := range held {
		if n.leaves(held[i].Name) {
			t.Errorf("%s must leave, and its VF is not taken", held[i].Name)
		}
	}

	n.wish(policy("net", 7, "enp1s0f0#0-0"), policy("dpdk", 7, "enp1s0f0#1-6", "deviceType: vfio-pci"))
	n.awaitLeaving("pod1")
	// The pod ends: its VF comes back, the kubelet forgets it, and so does the API server.
	n.Shell(t.Context(), "ip netns del pod1; udevadm settle")
	n.hold(held[0])
	n.forget("pod1")
	n.synced(2)
	n.want(t, "enp1s0f0", vfs(1500, append(repeat("igbvf", 1), repeat("vfio-pci", 6)...)...))
	if n.leaves("pod0") {
		t.Error("pod0 must leave, and its VF is not taken")
	}
	if n.itself().Spec.Unschedulable {
		t.Error("the node is still cordoned")
	}
}

// run makes a pod on the node.
func (n *clusterNode) run(name string) {
	n.t.Helper()
	n.create(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec:       corev1.PodSpec{NodeName: worker, Containers: []corev1.Container{{Name: "main", Image: "none"}}},
	})
}

// forget says of a pod what the node's kubelet would when it has ended.
func (n *clusterNode) forget(name string) {
	n.t.Helper()
	gone := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	if err := n.api.Delete(n.t.Context(), gone, client.GracePeriodSeconds(0)); err != nil && !apierrors.IsNotFound(err) {
		n.t.Fatal(err)
	}
}

// leaves reports whether a pod was asked to leave, or is gone.
func (n *clusterNode) leaves(name string) bool {
	n.t.Helper()
	p := &corev1.Pod{}
	err := n.api.Get(n.t.Context(), client.ObjectKey{Namespace: "default", Name: name}, p)
	if err != nil && !apierrors.IsNotFound(err) {
		n.t.Fatal(err)
	}
	return err != nil || p.DeletionTimestamp != nil
}

// awaitLeaving waits until a pod is asked to leave.
func (n *clusterNode) awaitLeaving(name string) {
	n.t.Helper()
	n.watch(&corev1.PodList{}, "default", name, func(o client.Object) bool { return o.GetDeletionTimestamp() != nil })
}
