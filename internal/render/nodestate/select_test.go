// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodestate

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

func TestDefaults(t *testing.T) {
	runMergeCases(t, map[string]mergeCase{
		"D4: an unset deviceType is netdevice, an unset eSwitchMode legacy, an unset isRdma false": {
			policies: policies(ask("a")),
			want:     []string{"0000:5f:00.0 ens1f0: 4 VFs, mtu 0, legacy", "  0-3: res_a of a, netdevice, mtu 0"},
		},
		"every field of a policy arrives": {
			policies: policies(ask("a", mtu(9000), func(s *sriovv1.SriovNetworkNodePolicySpec) {
				s.EswitchMode, s.LinkType, s.VdpaType, s.IsRdma = "switchdev", "ETH", "virtio", true
				s.ExternallyManaged, s.AllowInUse, s.AllowUnlistedNics = true, true, true
			})),
			want: []string{
				"0000:5f:00.0 ens1f0: 4 VFs, mtu 9000, switchdev, ETH, external, in use, unlisted",
				"  0-3: res_a of a, netdevice, mtu 9000, rdma, virtio",
			},
		},
		"InfiniBand on the kernel's driver always has RDMA": {
			policies: policies(ask("a", func(s *sriovv1.SriovNetworkNodePolicySpec) { s.LinkType = "ib" })),
			want:     []string{"0000:5f:00.0 ens1f0: 4 VFs, mtu 0, legacy, IB", "  0-3: res_a of a, netdevice, mtu 0, rdma"},
		},
		"InfiniBand for userspace has none": {
			policies: policies(ask("a", func(s *sriovv1.SriovNetworkNodePolicySpec) { s.LinkType, s.DeviceType = "IB", "vfio-pci" })),
			want:     []string{"0000:5f:00.0 ens1f0: 4 VFs, mtu 0, legacy, IB", "  0-3: res_a of a, vfio-pci, mtu 0"},
		},
		"PFs come in the order of their addresses, whatever the order of policies": {
			policies: policies(ask("z", on("ens1f0")), ask("a", on("ens2"))),
			want: []string{
				"0000:5f:00.0 ens1f0: 4 VFs, mtu 0, legacy", "  0-3: res_z of z, netdevice, mtu 0",
				"0000:d8:00.0 ens2: 4 VFs, mtu 0, legacy", "  0-3: res_a of a, netdevice, mtu 0",
			},
		},
		"an alternative name with a range gives that range, not all VFs": {
			policies: policies(ask("a", vfs(8), on("enp95s0f0#2-5"))),
			want:     []string{"0000:5f:00.0 ens1f0: 8 VFs, mtu 0, legacy", "  2-5: res_a of a, netdevice, mtu 0"},
		},
		"two ranges for one PF in one policy are two groups": {
			policies: policies(ask("a", vfs(8), on("ens1f0#6-7", "enp95s0f0#0-1"))),
			want:     []string{"0000:5f:00.0 ens1f0: 8 VFs, mtu 0, legacy", "  0-1: res_a of a, netdevice, mtu 0", "  6-7: res_a of a, netdevice, mtu 0"},
		},
		"two ranges that overlap in one policy are one group": {
			policies: policies(ask("a", vfs(8), on("ens1f0#2-5", "enp95s0f0#0-2"))),
			want:     []string{"0000:5f:00.0 ens1f0: 8 VFs, mtu 0, legacy", "  0-5: res_a of a, netdevice, mtu 0"},
		},
		"a PF that is named with a range and without one is meant with all VFs": {
			policies: policies(ask("a", vfs(8), on("ens1f0#2-5", "enp95s0f0"))),
			want:     []string{"0000:5f:00.0 ens1f0: 8 VFs, mtu 0, legacy", "  0-7: res_a of a, netdevice, mtu 0"},
		},
		"a policy for several PFs has its own range on each": {
			policies: policies(ask("a", vfs(8), on("ens1f0#2-5", "ens1f1"))),
			want: []string{
				"0000:5f:00.0 ens1f0: 8 VFs, mtu 0, legacy", "  2-5: res_a of a, netdevice, mtu 0",
				"0000:5f:00.1 ens1f1: 8 VFs, mtu 0, legacy", "  0-7: res_a of a, netdevice, mtu 0",
			},
		},
	})
}

// outcomeOf is what became of a policy on the node, and on its first PF.
func outcomeOf(t *testing.T, trace Trace, policy string) (onNode PolicyTrace, onPF Outcome) {
	t.Helper()
	found := false
	for _, p := range trace.Policies {
		if p.Policy == policy {
			onNode, found = p, true
		}
	}
	if !found {
		t.Fatalf("the trace does not name %s", policy)
	}
	for _, pf := range trace.PFs {
		for _, o := range pf.Outcomes {
			if o.Policy == policy {
				return onNode, o
			}
		}
	}
	return onNode, Outcome{}
}

func TestWhyAPolicyIsNotInForce(t *testing.T) {
	type spec = sriovv1.SriovNetworkNodePolicySpec
	cases := map[string]struct {
		policy sriovv1.SriovNetworkNodePolicy
		labels map[string]string
		inv    hw.Inventory
		reason reason.Reason
		says   string
	}{
		"D3: the node does not have the label for SR-IOV": {
			ask("a"), map[string]string{"kubernetes.io/os": "linux"}, twoPorts(), reason.NodeNotListed,
			`policy a: not on this node: the operator wants the label feature.node.kubernetes.io/network-sriov.capable="true" and the label is missing`,
		},
		"D3: the node does not run Linux": {
			ask("a"),
			map[string]string{"kubernetes.io/os": "windows", "feature.node.kubernetes.io/network-sriov.capable": "true"},
			twoPorts(), reason.NodeNotListed, `it has "windows"`,
		},
		"the policy's own selector does not match": {
			ask("a", func(s *spec) { s.NodeSelector = map[string]string{"zone": "b"} }), capable(), twoPorts(), reason.NodeNotSelected,
			`policy a: not on this node: the policy's nodeSelector wants the label zone="b" and the label is missing`,
		},
		"a policy named default is skipped": {
			ask("default"), capable(), twoPorts(), reason.DeprecatedDefault, "always skipped",
		},
		"the NIC selector is empty": {
			ask("a", func(s *spec) { s.NicSelector = sriovv1.SriovNetworkNicSelector{} }), capable(), twoPorts(), reason.EmptySelector, "nicSelector is empty",
		},
		"no PF matches": {
			ask("a", on("ens9")), capable(), twoPorts(), reason.NoPFMatches, "No PF of the node matches",
		},
		"0 VFs are asked for": {ask("a", vfs(0)), capable(), twoPorts(), reason.NoVFsAsked, "asks for 0 VFs"},
		"D13: one VF where a range is needed": {
			ask("a", on("ens1f0#3")), capable(), twoPorts(), reason.BadPolicy,
			`policy a: left out: nicSelector.pfNames[0]: "ens1f0#3": VF range "3": it needs a first and a last index, like 2-5; write ens1f0, or ens1f0#2-5 for VFs 2 to 5 alone`,
		},
		"D13: a range that ends before it starts":    {ask("a", on("ens1f0#2-1")), capable(), twoPorts(), reason.BadPolicy, "ends before it starts"},
		"D13: a range of letters":                    {ask("a", on("ens1f0#a-b")), capable(), twoPorts(), reason.BadPolicy, "whole numbers"},
		"D13: two ranges in one entry":               {ask("a", on("ens1f0#1-2#3-4")), capable(), twoPorts(), reason.BadPolicy, "more than one '#'"},
		"D13: a range past numVfs":                   {ask("a", on("ens1f0#2-4")), capable(), twoPorts(), reason.BadPolicy, `"ens1f0#2-4" ends past the last VF, which is 3 with numVfs 4; raise numVfs or shorten the range`},
		"D13: a range past numVfs on a PF elsewhere": {ask("a", on("ens1f0", "ens9#2-4")), capable(), twoPorts(), reason.BadPolicy, "ends past the last VF"},
		"D13: vfio-pci with RDMA":                    {ask("a", func(s *spec) { s.DeviceType, s.IsRdma = "vfio-pci", true }), capable(), twoPorts(), reason.BadPolicy, "isRdma: a VF on vfio-pci has no RDMA device"},
		"D13: switchdev with InfiniBand":             {ask("a", func(s *spec) { s.EswitchMode, s.LinkType = "switchdev", "ib" }), capable(), twoPorts(), reason.BadPolicy, "eSwitchMode: switchdev needs Ethernet"},
		"D13: vDPA without switchdev":                {ask("a", func(s *spec) { s.VdpaType = "virtio" }), capable(), twoPorts(), reason.BadPolicy, "vdpaType: vDPA needs eSwitchMode switchdev"},
		"D13: vDPA with vfio-pci":                    {ask("a", func(s *spec) { s.VdpaType, s.EswitchMode, s.DeviceType = "virtio", "switchdev", "vfio-pci" }), capable(), twoPorts(), reason.BadPolicy, "vdpaType: vDPA needs the VF's kernel driver"},
		"D13: a resource with a prefix":              {ask("a", resource("mellanox.com/x")), capable(), twoPorts(), reason.BadPolicy, "resourceName"},
		"D13: an unknown deviceType":                 {ask("a", func(s *spec) { s.DeviceType = "uio" }), capable(), twoPorts(), reason.BadPolicy, "deviceType"},
		"D13: an unknown eSwitchMode":                {ask("a", func(s *spec) { s.EswitchMode = "x" }), capable(), twoPorts(), reason.BadPolicy, "eSwitchMode"},
		"D13: an unknown linkType":                   {ask("a", func(s *spec) { s.LinkType = "x" }), capable(), twoPorts(), reason.BadPolicy, "linkType"},
		"D13: an unknown vdpaType":                   {ask("a", func(s *spec) { s.VdpaType, s.EswitchMode = "x", "switchdev" }), capable(), twoPorts(), reason.BadPolicy, "vdpaType"},
		"D13: fewer than 0 VFs":                      {ask("a", vfs(-1)), capable(), twoPorts(), reason.BadPolicy, "numVfs"},
		"D13: an mtu below 0":                        {ask("a", mtu(-1)), capable(), twoPorts(), reason.BadPolicy, "mtu"},
		"D13: a priority past 99":                    {ask("a", priority(100)), capable(), twoPorts(), reason.BadPolicy, "priority"},
		"D13: a vendor that is no id":                {ask("a", func(s *spec) { s.NicSelector.Vendor = "Intel" }), capable(), twoPorts(), reason.BadPolicy, "nicSelector.vendor"},
		"a bridge on an external PF": {ask("a", func(s *spec) {
			s.Bridge.OVS, s.EswitchMode, s.ExternallyManaged = &sriovv1.OVSConfig{}, "switchdev", true
		}), capable(), twoPorts(), reason.BadPolicy, "bridge"},
		"a bridge without switchdev":      {ask("a", func(s *spec) { s.Bridge.OVS = &sriovv1.OVSConfig{} }), capable(), twoPorts(), reason.BadPolicy, "bridge"},
		"D21: the NIC is not in the list": {ask("a", on("odd0")), capable(), hw.Inventory{PFs: []hw.PF{{Addr: addr("0000:01:00.0"), VendorID: "abcd", DeviceID: "0001", Netdev: "odd0"}}}, reason.NotListed, "not in the list of supported NICs"},
		"D16: a range without VF 0 in a virtual machine": {
			ask("a", on("eth1#1-3")), capable(), virtualMachine(), reason.RangeUnreachable, "in a virtual machine there is VF 0 alone",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			other := ask("other", on("ens1f1"))
			got := Render(Input{
				Policies: policies(c.policy, other), Node: Node{Name: "node1", Labels: c.labels},
				Inventory: c.inv, Catalog: catalog.Default(),
			})
			onNode, onPF := outcomeOf(t, got.Trace, c.policy.Name)
			if onNode.Reason != c.reason {
				t.Errorf("reason %s, want %s", onNode.Reason, c.reason)
			}
			said := strings.Join(got.Trace.Sentences(), "\n")
			if !strings.Contains(said, c.says) {
				t.Errorf("%q is not said in\n%s", c.says, said)
			}
			if onPF.Reason == reason.Won || onPF.Reason == reason.Merged {
				t.Errorf("it stands on a PF: %+v", onPF)
			}
			for _, pf := range got.Desired.PFs() {
				for _, g := range pf.Groups {
					if g.Policy != "other" {
						t.Errorf("it has a group: %+v", g)
					}
				}
			}
			listed := c.reason != reason.NodeNotListed && len(c.inv.PFs) > 1
			if _, ok := got.Desired.PF(addr("0000:5f:00.1")); ok != listed {
				t.Errorf("the other policy's PF is there: %v, want %v", ok, listed)
			}
		})
	}
}

func TestANodeThatIsNotKnownIsTakenToMatch(t *testing.T) {
	p := ask("a", func(s *sriovv1.SriovNetworkNodePolicySpec) { s.NodeSelector = map[string]string{"zone": "b"} })
	got := Render(Input{Policies: policies(p), Node: Node{LabelsUnknown: true}, Inventory: twoPorts(), Catalog: catalog.Default()})
	if len(got.Desired.PFs()) != 1 {
		t.Errorf("rendered %v", state(got.Desired))
	}
}

func TestTheOperatorsNodeSelectorTakesTheDefaultsPlace(t *testing.T) {
	in := Input{
		Policies: policies(ask("a")), Inventory: twoPorts(), Catalog: catalog.Default(),
		NodeSelector: map[string]string{"pool": "sriov"}, Node: Node{Labels: map[string]string{"pool": "sriov"}},
	}
	if got := Render(in); len(got.Desired.PFs()) != 1 {
		t.Error("a node with the label, and without the default ones, is not rendered")
	}
	in.Node.Labels = capable()
	if got := Render(in); len(got.Desired.PFs()) != 0 {
		t.Error("a node without the label is rendered")
	}
}

func TestTheRDMAModeArrives(t *testing.T) {
	got := Render(Input{RDMAMode: hw.RDMAExclusive, Node: Node{LabelsUnknown: true}})
	if got.Desired.RDMAMode() != hw.RDMAExclusive {
		t.Errorf("got %q", got.Desired.RDMAMode())
	}
}

func TestD21AnUnlistedNICNeedsThePermission(t *testing.T) {
	inv := hw.Inventory{PFs: []hw.PF{{Addr: addr("0000:01:00.0"), VendorID: "abcd", DeviceID: "0001", Netdev: "ens1f0", TotalVFs: 8}}}
	allow := func(s *sriovv1.SriovNetworkNodePolicySpec) { s.AllowUnlistedNics = true }
	got := render(policies(ask("a", allow), ask("b", priority(1))), inv)
	want := []string{"0000:01:00.0 ens1f0: 4 VFs, mtu 0, legacy, unlisted", "  0-3: res_a of a, netdevice, mtu 0"}
	if diff := cmp.Diff(want, state(got.Desired)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if onNode, _ := outcomeOf(t, got.Trace, "b"); onNode.Reason != reason.NotListed {
		t.Errorf("b without the permission: %s", onNode.Reason)
	}
}

func TestD16InAVirtualMachineTheVFIsTheDevice(t *testing.T) {
	p := ask("a", on("eth1"), vfs(8), mtu(9000), func(s *sriovv1.SriovNetworkNodePolicySpec) { s.DeviceType = "vfio-pci" })
	got := render(policies(p), virtualMachine())
	want := []string{"0000:00:05.0 eth1: 1 VFs, mtu 0, legacy", "  0-0: res_a of a, vfio-pci, mtu 0"}
	if diff := cmp.Diff(want, state(got.Desired)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var notices []string
	for _, n := range got.Trace.PFs[0].Notices {
		notices = append(notices, got.Trace.PFs[0].NoticeSentence(n))
	}
	wantNotices := []string{
		"policy a: on eth1 (0000:00:05.0): numVfs 8 counts as 1: in a virtual machine the VF is the device",
		"policy a: on eth1 (0000:00:05.0): mtu 9000 is left alone: the platform sets it",
		"policy a: on eth1 (0000:00:05.0): this NIC serves userspace with its kernel driver; deviceType netdevice is enough for DPDK",
	}
	if diff := cmp.Diff(wantNotices, notices); diff != "" {
		t.Errorf("notices (-want +got):\n%s", diff)
	}
}

func TestD16NumVfsHasNoEffectInAVirtualMachine(t *testing.T) {
	for name, n := range map[string]int{"none": 0, "one": 1, "many": 100} {
		t.Run(name, func(t *testing.T) {
			byNetwork := func(s *sriovv1.SriovNetworkNodePolicySpec) {
				s.NicSelector = sriovv1.SriovNetworkNicSelector{NetFilter: "openstack/NetworkID:5f3e"}
			}
			got := render(policies(ask("a", vfs(n), byNetwork)), virtualMachine())
			want := []string{"0000:00:05.0 eth1: 1 VFs, mtu 0, legacy", "  0-0: res_a of a, netdevice, mtu 0"}
			if diff := cmp.Diff(want, state(got.Desired)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if told := len(got.Trace.PFs[0].Notices) == 1; told != (n != 1) {
				t.Errorf("notices: %v", got.Trace.PFs[0].Notices)
			}
		})
	}
}

func TestD16ARangeWithVF0IsTheDevice(t *testing.T) {
	got := render(policies(ask("a", on("eth1#0-3"))), virtualMachine())
	if diff := cmp.Diff([]string{"0000:00:05.0 eth1: 1 VFs, mtu 0, legacy", "  0-0: res_a of a, netdevice, mtu 0"}, state(got.Desired)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestD11TheTraceNamesWhoStandsAndWhoLost(t *testing.T) {
	got := render(policies(
		ask("a", priority(20), vfs(8), on("ens1f0#2-5")),
		ask("b", priority(10), vfs(5), on("ens1f0#4-4")),
		ask("c", priority(20), vfs(8), on("ens1f0#7-7")),
	), twoPorts())
	want := []string{
		"policy a: nothing on ens1f0 (0000:5f:00.0); policy b stands",
		"policy c: stands on ens1f0 (0000:5f:00.0) beside other policies",
		"policy b: stands on ens1f0 (0000:5f:00.0) beside other policies",
		"policy a: VF group 2-5 on ens1f0 (0000:5f:00.0) lost to policy b (priority 10 is before 20)",
		"policy b: numVfs 5 on ens1f0 (0000:5f:00.0) is raised to 8 by policy c",
	}
	if diff := cmp.Diff(want, got.Trace.Sentences()[3:]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[3:4], got.Trace.Conflicts("a")); diff != "" {
		t.Errorf("conflicts of a (-want +got):\n%s", diff)
	}
	if got := got.Trace.Conflicts("c"); len(got) != 0 {
		t.Errorf("conflicts of c: %v", got)
	}
	var stands []string
	for _, w := range got.Trace.PFs[0].Stands {
		stands = append(stands, w.Field.String()+" "+w.Value.String()+" of "+w.Policy)
	}
	wantStands := []string{
		"numVfs 8 of c", "eSwitchMode legacy of b", "linkType unset of b", "externallyManaged false of b",
		"allowInUse false of b", "mtu unset of b", "VF group 4-4 of b", "VF group 7-7 of c",
	}
	if diff := cmp.Diff(wantStands, stands); diff != "" {
		t.Errorf("stands (-want +got):\n%s", diff)
	}
}

func TestTheTraceIsJSONWithWords(t *testing.T) {
	got := render(policies(ask("a", priority(20)), ask("b", priority(10), vfs(2))), twoPorts())
	text, err := json.Marshal(got.Trace.PFs[0].Losses)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"policy":"a","priority":20,"field":"VF group","value":"0-3","stands":{"policy":"b","priority":10,"field":"VF group","value":"0-1"},"reason":"LostToPriority"},` +
		`{"policy":"a","priority":20,"field":"numVfs","value":"4","stands":{"policy":"b","priority":10,"field":"numVfs","value":"2"},"reason":"LostToPriority"}]`
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAPFThatIsThereTwiceIsToldAndNotRenderedTwice(t *testing.T) {
	inv := twoPorts()
	inv.PFs = append(inv.PFs, inv.PFs[0])
	got := render(policies(ask("a")), inv)
	if len(got.Desired.PFs()) != 1 || !strings.Contains(strings.Join(got.Trace.Sentences(), "\n"), "asked for twice") {
		t.Errorf("%v\n%v", state(got.Desired), got.Trace.Sentences())
	}
}

func TestABadRootDeviceIsToldAndTheOthersCount(t *testing.T) {
	got := render(policies(ask("a", func(s *sriovv1.SriovNetworkNodePolicySpec) {
		s.NicSelector = sriovv1.SriovNetworkNicSelector{RootDevices: []string{"5f:00.1", "0000:5f:00.0"}}
	})), twoPorts())
	if len(got.Desired.PFs()) != 1 || !strings.Contains(strings.Join(got.Trace.Sentences(), "\n"), "nicSelector.rootDevices[0]") {
		t.Errorf("%v\n%v", state(got.Desired), got.Trace.Sentences())
	}
}

func TestABridgeIsNoticed(t *testing.T) {
	got := render(policies(ask("a", func(s *sriovv1.SriovNetworkNodePolicySpec) {
		s.Bridge.OVS, s.EswitchMode = &sriovv1.OVSConfig{}, "switchdev"
	})), twoPorts())
	if n := got.Trace.PFs[0].Notices; len(n) != 1 || n[0].Reason != reason.BridgesNotConfigured {
		t.Errorf("notices %v", n)
	}
}

func TestCheckOfTheDefaultPolicyFindsNothing(t *testing.T) {
	p := ask("default", resource("///"))
	if got := Check(&p); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	p.Name = "a"
	if got := Check(&p); len(got) != 1 || got[0].Field != "resourceName" {
		t.Errorf("got %v", got)
	}
}
