// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

func addr(s string) hw.PCIAddr {
	a, err := hw.ParsePCIAddr(s)
	if err != nil {
		panic(err)
	}
	return a
}

// describedPF is a port of the ConnectX-5 that the project's description shows.
func describedPF(function int, name string, mac hw.MAC) hw.PF {
	pf := hw.PF{
		Addr: addr(fmt.Sprintf("0000:5f:00.%d", function)), VendorID: "15b3", DeviceID: "1017", Driver: "mlx5_core",
		Netdev: name, MAC: mac, MTU: hw.Read(1500), LinkType: hw.LinkEthernet, AdminUp: true, SpeedMbps: hw.Read(25000),
		TotalVFs: 3, NumVFs: 3, Eswitch: hw.Read(hw.EswitchLegacy),
	}
	for i := range 3 {
		pf.VFs = append(pf.VFs, hw.VF{
			Index: i, Addr: addr("0000:5f:00.0").Routed(2 + 3*function + i), VendorID: "15b3", DeviceID: "1018",
			Driver: "mlx5_core", NodeGUID: hw.Unreadable[hw.GUID]("no RDMA device"),
		})
	}
	return pf
}

func described() (desired.Node, hw.Inventory) {
	wish := func(a, name string) desired.PF {
		return desired.PF{
			Addr: addr(a), Name: name, NumVFs: 3, Eswitch: hw.EswitchSwitchdev,
			Groups: []desired.Group{{Policy: "policy", Resource: "cx_sriov_switchdev", Range: hw.VFRange{First: 0, Last: 2}}},
		}
	}
	node, _ := desired.New([]desired.PF{wish("0000:5f:00.1", "ens41f1np1"), wish("0000:5f:00.0", "ens41f0np0")}, "")
	return node, hw.Inventory{PFs: []hw.PF{
		describedPF(1, "ens41f1np1", "08:c0:eb:f4:85:bb"), describedPF(0, "ens41f0np0", "08:c0:eb:f4:85:ab"),
	}}
}

// The node state of the project's description: every field that it shows, with
// its value. Beyond it come deviceType, which other software reads, the state of
// link and eSwitch, and vfID (D15); linkSeed is spelt linkSpeed (D14).
func TestTheDescribedNodeStateComesOut(t *testing.T) {
	node, inv := described()
	got, err := yaml.Marshal(sriovv1.SriovNetworkNodeState{
		Spec: Spec(node), Status: sriovv1.SriovNetworkNodeStateStatus{Interfaces: Status(inv)},
	})
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/node-state.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var a, b any
	if err := yaml.Unmarshal(want, &a); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(got, &b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestD15TheDescribedNodeStateIsReadWithUnquotedIDs(t *testing.T) {
	doc, err := os.ReadFile("testdata/described.yaml")
	if err != nil {
		t.Fatal(err)
	}
	state, err := DecodeNodeState(doc)
	if err != nil {
		t.Fatal(err)
	}
	node, problems := Desired(state.Spec)
	wantNode, wantInv := described()
	if len(problems) != 0 || !node.Equal(wantNode) {
		t.Errorf("spec: %+v, %v", node.PFs(), problems)
	}
	inv := Inventory(state.Status)
	want := hw.Inventory{PFs: wantInv.PFs[1:]}
	ignore := cmpopts.IgnoreFields(hw.PF{}, "AdminUp", "Eswitch", "Autoprobe")
	unknown := cmpopts.IgnoreFields(hw.VF{}, "NodeGUID", "AdminMAC")
	rdma := cmpopts.IgnoreFields(hw.Inventory{}, "RDMA")
	if diff := cmp.Diff(want, inv, ignore, unknown, rdma); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

func TestStatusIsSpelledAsOthersReadIt(t *testing.T) {
	pf := hw.PF{
		Addr: addr("0000:d8:00.0"), VendorID: "15b3", DeviceID: "101b", Driver: "mlx5_core", Unlisted: true,
		Netdev: "ib0", AltNames: []string{"ibp216s0"}, MTU: hw.Unreadable[int]("EIO"), LinkType: hw.LinkInfiniBand,
		SpeedMbps: hw.Unreadable[int]("the link is down"), NetFilter: "openstack/NetworkID:1", TotalVFs: 8, NumVFs: 2,
		Eswitch: hw.Unreadable[hw.EswitchMode]("EBUSY"), InUseBy: []string{"default route"},
		VFs: []hw.VF{
			{
				Index: 0, Addr: addr("0000:d8:00.1"), Driver: "mlx5_core", Netdev: "ib0v0", MAC: "00:00:00:00:00:01", MTU: 2044,
				RDMADevice: "mlx5_1", NodeGUID: hw.Read(hw.GUID(0x0002c90300001234)), VDPA: hw.VDPAVhost, Representor: "ib0_0",
			},
			{
				Index: 1, Addr: addr("0000:d8:00.2"), Driver: "vfio-pci", AdminMAC: hw.Read(hw.MAC("02:00:00:00:00:07")),
				RDMADevice: "mlx5_2", NodeGUID: hw.Read(hw.GUID(0)),
			},
		},
	}
	got, err := json.Marshal(Status(hw.Inventory{PFs: []hw.PF{pf}}))
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"name":"ib0","driver":"mlx5_core","pciAddress":"0000:d8:00.0","vendor":"15b3","deviceID":"101b","netFilter":"openstack/NetworkID:1",` +
		`"numVfs":2,"linkType":"IB","linkAdminState":"down","totalvfs":8,"Vfs":[` +
		`{"name":"ib0v0","mac":"00:00:00:00:00:01","driver":"mlx5_core","pciAddress":"0000:d8:00.1","mtu":2044,"vfID":0,"vdpaType":"vhost","representorName":"ib0_0","guid":"0002:c903:0000:1234"},` +
		`{"mac":"02:00:00:00:00:07","driver":"vfio-pci","pciAddress":"0000:d8:00.2","vfID":1,"guid":"0000:0000:0000:0000"}],` +
		`"altNames":["ibp216s0"],"unlisted":true,"inUseBy":["default route"],` +
		`"warnings":["mtu could not be read: EIO","eSwitchMode could not be read: EBUSY"]}]`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheRDMAModeGoesThereAndBack(t *testing.T) {
	if got := System(hw.Inventory{RDMA: hw.Read(hw.RDMAExclusive)}); got.RdmaMode != "exclusive" {
		t.Errorf("got %q", got.RdmaMode)
	}
	if got := System(hw.Inventory{RDMA: hw.Unreadable[hw.RDMAMode]("no RDMA")}); got.RdmaMode != "" {
		t.Errorf("got %q", got.RdmaMode)
	}
	inv := Inventory(sriovv1.SriovNetworkNodeStateStatus{System: sriovv1.System{RdmaMode: "shared"}})
	if mode, ok := inv.RDMA.Get(); !ok || mode != hw.RDMAShared {
		t.Errorf("got %v, %v", mode, ok)
	}
}

func TestADeviceThatIsItsOwnVFIsVirtual(t *testing.T) {
	inv := Inventory(sriovv1.SriovNetworkNodeStateStatus{Interfaces: []sriovv1.InterfaceExt{
		{PciAddress: "0000:00:05.0", VFs: []sriovv1.VirtualFunction{{PciAddress: "0000:00:05.0"}}},
		{PciAddress: "0000:00:06.0", VFs: []sriovv1.VirtualFunction{{PciAddress: "0000:00:06.1"}}},
		{PciAddress: "0000:00:07.0"},
	}})
	if !inv.PFs[0].Virtual || inv.PFs[1].Virtual || inv.PFs[2].Virtual {
		t.Errorf("virtual: %v %v %v", inv.PFs[0].Virtual, inv.PFs[1].Virtual, inv.PFs[2].Virtual)
	}
}

func TestWhatCannotBeReadIsToldAndTheRestCounts(t *testing.T) {
	node, problems := Desired(sriovv1.SriovNetworkNodeStateSpec{
		Interfaces: []sriovv1.Interface{
			{PciAddress: "5f:00.0", NumVfs: 1},
			{PciAddress: "0000:5f:00.0", NumVfs: 4, LinkType: "token-ring", VfGroups: []sriovv1.VfGroup{
				{PolicyName: "a", VfRange: "3"}, {PolicyName: "b", VfRange: "0-1"},
			}},
			{PciAddress: "0000:5f:00.0", NumVfs: 2},
			{PciAddress: "0000:5f:00.1", NumVfs: 1, VfGroups: []sriovv1.VfGroup{{VfRange: "0-3"}}},
			{PciAddress: "0000:5f:00.2", LinkType: "ib"},
		},
		Bridges: sriovv1.Bridges{OVS: []sriovv1.OVSConfigExt{{Name: "br-1"}}},
		System:  sriovv1.System{RdmaMode: "maybe"},
	})
	var got []string
	for _, p := range problems {
		got = append(got, p.String())
	}
	want := []string{
		`spec.interfaces[0].pciAddress: PCI address "5f:00.0": three parts separated by ':' are needed; it is written like 0000:5f:00.1`,
		`spec.interfaces[1].linkType: "token-ring" is neither ETH nor IB; it is left alone`,
		`spec.interfaces[1].vfGroups[0].vfRange: VF range "3": it needs a first and a last index, like 2-5`,
		`spec.system.rdmaMode: "maybe" is neither shared nor exclusive; it is left alone`,
		`spec.bridges: bridges are not configured by this version`,
		`spec.interfaces: 0000:5f:00.0 is asked for twice`,
		`spec.interfaces: 0000:5f:00.1: VF group 0-3 of policy : the range reaches past numVfs 1`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	pf, ok := node.PF(addr("0000:5f:00.0"))
	if !ok || len(pf.Groups) != 1 || pf.Groups[0].Policy != "b" || node.RDMAMode() != "" {
		t.Errorf("kept: %+v, %v", pf, ok)
	}
	if pf, ok := node.PF(addr("0000:5f:00.2")); !ok || pf.LinkType != hw.LinkInfiniBand {
		t.Errorf("a link type in lower case: %+v, %v", pf, ok)
	}
}

func TestAStatusThatCannotBeReadIsToldAndTheRestCounts(t *testing.T) {
	inv := Inventory(sriovv1.SriovNetworkNodeStateStatus{Interfaces: []sriovv1.InterfaceExt{
		{PciAddress: "x"},
		{
			PciAddress: "0000:5f:00.0", Vendor: "Intel", Mac: "zz", LinkSpeed: "fast", LinkType: "x",
			VFs: []sriovv1.VirtualFunction{{PciAddress: "y"}, {PciAddress: "0000:5f:00.1", DeviceID: "?", GUID: "1"}},
		},
		{PciAddress: "0000:5f:00.1", LinkSpeed: "-1 Mb/s"},
	}})
	if len(inv.PFs) != 2 || len(inv.PFs[0].VFs) != 1 || len(inv.Problems) != 8 {
		t.Errorf("%d PFs, problems:\n%s", len(inv.PFs), strings.Join(inv.Problems, "\n"))
	}
	if _, ok := inv.PFs[1].SpeedMbps.Get(); ok {
		t.Error("-1 Mb/s is a speed")
	}
}

// anyNode draws a node that desired.New accepts.
func anyNode(t *rapid.T) desired.Node {
	var pfs []desired.PF
	for i := range rapid.IntRange(0, 4).Draw(t, "PFs") {
		pf := desired.PF{
			Addr: hw.PCIAddr{Domain: rapid.SampledFrom([]uint32{0, 0x10000}).Draw(t, "domain"), Bus: uint8(i + 1)},
			Name: rapid.StringMatching(`[a-z0-9]{0,15}`).Draw(t, "name"),
			MTU:  rapid.SampledFrom([]int{0, 1500, 9000}).Draw(t, "mtu"), NumVFs: rapid.IntRange(0, 16).Draw(t, "numVfs"),
			Eswitch:           rapid.SampledFrom([]hw.EswitchMode{"", hw.EswitchLegacy, hw.EswitchSwitchdev}).Draw(t, "mode"),
			LinkType:          rapid.SampledFrom([]hw.LinkType{"", hw.LinkEthernet, hw.LinkInfiniBand}).Draw(t, "link"),
			ExternallyManaged: rapid.Bool().Draw(t, "external"), AllowInUse: rapid.Bool().Draw(t, "in use"), AllowUnlisted: rapid.Bool().Draw(t, "unlisted"),
		}
		for first := 0; first < pf.NumVFs; {
			last := rapid.IntRange(first, pf.NumVFs-1).Draw(t, "last")
			if rapid.Bool().Draw(t, "group") {
				pf.Groups = append(pf.Groups, desired.Group{
					Policy: rapid.StringMatching(`[a-z/.-]{1,9}`).Draw(t, "policy"), Resource: "r", Range: hw.VFRange{First: first, Last: last},
					Driver: rapid.SampledFrom([]desired.Driver{"", desired.Kernel, desired.VFIO}).Draw(t, "driver"),
					MTU:    rapid.SampledFrom([]int{0, 1500}).Draw(t, "VF mtu"), RDMA: rapid.Bool().Draw(t, "rdma"),
					VhostNet: rapid.Bool().Draw(t, "vhost"),
					VDPA:     rapid.SampledFrom([]hw.VDPAType{"", "", hw.VDPAVhost, hw.VDPAVirtio}).Draw(t, "vdpa"),
				})
			}
			first = last + 1
		}
		pfs = append(pfs, pf)
	}
	node, _ := desired.New(pfs, rapid.SampledFrom([]hw.RDMAMode{"", hw.RDMAShared, hw.RDMAExclusive}).Draw(t, "rdmaMode"))
	return node
}

// throughJSON is what a reader of the API gets.
func throughJSON[T any](t *rapid.T, v T) T {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out T
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestLawThereAndBackIsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		node := anyNode(t)
		spec := throughJSON(t, Spec(node))
		again, problems := Desired(spec)
		if len(problems) != 0 || !again.Equal(node) {
			t.Fatalf("node %+v\nspec %+v\nagain %+v\nproblems %v", node.PFs(), spec, again.PFs(), problems)
		}
		if diff := cmp.Diff(spec, throughJSON(t, Spec(again))); diff != "" {
			t.Fatalf("the spec, there and back (-want +got):\n%s", diff)
		}
	})
}

func TestLawAStatusIsTheSameThereAndBack(t *testing.T) {
	_, inv := described()
	want := Status(inv)
	if diff := cmp.Diff(want, Status(Inventory(sriovv1.SriovNetworkNodeStateStatus{Interfaces: want}))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	rapid.Check(t, func(t *rapid.T) {
		var inv hw.Inventory
		for i := range rapid.IntRange(0, 3).Draw(t, "PFs") {
			pf := describedPF(i, rapid.StringMatching(`[a-z0-9]{1,15}`).Draw(t, "name"), "02:00:00:00:00:01")
			pf.MTU = hw.Read(rapid.IntRange(68, 9978).Draw(t, "mtu"))
			pf.AdminUp, pf.Unlisted = rapid.Bool().Draw(t, "up"), rapid.Bool().Draw(t, "unlisted")
			pf.Eswitch = hw.Read(rapid.SampledFrom([]hw.EswitchMode{hw.EswitchLegacy, hw.EswitchSwitchdev}).Draw(t, "mode"))
			pf.SpeedMbps = known(rapid.SampledFrom([]int{0, 1000, 400000}).Draw(t, "speed"))
			pf.VFs = pf.VFs[:rapid.IntRange(0, 3).Draw(t, "VFs")]
			for j := range pf.VFs {
				pf.VFs[j].NodeGUID = hw.Read(hw.GUID(rapid.Uint64().Draw(t, "guid")))
			}
			inv.PFs = append(inv.PFs, pf)
		}
		want := throughJSON(t, Status(inv))
		back := Inventory(sriovv1.SriovNetworkNodeStateStatus{Interfaces: want})
		if diff := cmp.Diff(want, throughJSON(t, Status(back))); diff != "" || len(back.Problems) != 0 {
			t.Fatalf("(-want +got):\n%s\n%v", diff, back.Problems)
		}
	})
}
