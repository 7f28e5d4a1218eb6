// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package discover_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/discover"
	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/host/sim"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

func described(t *testing.T, name string) *sim.Machine {
	t.Helper()
	text, err := os.ReadFile("../../test/machines/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(text))
}

func parse(t *testing.T, text string) *sim.Machine {
	t.Helper()
	m, err := sim.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func look(t *testing.T, m *sim.Machine) hw.Inventory {
	t.Helper()
	inv, err := discover.Machine(t.Context(), m.Reader(), catalog.Default())
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

func pf(t *testing.T, inv hw.Inventory, addr string) hw.PF {
	t.Helper()
	a, err := hw.ParsePCIAddr(addr)
	if err != nil {
		t.Fatal(err)
	}
	found, ok := inv.PF(a)
	if !ok {
		t.Fatalf("%s is not discovered; problems: %v", addr, inv.Problems)
	}
	return found
}

// What runs over a PF is found through bonds, VLANs, bridges and OVS, and in no
// other direction: what hangs on the same bridge is not on this PF.
func TestWhatOfTheHostRunsOverAPFIsMarked(t *testing.T) {
	inv := look(t, parse(t, `
pfs:
- {pci: "0000:01:00.0", model: "82576", name: eth0, mac: "02:00:00:00:00:01"}
- {pci: "0000:01:00.1", model: "82576", name: eth1, mac: "02:00:00:00:00:02"}
- {pci: "0000:02:00.0", model: "82576", name: eth2, mac: "02:00:00:00:00:03"}
- {pci: "0000:02:00.1", model: "82576", name: eth3, mac: "02:00:00:00:00:04"}
- {pci: "0000:03:00.0", model: "82576", name: eth4, mac: "02:00:00:00:00:05"}
- {pci: "0000:03:00.1", model: "82576", name: eth5, mac: "02:00:00:00:00:06"}
links:
- {name: bond0, kind: bond, members: [eth0]}
- {name: bond0.7, kind: vlan, parent: bond0}
- {name: br0, kind: bridge, members: [bond0.7]}
- {name: ovs-system, kind: openvswitch, members: [eth1]}
- {name: eth2.5, kind: vlan, parent: eth2}
- {name: eth4.9, kind: vlan, parent: eth4}
defaultRoutes: [br0, eth3, eth4.9]
`))
	for addr, want := range map[string][]string{
		"0000:01:00.0": {"bond bond0", "bridge br0", "default route via br0"},
		"0000:01:00.1": {"OVS bridge"},
		"0000:02:00.0": nil, // a VLAN that carries nothing of the host
		"0000:02:00.1": {"default route via eth3"},
		"0000:03:00.0": {"default route via eth4.9"},
		"0000:03:00.1": nil,
	} {
		if diff := cmp.Diff(want, pf(t, inv, addr).InUseBy); diff != "" {
			t.Errorf("%s (-want +got):\n%s", addr, diff)
		}
	}
}

// What leads to the API server is the host's also where no default route does, and
// so is the PF that holds the node's address.
func TestWhatALifelineRunsOverIsTheHosts(t *testing.T) {
	m := parse(t, `
pfs:
- {pci: "0000:01:00.0", model: "82576", name: eth0, mac: "02:00:00:00:00:01"}
- {pci: "0000:01:00.1", model: "82576", name: eth1, mac: "02:00:00:00:00:02"}
- {pci: "0000:02:00.0", model: "82576", name: eth2, mac: "02:00:00:00:00:03"}
links:
- {name: eth1.5, kind: vlan, parent: eth1}
defaultRoutes: [eth0]
routes:
- {to: 10.0.0.0/8, over: eth2}
- {to: 10.5.0.0/16, over: eth1.5}
`)
	line := func(is, addr string) hw.Lifeline { return hw.Lifeline{Is: is, Addr: netip.MustParseAddr(addr)} }
	inv, err := discover.Machine(t.Context(), m.Reader(), catalog.Default(),
		line("connection to the API server", "10.5.0.9"), line("address of this node", "10.1.0.7"),
		line("connection to the API server", "127.0.0.1"), line("connection to the API server", "fe80::1"))
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string][]string{
		"0000:01:00.0": {"default route via eth0"},
		"0000:01:00.1": {"connection to the API server via eth1.5"},
		"0000:02:00.0": {"address of this node via eth2"},
	} {
		if diff := cmp.Diff(want, pf(t, inv, addr).InUseBy); diff != "" {
			t.Errorf("%s (-want +got):\n%s", addr, diff)
		}
	}
	m.Fail("read:route:10.5.0.9", unix.ENOBUFS)
	if _, err := discover.Machine(t.Context(), m.Reader(), catalog.Default(), line("connection to the API server", "10.5.0.9")); !errors.Is(err, unix.ENOBUFS) {
		t.Errorf("a route that cannot be found: %v", err)
	}
}

func TestABrokenDeviceHidesNoOther(t *testing.T) {
	m := described(t, "two-port-connectx5")
	m.Fail("read:sys/bus/pci/devices/0000:5f:00.0/sriov_totalvfs", unix.EIO)
	inv := look(t, m)
	if len(inv.PFs) != 1 || inv.PFs[0].Netdev != "ens41f1np1" {
		t.Errorf("discovered %+v", inv.PFs)
	}
	if len(inv.Problems) != 1 || !strings.Contains(inv.Problems[0], "0000:5f:00.0") || !strings.Contains(inv.Problems[0], "input/output error") {
		t.Errorf("problems: %v", inv.Problems)
	}
}

func TestAModeThatCannotBeReadIsUnknownAndNotLegacy(t *testing.T) {
	m := described(t, "two-port-connectx5")
	m.Fail("read:devlink:0000:5f:00.0/eswitch", unix.EIO)
	got := pf(t, look(t, m), "0000:5f:00.0").Eswitch
	if mode, known := got.Get(); known || !strings.Contains(got.Unknown, "input/output error") {
		t.Errorf("mode %q, unknown because %q", mode, got.Unknown)
	}
}

func TestADriverWithoutAnEswitchIsLegacy(t *testing.T) {
	got := pf(t, look(t, described(t, "igb-4ports")), "0000:01:00.0")
	if mode, known := got.Eswitch.Get(); !known || mode != hw.EswitchLegacy || !got.EswitchAbsent {
		t.Errorf("mode %q, known %t, absent %t", mode, known, got.EswitchAbsent)
	}
}

func TestAMachineWhoseNetdevsCannotBeListedIsAnError(t *testing.T) {
	m := described(t, "igb-4ports")
	m.Fail("read:links", unix.EPERM)
	if _, err := discover.Machine(t.Context(), m.Reader(), catalog.Default()); !errors.Is(err, unix.EPERM) {
		t.Errorf("got %v", err)
	}
}

func TestDiscoveryEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := discover.Machine(ctx, described(t, "igb-4ports").Reader(), catalog.Default()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestAVFInAPodIsAway(t *testing.T) {
	m := parse(t, `
pfs:
- pci: "0000:01:00.0"
  model: "82576"
  name: eth0
  mac: "02:00:00:00:00:01"
  numvfs: 3
  vfs: [{index: 1, away: true}, {index: 2, driver: vfio-pci}]
`)
	vfs := pf(t, look(t, m), "0000:01:00.0").VFs
	if len(vfs) != 3 || vfs[0].Away || !vfs[1].Away || vfs[2].Away || vfs[2].Driver != "vfio-pci" || vfs[0].Netdev == "" {
		t.Errorf("VFs: %+v", vfs)
	}
}

// The netdevs of virtio functions stand one device deeper than others.
func TestAVFOfAVirtioNICIsInUseOnlyWhenItsNetdevIsAway(t *testing.T) {
	m := parse(t, `
pfs:
- pci: "0000:09:00.0"
  model: virtio 1.0
  name: eth0
  mac: "02:00:00:00:00:01"
  virtual: false
  totalvfs: 4
  numvfs: 2
  vfs: [{index: 1, away: true}]
`)
	got := pf(t, look(t, m), "0000:09:00.0")
	if got.Virtual || got.Netdev != "eth0" || len(got.VFs) != 2 {
		t.Fatalf("got %+v", got)
	}
	if vf := got.VFs[0]; vf.Away || vf.Netdev == "" || vf.MAC.IsZero() {
		t.Errorf("the VF of the host: %+v", vf)
	}
	if vf := got.VFs[1]; !vf.Away || vf.Netdev != "" {
		t.Errorf("the VF of a pod: %+v", vf)
	}
}

func TestRepresentorsBelongToTheirVFsAndAreNoPF(t *testing.T) {
	m := parse(t, `
pfs:
- {pci: "0000:5f:00.0", model: ConnectX-5, name: ens1f0, mac: "08:c0:eb:f4:85:ab", totalvfs: 8, numvfs: 3, eswitch: switchdev}
`)
	got := pf(t, look(t, m), "0000:5f:00.0")
	if got.Netdev != "ens1f0" || got.PhysSwitchID == "" || got.PhysPortName != "p0" {
		t.Errorf("PF: %s, switch %q, port %q", got.Netdev, got.PhysSwitchID, got.PhysPortName)
	}
	seen := map[string]bool{}
	for _, vf := range got.VFs {
		if vf.Representor == "" || seen[vf.Representor] {
			t.Errorf("VF %d has the representor %q", vf.Index, vf.Representor)
		}
		seen[vf.Representor] = true
	}
}

func TestADeviceOfAVirtualMachineIsItsOwnVF(t *testing.T) {
	inv := look(t, described(t, "virtio-guest"))
	if len(inv.PFs) == 0 {
		t.Fatalf("nothing is discovered: %v", inv.Problems)
	}
	got := inv.PFs[0]
	if !got.Virtual || got.NumVFs != 1 || len(got.VFs) != 1 || got.VFs[0].Addr != got.Addr {
		t.Errorf("got %+v", got)
	}
}

func TestANICThatIsNotListedIsShownAndMarked(t *testing.T) {
	m := described(t, "two-port-connectx5")
	inv, err := discover.Machine(t.Context(), m.Reader(), catalog.Table{})
	if err != nil {
		t.Fatal(err)
	}
	if len(inv.PFs) != 2 || !inv.PFs[0].Unlisted {
		t.Errorf("got %+v", inv.PFs)
	}
}

// A netdev that appeared after the list was read is read from sysfs.
func TestAVFThatIsYoungerThanTheListOfNetdevsIsReadAllTheSame(t *testing.T) {
	m := parse(t, `
pfs:
- {pci: "0000:01:00.0", model: "82576", name: eth0, mac: "02:00:00:00:00:01", numvfs: 2}
`)
	r := m.Reader()
	r.Links = forgetful{LinkReader: r.Links, lost: "eth0v1"}
	whole := look(t, m)
	young, err := discover.Machine(t.Context(), r, catalog.Default())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(whole, young); diff != "" {
		t.Errorf("(-listed +not listed):\n%s", diff)
	}
}

// forgetful leaves one netdev out of the list.
type forgetful struct {
	host.LinkReader
	lost string
}

func (f forgetful) Links(ctx context.Context) ([]host.Link, error) {
	links, err := f.LinkReader.Links(ctx)
	return slices.DeleteFunc(links, func(l host.Link) bool { return l.Name == f.lost }), err
}
