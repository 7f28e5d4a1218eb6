// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build vm

package vm_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/test/vm"
)

// The IOMMU is off at boot, a policy asks for vfio-pci. GRUB is told and read back,
// systemd is asked for a reboot over D-Bus, and after it the VFs are there.
func TestAMachineWhoseIOMMUIsOffIsRebootedIntoIt(t *testing.T) {
	ctx := t.Context()
	// On a busy host an emulated timer may be too late for the kernel's check of it.
	guest := newApplier(t, vm.Cmdline("no_timer_check intel_iommu=off"))
	const binary = "/root/linux.test"
	tests := vm.BuildTest(t, "github.com/kubeovn/sriov-network-operator/internal/host/linux", "vm")
	if err := guest.Push(ctx, tests, binary); err != nil {
		t.Fatal(err)
	}
	wish := policy("dpdk", 3, "enp1s0f0", "deviceType: vfio-pci") + policy("net", 2, "enp2s0f0")

	r, err := guest.try(ctx, wish)
	if err != nil {
		t.Fatal(err)
	}
	if r.ExitCode != 1 || !strings.Contains(r.Stderr, "the machine must reboot: vfio-pci needs the IOMMU") {
		t.Fatalf("the first apply ends with code %d\n%s\n%s", r.ExitCode, r.Stdout, r.Stderr)
	}
	if got := vfDrivers(t, guest, "0000:02:00.0"); !slices.Equal(got, []string{"igbvf", "igbvf"}) {
		t.Errorf("the PF that needs no boot has VFs with the drivers %v", got)
	}
	if got := vfDrivers(t, guest, "0000:01:00.0"); len(got) != 0 {
		t.Errorf("the PF that waits has VFs with the drivers %v", got)
	}
	again, err := guest.try(ctx, wish)
	if err != nil || again.ExitCode != 1 || !strings.Contains(again.Stdout, "0 steps on 0 PFs") {
		t.Fatalf("the second apply, %v, is not down to the reboot:\n%s\n%s", err, again.Stdout, again.Stderr)
	}

	before, err := guest.Guest(ctx)
	if err != nil {
		t.Fatal(err)
	}
	// The answer may be lost: the guest goes down while it is given.
	if r, err := guest.Run(ctx, binary, "-test.v", "-test.run=^TestTheMachineRebootsWhenItIsAsked$"); err == nil && r.ExitCode != 0 {
		t.Fatalf("asking for a reboot ended with code %d\n%s%s", r.ExitCode, r.Stdout, r.Stderr)
	}
	if _, err := guest.AwaitBoot(ctx, before); err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(guest.Shell(ctx, "cat /proc/cmdline"))
	off, on := slices.Index(words, "intel_iommu=off"), slices.Index(words, "intel_iommu=on")
	if off < 0 || on < off || !slices.Contains(words, "iommu=pt") {
		t.Errorf("booted with %v", words)
	}
	if got := guest.Shell(ctx, "ls /sys/module | grep -Ex 'igbvf|vfio_pci'"); got != "igbvf\nvfio_pci\n" {
		t.Errorf("of the modules that VFs need, these were loaded at boot: %q", got)
	}

	guest.apply(t, wish)
	guest.settled(t, wish)
	want := map[string][]string{"0000:01:00.0": {"vfio-pci", "vfio-pci", "vfio-pci"}, "0000:02:00.0": {"igbvf", "igbvf"}}
	got := map[string][]string{"0000:01:00.0": vfDrivers(t, guest, "0000:01:00.0"), "0000:02:00.0": vfDrivers(t, guest, "0000:02:00.0")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("drivers of the VFs (-want +got):\n%s", diff)
	}

	guest.apply(t, policy("net", 0, "enp2s0f0"))
	left := guest.Shell(ctx, "grep -c intel_iommu=on /boot/grub/grub.cfg || true; find /etc/default/grub.d/*sriov* /etc/modules-load.d/*sriov* /etc/sriov-operator -type f 2>/dev/null || true")
	if left != "0\n" {
		t.Errorf("given back, this is left: %q", left)
	}
}

// The daemon and the operator do the same by themselves: whoever is on the node leaves, it restarts once, the daemon
// comes back with systemd, and the node is given back.
func TestANodeWhoseIOMMUIsOffIsDrainedAndRestartedOnce(t *testing.T) {
	ctx := t.Context()
	n := newClusterNode(t, vm.Cmdline("no_timer_check intel_iommu=off"))
	// Of a cluster with a single node nobody would leave: they had nowhere to go.
	n.create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "other"}})
	n.run("bystander")
	before, err := n.Guest(ctx)
	if err != nil {
		t.Fatal(err)
	}
	n.wish(policy("dpdk", 3, "enp1s0f0", "deviceType: vfio-pci"), policy("net", 2, "enp2s0f0"))

	n.awaitLeaving("bystander")
	if !n.itself().Spec.Unschedulable {
		t.Error("pods leave a node that is not cordoned")
	}
	n.want(t, "enp2s0f0", vfs(1500, "igbvf", "igbvf")) // which needs no restart, and waited for nobody
	n.want(t, "enp1s0f0", vfs(1500))
	n.await("the restart in the plan, with its cause", func(s *sriovv1.SriovNetworkNodeState) string {
		if p := s.Status.Plan; p == nil || p.Disrupts != sriovv1.DisruptionReboot || !strings.Contains(p.Steps[len(p.Steps)-1].Why, "IOMMU") {
			return fmt.Sprintf("%+v", p)
		}
		return ""
	})
	if now, err := n.Guest(ctx); err != nil || now.BootID != before.BootID {
		t.Fatalf("the node restarted, %v, while a pod was on it", err)
	}
	n.forget("bystander")

	booted, err := n.AwaitBoot(ctx, before)
	if err != nil {
		t.Fatal(err)
	}
	n.synced(2)
	n.want(t, "enp1s0f0", vfs(1500, repeat("vfio-pci", 3)...))
	n.want(t, "enp2s0f0", vfs(1500, "igbvf", "igbvf"))
	n.released()
	if now, err := n.Guest(ctx); err != nil || now.BootID != booted.BootID {
		t.Errorf("the node restarted again, %v", err)
	}
	told := &corev1.EventList{}
	if err := n.api.List(ctx, told); err != nil {
		t.Fatal(err)
	}
	told.Items = slices.DeleteFunc(told.Items, func(e corev1.Event) bool { return e.Reason != "RebootNode" })
	if len(told.Items) != 1 || !strings.Contains(told.Items[0].Message, "IOMMU") {
		t.Errorf("of restarts, these were told: %+v", told.Items)
	}
}

// itself is the Node.
func (n *clusterNode) itself() *corev1.Node {
	n.t.Helper()
	it := &corev1.Node{}
	if err := n.api.Get(n.t.Context(), client.ObjectKey{Name: worker}, it); err != nil {
		n.t.Fatal(err)
	}
	return it
}

// released waits until nothing is asked for any more and the node takes pods again.
func (n *clusterNode) released() {
	n.t.Helper()
	n.watch(&corev1.NodeList{}, "", worker, func(o client.Object) bool {
		it, ok := o.(*corev1.Node)
		return ok && it.Annotations[sriovv1.AnnotationNodeDrain] == sriovv1.DrainIdle && !it.Spec.Unschedulable
	})
}

// vfDrivers are the drivers of a PF's VFs, in their order.
func vfDrivers(t *testing.T, guest applier, pf string) []string {
	t.Helper()
	out := guest.Shell(t.Context(), `for vf in /sys/bus/pci/devices/`+pf+`/virtfn*; do
	[ -e "$vf" ] || continue
	basename "$(readlink "$vf/driver")"
done`)
	return strings.Fields(out)
}
