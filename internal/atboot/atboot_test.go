// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package atboot_test

import (
	"cmp"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/atboot"
	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/converge"
	"github.com/kubeovn/sriov-network-operator/internal/host/sim"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

func machine(t *testing.T) *sim.Machine {
	t.Helper()
	text, err := os.ReadFile("../../test/machines/two-port-connectx5.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m, err := sim.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func asking(numVFs int) atboot.Config {
	return atboot.Config{Spec: sriovv1.SriovNetworkNodeStateSpec{Interfaces: []sriovv1.Interface{{
		PciAddress: "0000:5f:00.0", Name: "ens41f0np0", NumVfs: numVFs,
		VfGroups: []sriovv1.VfGroup{{ResourceName: "a", PolicyName: "a", VfRange: "0-1", DeviceType: sriovv1.DeviceTypeNetdevice}},
	}}}}
}

func keep(t *testing.T, m *sim.Machine, c atboot.Config) {
	t.Helper()
	if err := atboot.Keep(t.Context(), m.Host(), c); err != nil {
		t.Fatal(err)
	}
}

func bootID(t *testing.T, m *sim.Machine) string {
	t.Helper()
	b, err := m.Reader().Boot.Running(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return b.ID
}

// boot restores the machine, and says how many VFs there are then and how it went.
func boot(t *testing.T, m *sim.Machine) (vfs int, status sriovv1.SyncStatus, why string) {
	t.Helper()
	err := atboot.Restore(t.Context(), atboot.Options{
		Host: m.Host(), Now: time.Now, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Patience: time.Second, Step: time.Minute,
	})
	result, _, read := atboot.At(m.Host().Files, bootID(t, m))
	if read != nil || err != nil && (result.SyncStatus != sriovv1.SyncStatusFailed || result.LastSyncError != err.Error()) {
		t.Errorf("it ends with %v, and wrote down %+v, %v", err, result, read)
	}
	seen, err := converge.Look(t.Context(), m.Reader(), catalog.Default())
	if err != nil {
		t.Fatal(err)
	}
	pf, _ := seen.Inventory.PF(hw.PCIAddr{Bus: 0x5f})
	return len(pf.VFs), result.SyncStatus, result.LastSyncError
}

func TestWhatWasAskedForLastIsThereAfterEveryBoot(t *testing.T) {
	m := machine(t)
	keep(t, m, asking(4))
	for range 3 {
		if vfs, status, why := boot(t, m); vfs != 4 || status != sriovv1.SyncStatusSucceeded {
			t.Errorf("%d VFs, %s %s", vfs, status, why)
		}
		m.Reboot()
		m.Revive()
	}
	keep(t, m, asking(2))
	if vfs, status, why := boot(t, m); vfs != 2 || status != sriovv1.SyncStatusSucceeded {
		t.Errorf("%d VFs, %s %s", vfs, status, why)
	}
}

func TestAVFThatSomebodyHoldsIsNotTaken(t *testing.T) {
	m := machine(t)
	keep(t, m, asking(4))
	boot(t, m)
	if err := m.TakeVF(hw.VFRef{PF: hw.PCIAddr{Bus: 0x5f}, Index: 0}); err != nil {
		t.Fatal(err)
	}
	keep(t, m, asking(5))
	if vfs, status, why := boot(t, m); vfs != 4 || status != sriovv1.SyncStatusFailed || !strings.Contains(why, "left to do") {
		t.Errorf("%d VFs, %s %s", vfs, status, why)
	}
}

func TestAPFThatNobodyAsksForIsLeftToTheDaemon(t *testing.T) {
	m := machine(t)
	keep(t, m, asking(4))
	boot(t, m)
	keep(t, m, atboot.Config{})
	if vfs, status, why := boot(t, m); vfs != 4 || status != sriovv1.SyncStatusSucceeded {
		t.Errorf("%d VFs, %s %s", vfs, status, why)
	}
}

func TestAFailureIsWrittenDown(t *testing.T) {
	m := machine(t)
	keep(t, m, asking(4))
	m.Fail("sys/bus/pci/devices/0000:5f:00.0/sriov_numvfs", fs.ErrPermission)
	if vfs, status, why := boot(t, m); vfs != 0 || status != sriovv1.SyncStatusFailed || !strings.Contains(why, "sriov_numvfs") {
		t.Errorf("%d VFs, %s %s", vfs, status, why)
	}
}

func TestAPartThatCannotBeReadIsAFailureAndTheRestIsDone(t *testing.T) {
	m := machine(t)
	c := asking(4)
	c.Spec.Interfaces = append(c.Spec.Interfaces, sriovv1.Interface{PciAddress: "5f:00.1", NumVfs: 1})
	keep(t, m, c)
	if vfs, status, why := boot(t, m); vfs != 4 || status != sriovv1.SyncStatusFailed || !strings.Contains(why, "5f:00.1") {
		t.Errorf("%d VFs, %s %s", vfs, status, why)
	}
	if err := m.Host().Conf.Replace(t.Context(), "etc/sriov-operator/sriov-interface-config.yaml", []byte("spec: ["), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, status, why := boot(t, m); status != sriovv1.SyncStatusFailed || !strings.Contains(why, "sriov-interface-config.yaml") {
		t.Errorf("%s %s", status, why)
	}
}

func TestABootOfWhichNothingIsKnownIsToldFromOneThatHadNothingToDo(t *testing.T) {
	m := machine(t)
	verdict := func() string {
		t.Helper()
		r, is, err := atboot.At(m.Host().Files, bootID(t, m))
		if err != nil {
			t.Fatal(err)
		}
		if !is {
			return "nothing to do"
		}
		return cmp.Or(string(r.SyncStatus), "unknown")
	}
	next := func() { m.Reboot(); m.Revive() }
	var got []string
	see := func() { got = append(got, verdict()) }
	see()
	keep(t, m, asking(4))
	see() // no boot was to restore it yet
	next()
	boot(t, m)
	see()
	keep(t, m, asking(3)) // what is asked for changes, and nothing else
	see()
	next() // and the service does not run
	see()
	keep(t, m, asking(2))
	see()
	if err := atboot.Drop(t.Context(), m.Host()); err != nil {
		t.Fatal(err)
	}
	see()
	want := []string{"nothing to do", "nothing to do", "Succeeded", "Succeeded", "unknown", "unknown", "nothing to do"}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWhatIsThereIsNotWrittenAgainAndAllOfItGoes(t *testing.T) {
	m := machine(t)
	h := m.Host()
	for _, name := range []string{"etc/systemd/system/sriov-config-post-network.service", "etc/systemd/system/other.service"} {
		if err := h.Conf.Replace(t.Context(), name, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	keep(t, m, asking(4))
	unit, err := fs.ReadFile(h.Files, "etc/systemd/system/sriov-config.service")
	if err != nil || !strings.Contains(string(unit), "ExecStart=/"+atboot.Program+" service\n") {
		t.Errorf("the unit is %s, %v", unit, err)
	}
	before := m.Writes()
	keep(t, m, asking(4))
	if now := m.Writes(); now != before {
		t.Errorf("%d more writes", now-before)
	}
	boot(t, m)
	if err := atboot.Drop(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	var left []string
	err = fs.WalkDir(h.Files, "etc", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && (strings.Contains(name, "systemd") || strings.Contains(name, "interface")) {
			left = append(left, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff([]string{"etc/systemd/system/other.service"}, left); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWhatTheOperatorBeforeWroteIsRead(t *testing.T) {
	m := machine(t)
	text := `spec:
  interfaces:
  - pciaddress: "0000:5f:00.0"
    numvfs: 3
    mtu: 0
    name: ens41f0np0
    linktype: ""
    eswitchmode: ""
    vfgroups:
    - {resourcename: a, devicetype: netdevice, vfrange: 0-2, policyname: a, mtu: 0, isrdma: false, vdpatype: ""}
    externallymanaged: false
  bridges: {ovs: []}
  system: {rdmamode: ""}
unsupportedNics: false
platformType: 0
`
	if err := m.Host().Conf.Replace(t.Context(), "etc/sriov-operator/sriov-interface-config.yaml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if vfs, status, why := boot(t, m); vfs != 3 || status != sriovv1.SyncStatusSucceeded {
		t.Errorf("%d VFs, %s %s", vfs, status, why)
	}
}
