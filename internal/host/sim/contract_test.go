// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package sim_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/kubeovn/sriov-network-operator/internal/host/contract"
	"github.com/kubeovn/sriov-network-operator/internal/host/sim"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// machine reads a described machine of test/machines.
func machine(t *testing.T, name string) *sim.Machine {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../../test/machines", name))
	if err != nil {
		t.Fatal(err)
	}
	m, err := sim.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func addr(t *testing.T, s string) hw.PCIAddr {
	t.Helper()
	a, err := hw.ParsePCIAddr(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// nic is a described PF with the traits of its model.
type nic struct {
	machine string
	pci     string
	pf      contract.PF
}

func nics() map[string]nic {
	mlx5 := contract.PF{
		TotalVFs: 8, VFDriver: "mlx5_core", VFModule: "mlx5_core", MTU: 1500, PortName: "p0", HasVFIO: true,
		HasEswitch: true, HasSteering: true, EswitchRefusal: syscall.EBUSY, VFMTUCapped: true, HasVDPA: true,
	}
	second := mlx5
	second.PortName = "p1"
	ib := mlx5
	ib.TotalVFs, ib.MTU, ib.InfiniBand, ib.HasEswitch, ib.HasSteering, ib.HasVDPA = 16, 2044, true, false, false, false
	ib.VFMTUCapped = false // a new VF has the PF's MTU of 2044 already
	return map[string]nic{
		"ConnectX-5":             {"two-port-connectx5.yaml", "0000:5f:00.0", mlx5},
		"ConnectX-5 second port": {"two-port-connectx5.yaml", "0000:5f:00.1", second},
		"ConnectX-6 InfiniBand":  {"connectx6-ib.yaml", "0000:3b:00.0", ib},
		"E810": {"e810.yaml", "0000:18:00.1", contract.PF{
			TotalVFs: 128, VFDriver: "iavf", VFModule: "iavf", MTU: 1500, PortName: "p1", HasVFIO: true,
			HasEswitch: true, EswitchBeforeVFs: true, EswitchRefusal: syscall.EOPNOTSUPP, ListsOwnMAC: true, VFMTUCapped: true,
		}},
		"X710": {"x710.yaml", "0000:af:00.1", contract.PF{
			TotalVFs: 64, VFDriver: "iavf", VFModule: "iavf", MTU: 1500, HasVFIO: true, ListsOwnMAC: true, VFMTUCapped: true,
		}},
		"82576": {"igb-4ports.yaml", "0000:01:00.0", contract.PF{
			TotalVFs: 7, VFDriver: "igbvf", VFModule: "igbvf", MTU: 1500, HasVFIO: true, MACNeedsUp: true, ListsOwnMAC: true,
		}},
	}
}

func TestEveryNICKeepsTheContract(t *testing.T) {
	for name, n := range nics() {
		t.Run(name, func(t *testing.T) {
			contract.Run(t, func(t *testing.T) contract.Subject {
				t.Helper()
				return subject(t, machine(t, n.machine), n)
			})
		})
	}
}

func TestTheContractHoldsWhenEverythingTakesTime(t *testing.T) {
	const ms = time.Millisecond
	for _, name := range []string{"ConnectX-5", "82576"} {
		t.Run(name, func(t *testing.T) {
			contract.Run(t, func(t *testing.T) contract.Subject {
				t.Helper()
				m := machine(t, nics()[name].machine)
				m.SetDelays(sim.Delays{
					NumVFs: ms, AddVF: ms, RemoveVF: ms, RemoveTail: 2 * ms, Bind: ms, Unbind: ms, MTU: ms, Up: ms, VFMAC: ms,
					Eswitch: ms, EswitchVF: ms, Param: ms, Module: ms, Conf: ms, Udev: 3 * ms, RescanLock: true,
				})
				return subject(t, m, nics()[name])
			})
		})
	}
}

func TestAMachineWithoutIOMMUKeepsTheContract(t *testing.T) {
	off := false
	m, err := sim.New(sim.Description{IOMMU: &off, PFs: []sim.PFDescription{{PCI: "0000:01:00.0", Model: "82576", Name: "eth1"}}})
	if err != nil {
		t.Fatal(err)
	}
	n := nics()["82576"]
	n.pf.HasVFIO, n.pf.NoIOMMU = false, true
	contract.Run(t, func(t *testing.T) contract.Subject {
		t.Helper()
		return subject(t, m, n)
	})
}

// undoing fails the test if something could not be done, or is not undone.
func undoing(t *testing.T, err error, undo func() error) func() {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := undo(); err != nil {
			t.Fatal(err)
		}
	}
}

func subject(t *testing.T, m *sim.Machine, n nic) contract.Subject {
	t.Helper()
	pf := n.pf
	pf.Addr = addr(t, n.pci)
	pf.SetDown = func(t *testing.T) {
		t.Helper()
		if err := m.SetDown(pf.Addr); err != nil {
			t.Fatal(err)
		}
	}
	pf.Take = func(t *testing.T, vf hw.VFRef) func() {
		t.Helper()
		return undoing(t, m.TakeVF(vf), func() error { return m.ReturnVF(vf) })
	}
	pf.Hold = func(t *testing.T, vf hw.VFRef) func() {
		t.Helper()
		return undoing(t, m.HoldVF(vf), func() error { return m.FreeVF(vf) })
	}
	if pf.VFDriver == "igbvf" {
		pf.UnloadVFDriver = func(t *testing.T) {
			t.Helper()
			if err := m.Unload("igbvf"); err != nil {
				t.Fatal(err)
			}
		}
	}
	return contract.Subject{Host: m.Host(), PFs: []contract.PF{pf}}
}

func TestEveryBootLoaderKeepsTheContract(t *testing.T) {
	for _, loader := range []hw.BootLoader{hw.Grubby, hw.RPMOSTree, hw.UpdateGrub} {
		t.Run(string(loader), func(t *testing.T) {
			m, err := sim.New(sim.Description{Boot: sim.BootDescription{Loader: string(loader), Args: "quiet amd_iommu=off"}})
			if err != nil {
				t.Fatal(err)
			}
			contract.RunBooting(t, contract.Booting{Host: m.Host(), Loader: loader, Foreign: "amd_iommu=off"})
		})
	}
}
