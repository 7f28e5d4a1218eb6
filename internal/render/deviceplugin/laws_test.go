// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package deviceplugin_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/match"
	"github.com/kubeovn/sriov-network-operator/internal/render/deviceplugin"
)

// drawNode is a generated node: PFs of several models, some of which share the
// device id of their VFs, and policies that select them in every way.
func drawNode(t *rapid.T) node {
	var n node
	// 158b and 1572 share the VF device; 1017 of another vendor is in the list for
	// Mellanox alone.
	models := [][2]hw.ID{{"8086", "158b"}, {"8086", "1572"}, {"15b3", "1017"}, {"15b3", "101d"}, {"1af4", "1041"}, {"8086", "9999"}}
	for i := range rapid.IntRange(0, 4).Draw(t, "pfs") {
		model := rapid.SampledFrom(models).Draw(t, "model")
		n.has = append(n.has, hw.PF{
			Addr: hw.PCIAddr{Bus: uint8(i + 1)}, VendorID: model[0], DeviceID: model[1], LinkType: hw.LinkEthernet,
			Netdev: fmt.Sprintf("ens%d", i), AltNames: []string{fmt.Sprintf("enp%ds0", i+1)}, TotalVFs: 16,
			NumVFs: rapid.IntRange(0, 4).Draw(t, "vfs"), Virtual: model[0] == "1af4",
		})
		if n.has[i].Virtual {
			n.has[i].NetFilter = fmt.Sprintf("openstack/NetworkID:%d", i%2)
		}
	}
	for i := range rapid.IntRange(0, 5).Draw(t, "policies") {
		n.policies = append(n.policies, drawPolicy(t, fmt.Sprintf("p%d", i)))
	}
	n.should = resolve(n)
	return n
}

func drawPolicy(t *rapid.T, name string) sriovv1.SriovNetworkNodePolicy {
	p := policy(name, named(rapid.SampledFrom([]string{"r1", "r2", "r3"}).Draw(t, "resource")),
		numVFs(rapid.IntRange(0, 8).Draw(t, "numVfs")), priority(rapid.IntRange(0, 2).Draw(t, "priority")))
	entry := rapid.Custom(func(t *rapid.T) string {
		e := fmt.Sprintf(rapid.SampledFrom([]string{"ens%d", "enp%ds0", "ENS%d"}).Draw(t, "form"), rapid.IntRange(0, 4).Draw(t, "pf"))
		if rapid.Bool().Draw(t, "ranged") {
			first := rapid.IntRange(0, 7).Draw(t, "first")
			e += fmt.Sprintf("#%d-%d", first, first+rapid.IntRange(0, 3).Draw(t, "more"))
		}
		return e
	})
	nic := &p.Spec.NicSelector
	if rapid.Bool().Draw(t, "by name") {
		nic.PfNames = rapid.SliceOfN(entry, 1, 3).Draw(t, "pfNames")
	}
	if rapid.IntRange(0, 3).Draw(t, "by address") == 0 {
		nic.RootDevices = rapid.SliceOfN(rapid.SampledFrom([]string{"0000:01:00.0", "0000:02:00.0", "0000:03:00.0"}), 1, 2).Draw(t, "rootDevices")
	}
	nic.Vendor = rapid.SampledFrom([]string{"", "", "8086", "15b3", "1af4"}).Draw(t, "vendor")
	nic.DeviceID = rapid.SampledFrom([]string{"", "", "", "158b", "1017", "9999", "1041"}).Draw(t, "deviceID")
	if rapid.IntRange(0, 7).Draw(t, "by network") == 0 {
		nic.NetFilter = "openstack/NetworkID:0"
	}
	p.Spec.IsRdma, p.Spec.NeedVhostNet = rapid.Bool().Draw(t, "isRdma"), rapid.Bool().Draw(t, "vhost")
	p.Spec.ExcludeTopology = rapid.Bool().Draw(t, "excludeTopology")
	p.Spec.VdpaType = rapid.SampledFrom([]sriovv1.VdpaType{"", "", "virtio"}).Draw(t, "vdpaType")
	p.Spec.DeviceType = rapid.SampledFrom([]sriovv1.DeviceType{"netdevice", "vfio-pci"}).Draw(t, "deviceType")
	p.Spec.LinkType = rapid.SampledFrom([]sriovv1.LinkType{"", "eth", "ETH"}).Draw(t, "linkType")
	return p
}

// resolve gives each VF to the policy of the highest priority that wants it.
func resolve(n node) []desired.PF {
	byPriority := slices.Clone(n.policies)
	slices.SortStableFunc(byPriority, func(a, b sriovv1.SriovNetworkNodePolicy) int {
		return cmp.Compare(*a.Spec.Priority, *b.Spec.Priority)
	})
	var out []desired.PF
	for i := range n.has {
		pf := &n.has[i]
		w := desired.PF{Addr: pf.Addr, Name: pf.Netdev}
		for _, p := range byPriority {
			s, problems := match.NewSelector(p.Spec.NicSelector)
			if len(problems) > 0 || p.Spec.NumVfs == 0 || !s.PF(pf) {
				continue
			}
			w.Groups = append(w.Groups, free(s.Ranges(nil, pf, p.Spec.NumVfs), w.Groups, p)...)
			w.NumVFs = max(w.NumVFs, p.Spec.NumVfs)
		}
		if pf.Virtual && len(w.Groups) > 0 {
			w.NumVFs, w.Groups = 1, []desired.Group{{Policy: w.Groups[0].Policy, Range: hw.VFRange{}}}
		}
		if w.NumVFs > 0 {
			out = append(out, w)
		}
	}
	return out
}

func free(ranges []hw.VFRange, taken []desired.Group, p sriovv1.SriovNetworkNodePolicy) []desired.Group {
	var out []desired.Group
	for _, r := range ranges {
		overlaps := slices.ContainsFunc(taken, func(g desired.Group) bool { return g.Range.Overlaps(r) })
		if r.Last < p.Spec.NumVfs && !overlaps {
			out = append(out, desired.Group{Policy: p.Name, Resource: p.Spec.ResourceName, Range: r})
		}
	}
	return out
}

// expected is what a device of a configured PF should be to its policy's pods.
func expected(n node, d device, in deviceplugin.Input) (grant, bool) {
	addr, _ := hw.ParsePCIAddr(d.pfAddr)
	pf, configured := in.Desired.PF(addr)
	group, ok := pf.Group(max(d.index, 0))
	if !configured || !ok || d.index < 0 && !in.Inventory.PFs[slices.IndexFunc(in.Inventory.PFs, func(p hw.PF) bool { return p.Addr == addr })].Virtual {
		return grant{}, false
	}
	i := slices.IndexFunc(n.policies, func(p sriovv1.SriovNetworkNodePolicy) bool { return p.Name == group.Policy })
	s := n.policies[i].Spec
	return grant{
		resource: s.ResourceName, rdma: s.IsRdma && s.VdpaType == "", vhostNet: s.NeedVhostNet, vdpa: string(s.VdpaType),
	}, true
}

func TestEveryVFGoesToTheResourceOfItsGroupAndToNoOther(t *testing.T) {
	nics := catalog.Default()
	rapid.Check(t, func(t *rapid.T) {
		n := drawNode(t)
		in := n.input(t)
		config := text(t, deviceplugin.Render(in))
		devices := devicesOf(in.Inventory, in.Desired, nics.VFDevice)
		got := allocate(t, config, devices)
		for _, d := range devices {
			addr, _ := hw.ParsePCIAddr(d.pfAddr)
			if _, configured := in.Desired.PF(addr); !configured {
				continue
			}
			want, wanted := expected(n, d, in)
			have, given := got[d]
			if d.index < 0 && !wanted {
				continue // A policy for 0 VFs may have it.
			}
			have.topology, have.drivers = false, ""
			if given != wanted || have != want {
				t.Fatalf("%+v went to %+v, want %+v in %s\nof %+v", d, have, want, config, in.Desired.PFs())
			}
			if k := matches(t, config, d); k > 1 {
				t.Fatalf("%d resources match %+v in %s", k, d, config)
			}
		}
	})
}

func TestVFsOfTheKernelAndForUserspaceNeverShareASelector(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := drawNode(t)
		in := n.input(t)
		kinds := map[string]map[sriovv1.DeviceType]bool{}
		for _, pf := range in.Desired.PFs() {
			for _, g := range pf.Groups {
				i := slices.IndexFunc(n.policies, func(p sriovv1.SriovNetworkNodePolicy) bool { return p.Name == g.Policy })
				s := n.policies[i].Spec
				if kinds[s.ResourceName] == nil {
					kinds[s.ResourceName] = map[sriovv1.DeviceType]bool{}
				}
				kinds[s.ResourceName][s.DeviceType] = true
			}
		}
		for _, r := range deviceplugin.Render(in).Config.Resources {
			asked := slices.ContainsFunc(r.Selectors, func(s deviceplugin.Selector) bool { return len(s.Drivers) > 0 })
			if len(kinds[r.Name]) == 2 && (!asked || len(r.Selectors) < 2) {
				t.Fatalf("resource %s has both kinds and selectors %+v", r.Name, r.Selectors)
			}
		}
	})
}

func TestPermutedInputsGiveTheSameBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := drawNode(t)
		first := text(t, deviceplugin.Render(n.input(t)))
		n.policies = rapid.Permutation(n.policies).Draw(t, "policies again")
		n.should = rapid.Permutation(n.should).Draw(t, "desired again")
		if again := text(t, deviceplugin.Render(n.input(t))); again != first {
			t.Fatalf("first %s\nagain %s", first, again)
		}
	})
}

func FuzzAnySelectorTextIsRenderedWithoutPanic(f *testing.F) {
	f.Add("ens0#3", "0000:01:00.0", "8086", "r1", 0, 3)
	f.Add("ens0#5-2", "x", "", "r1", 2, 2)
	f.Add("ens0#a-b", "#", "\x00", "bad name", -1, 70000)
	f.Add("#0-1,4", "0000:01:00.0#0-1", "8086", "", 0, 0)
	f.Fuzz(func(t *testing.T, name, root, id, resource string, first, last int) {
		p := policy("a", pfNames(name, "ens0"), roots(root), vendor(id), deviceID(id), named(resource), numVFs(last))
		w := desired.PF{Addr: hw.PCIAddr{Bus: 1}, NumVFs: last, Groups: []desired.Group{{Policy: "a", Range: hw.VFRange{First: first, Last: last - 1}}}}
		d, _ := desired.New([]desired.PF{w}, "")
		r := deviceplugin.Render(deviceplugin.Input{
			Policies:  deviceplugin.NewPolicies([]sriovv1.SriovNetworkNodePolicy{p}),
			Inventory: hw.Inventory{PFs: []hw.PF{pf(1, "ens0"), pf(2, name)}}, Desired: d, NICs: catalog.Default(),
		})
		allocate(t, text(t, r), nil)
	})
}
