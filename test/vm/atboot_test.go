// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build vm

package vm_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

// In mode systemd a service makes VFs at boot, before the network is configured and the kubelet starts, with no daemon
// there. Where it cannot, the node boots all the same, and the daemon tells of it and mends it.
func TestAServiceMakesVFsAtBootBeforeTheNetworkAndTheKubelet(t *testing.T) {
	ctx := t.Context()
	n := newClusterNode(t)
	n.restoresAtBoot(true)
	n.wish(policy("net", 2, "enp1s0f0", "mtu: 4000"), policy("one", 2, "enp2s0f0#0-0"), policy("dpdk", 2, "enp2s0f0#1-1", "deviceType: vfio-pci"))
	n.synced(3)
	plain, mixed := vfs(4000, "igbvf", "igbvf"), vfs(1500, "igbvf", "vfio-pci")
	n.want(t, "enp1s0f0", plain)
	n.want(t, "enp2s0f0", mixed)
	macs := n.adminMACs(t)

	t.Run("it does, and the daemon finds nothing to do", func(t *testing.T) {
		n := n.in(t)
		n.Shell(ctx, "systemctl disable daemon")
		boot, err := n.Reboot(ctx)
		if err != nil {
			t.Fatal(err)
		}
		n.want(t, "enp1s0f0", plain)
		n.want(t, "enp2s0f0", mixed)
		if diff := cmp.Diff(macs, n.adminMACs(t)); diff != "" {
			t.Errorf("the MACs (-before +after the boot):\n%s", diff)
		}
		units := n.units("sriov-config.service", "network-pre.target", "systemd-networkd.service", "kubelet.service", "daemon.service")
		service := units["sriov-config.service"]
		if service["Result"] != "success" || service["ExecMainExitTimestampMonotonic"] == "0" {
			t.Errorf("the service: %v\n%s", service, n.Shell(ctx, "journalctl -b -u sriov-config -o cat"))
		}
		n.startsAfter(units, "network-pre.target", "systemd-networkd.service", "kubelet.service")
		if got := units["daemon.service"]["InactiveExitTimestampMonotonic"]; got != "0" {
			t.Errorf("a daemon was started %s us after the boot", got)
		}

		identity := "udevadm settle; cat /sys/bus/pci/devices/0000:0[12]:00.0/virtfn*/net/*/ifindex; ls --full-time /etc/sriov-operator/pci"
		before := n.Shell(ctx, identity)
		n.Shell(ctx, "systemctl enable --now daemon")
		n.bootTold(metav1.ConditionTrue, reason.BootRestored, boot.BootID)
		if diff := cmp.Diff(before, n.Shell(ctx, identity)); diff != "" {
			t.Errorf("the daemon made VFs anew (-before +after):\n%s", diff)
		}
		said := n.Shell(ctx, "journalctl -b -u daemon -o cat")
		if strings.Count(said, `"msg":"decided"`) != 1 || !strings.Contains(said, `"need":"nothing"`) {
			t.Errorf("the daemon did more than to look:\n%s", said)
		}
	})

	t.Run("it cannot, and the daemon tells of it and mends it", func(t *testing.T) {
		n := n.in(t)
		n.Shell(ctx, "systemctl disable daemon; echo 'install vfio-pci /bin/false' >/etc/modprobe.d/broken.conf; sync")
		boot, err := n.HardReset(ctx)
		if err != nil {
			t.Fatal(err)
		}
		units := n.units("sriov-config.service", "kubelet.service", "multi-user.target")
		got := map[string]string{}
		for name, unit := range units {
			got[name] = unit["ActiveState"]
		}
		want := map[string]string{"sriov-config.service": "failed", "kubelet.service": "active", "multi-user.target": "active"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("units (-want +got):\n%s\n%s", diff, n.Shell(ctx, "journalctl -b -u sriov-config -o cat"))
		}
		n.startsAfter(units, "kubelet.service")
		n.want(t, "enp1s0f0", plain) // whose VFs need nothing that fails

		n.Shell(ctx, "rm /etc/modprobe.d/broken.conf; systemctl enable --now daemon")
		n.bootTold(metav1.ConditionFalse, reason.BootRestoreFailed, boot.BootID, "load module vfio", reason.BootRestoreFailed.Fix())
		n.want(t, "enp1s0f0", plain)
		n.want(t, "enp2s0f0", mixed)
	})

	t.Run("in mode daemon nothing of it is left", func(t *testing.T) {
		n := n.in(t)
		n.restoresAtBoot(false)
		n.await("no word of a boot", func(s *sriovv1.SriovNetworkNodeState) string {
			if c := meta.FindStatusCondition(s.Status.Conditions, sriovv1.ConditionRestoredAtBoot); c != nil {
				return c.Message
			}
			return ""
		})
		if left := n.Shell(ctx, "find /etc -name 'sriov-config*' -o -name 'sriov-interface-*'"); left != "" {
			t.Errorf("left behind:\n%s", left)
		}
		n.synced(3)
		n.want(t, "enp1s0f0", plain)
		told := &corev1.EventList{}
		if err := n.api.List(ctx, told); err != nil {
			t.Fatal(err)
		}
		var of []string
		for i := range told.Items {
			if strings.HasPrefix(told.Items[i].Reason, "BootRestore") {
				of = append(of, told.Items[i].Message)
			}
		}
		if len(of) != 1 || !strings.Contains(of[0], "load module vfio") {
			t.Errorf("of boots, these were told: %q", of)
		}
	})
}

// restoresAtBoot gives the daemon the mode systemd, with the program on the host as its init container brings it, or the
// mode daemon.
func (n *clusterNode) restoresAtBoot(is bool) {
	n.t.Helper()
	script := "rm /etc/systemd/system/daemon.service.d/mode.conf"
	if is {
		script = `command=$(sed -n s/^ExecStart=//p /etc/systemd/system/daemon.service)
			mkdir -p /etc/systemd/system/daemon.service.d
			cat >/etc/systemd/system/daemon.service.d/mode.conf <<-end
				[Service]
				ExecStartPre=${command%% *} install --host=/
				ExecStart=
				ExecStart=$command --use-systemd-service
			end`
	}
	n.Shell(n.t.Context(), script+"\nsystemctl daemon-reload\nsystemctl restart daemon")
}

// units are what systemd says of units: how they are, and when they began and ended.
func (n *clusterNode) units(names ...string) map[string]map[string]string {
	n.t.Helper()
	const about = "Id,ActiveState,Result,InactiveExitTimestampMonotonic,ExecMainExitTimestampMonotonic"
	out := map[string]map[string]string{}
	for text := range strings.SplitSeq(n.Shell(n.t.Context(), "systemctl show -p "+about+" "+strings.Join(names, " ")), "\n\n") {
		unit := map[string]string{}
		for line := range strings.Lines(text) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			unit[name] = value
		}
		out[unit["Id"]] = unit
	}
	return out
}

// startsAfter wants that these units were started, and not before the service at boot had ended.
func (n *clusterNode) startsAfter(units map[string]map[string]string, names ...string) {
	n.t.Helper()
	at := func(unit, what string) int {
		n.t.Helper()
		us, err := strconv.Atoi(units[unit][what])
		if err != nil || us == 0 {
			n.t.Fatalf("%s of %s is %q", what, unit, units[unit][what])
		}
		return us
	}
	ended := at("sriov-config.service", "ExecMainExitTimestampMonotonic")
	n.t.Logf("the service took %d ms", (ended-at("sriov-config.service", "InactiveExitTimestampMonotonic"))/1000)
	for _, name := range names {
		if began := at(name, "InactiveExitTimestampMonotonic"); began < ended {
			n.t.Errorf("%s began %d ms before the service had ended", name, (ended-began)/1000)
		}
	}
}

// bootTold waits until the node is as desired and its state tells of the boot in these words.
func (n *clusterNode) bootTold(is metav1.ConditionStatus, why reason.Reason, words ...string) {
	n.t.Helper()
	n.await("word of the boot", func(s *sriovv1.SriovNetworkNodeState) string {
		c := meta.FindStatusCondition(s.Status.Conditions, sriovv1.ConditionRestoredAtBoot)
		if c == nil || c.Status != is || c.Reason != string(why) || s.Status.SyncStatus != sriovv1.SyncStatusSucceeded || s.Status.Plan != nil {
			return string(s.Status.SyncStatus) + " " + s.Status.LastSyncError + describe(c)
		}
		for _, word := range words {
			if !strings.Contains(c.Message, word) {
				return describe(c) + ", without " + word
			}
		}
		return ""
	})
}

func describe(c *metav1.Condition) string {
	if c == nil {
		return "no condition"
	}
	return string(c.Status) + " " + c.Reason + ": " + c.Message
}
