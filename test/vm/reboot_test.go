// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build vm

package vm_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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

// vfDrivers are the drivers of a PF's VFs, in their order.
func vfDrivers(t *testing.T, guest applier, pf string) []string {
	t.Helper()
	out := guest.Shell(t.Context(), `for vf in /sys/bus/pci/devices/`+pf+`/virtfn*; do
	[ -e "$vf" ] || continue
	basename "$(readlink "$vf/driver")"
done`)
	return strings.Fields(out)
}
