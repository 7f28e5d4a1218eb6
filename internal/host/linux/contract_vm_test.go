// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && vm

package linux

import (
	"encoding/binary"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/host/contract"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// These tests run as root in a virtual machine whose NICs are QEMU's igb; package
// test/vm starts them there.

// The guest has two cards with two ports each.
const (
	plainPF = "0000:01:00.0"
	eswPF   = "0000:02:00.0" // Gets an eSwitch from the test module sriov_esw.
)

func TestTheKernelKeepsTheContract(t *testing.T) {
	contract.Run(t, func(t *testing.T) contract.Subject {
		t.Helper()
		h := machine(t)
		return contract.Subject{Host: h, PFs: []contract.PF{igb(t, h, plainPF)}}
	})
}

func TestTheKernelKeepsTheContractOfAnEswitch(t *testing.T) {
	command(t, "modprobe", "sriov_esw", "pf="+eswPF)
	t.Cleanup(func() { command(t, "rmmod", "sriov_esw") })
	contract.Run(t, func(t *testing.T) contract.Subject {
		t.Helper()
		h := machine(t)
		pf := igb(t, h, eswPF)
		pf.HasEswitch, pf.PortName = true, "p0"
		return contract.Subject{Host: h, PFs: []contract.PF{pf}}
	})
}

// igb is what is true of QEMU's igb with the kernel's drivers igb and igbvf.
func igb(t *testing.T, h host.Host, addr string) contract.PF {
	t.Helper()
	pf := contract.PF{
		Addr: pci(t, addr), TotalVFs: 7, VFDriver: "igbvf", VFModule: "igbvf", MTU: 1500,
		HasVFIO: true, MACNeedsUp: true, ListsOwnMAC: true,
	}
	pf.SetDown = func(t *testing.T) {
		t.Helper()
		name, err := host.PFNetdev(h.Files, pf.Addr)
		if err != nil {
			t.Fatal(err)
		}
		header := linkHeader(linkNamed(t, h, name).Index)
		binary.NativeEndian.PutUint32(header[12:], unix.IFF_UP) // ifi_change; ifi_flags stays zero
		if err := setLink(t.Context(), header, nil); err != nil {
			t.Fatal(err)
		}
	}
	pf.Hold = func(t *testing.T, vf hw.VFRef) func() {
		t.Helper()
		return hold(t, h, vf)
	}
	pf.UnloadVFDriver = func(t *testing.T) {
		t.Helper()
		command(t, "modprobe", "-r", pf.VFModule)
	}
	return pf
}

func machine(t *testing.T) host.Host {
	t.Helper()
	h, err := New("/")
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func pci(t *testing.T, s string) hw.PCIAddr {
	t.Helper()
	addr, err := hw.ParsePCIAddr(s)
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

func linkNamed(t *testing.T, h host.Host, name string) host.Link {
	t.Helper()
	all, err := h.Links.Links(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range all {
		if l.Name == name {
			return l
		}
	}
	t.Fatalf("no link is named %s", name)
	return host.Link{}
}

// command runs a program of the guest.
func command(t *testing.T, name string, args ...string) {
	t.Helper()
	// The test's context has ended when its cleanup runs.
	if output, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, output)
	}
}
