// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodestate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// capable are the labels of a node that the daemon runs on by default.
func capable() map[string]string {
	return map[string]string{
		"kubernetes.io/os": "linux", "feature.node.kubernetes.io/network-sriov.capable": "true",
	}
}

// twoPorts is a machine with a ConnectX-5 of two ports and one Intel E810.
func twoPorts() hw.Inventory {
	return hw.Inventory{PFs: []hw.PF{
		{Addr: addr("0000:5f:00.0"), VendorID: "15b3", DeviceID: "1017", Driver: "mlx5_core", Netdev: "ens1f0", AltNames: []string{"enp95s0f0"}, TotalVFs: 16},
		{Addr: addr("0000:5f:00.1"), VendorID: "15b3", DeviceID: "1017", Driver: "mlx5_core", Netdev: "ens1f1", TotalVFs: 16},
		{Addr: addr("0000:d8:00.0"), VendorID: "8086", DeviceID: "1592", Driver: "ice", Netdev: "ens2", TotalVFs: 64},
	}}
}

// virtualMachine is a machine that was given one VF.
func virtualMachine() hw.Inventory {
	return hw.Inventory{PFs: []hw.PF{{
		Addr: addr("0000:00:05.0"), VendorID: "15b3", DeviceID: "1018", Driver: "mlx5_core", Netdev: "eth1",
		Virtual: true, TotalVFs: 1, NumVFs: 1, NetFilter: "openstack/NetworkID:5f3e",
	}}}
}

func addr(s string) hw.PCIAddr {
	a, err := hw.ParsePCIAddr(s)
	if err != nil {
		panic(err)
	}
	return a
}

// ask makes a policy for ens1f0 that asks for 4 VFs with the lowest priority.
func ask(name string, changes ...func(*sriovv1.SriovNetworkNodePolicySpec)) sriovv1.SriovNetworkNodePolicy {
	p := sriovv1.SriovNetworkNodePolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: sriovv1.SriovNetworkNodePolicySpec{
			ResourceName: "res_" + name, NumVfs: 4,
			NicSelector: sriovv1.SriovNetworkNicSelector{PfNames: []string{"ens1f0"}},
		},
	}
	if name == "" || strings.ContainsAny(name, "/") {
		p.Spec.ResourceName = "res"
	}
	for _, change := range changes {
		change(&p.Spec)
	}
	return p
}

type change = func(*sriovv1.SriovNetworkNodePolicySpec)

func priority(n int) change {
	return func(s *sriovv1.SriovNetworkNodePolicySpec) { s.Priority = &n }
}
func vfs(n int) change {
	return func(s *sriovv1.SriovNetworkNodePolicySpec) { s.NumVfs = n }
}
func mtu(n int) change {
	return func(s *sriovv1.SriovNetworkNodePolicySpec) { s.Mtu = n }
}
func on(names ...string) change {
	return func(s *sriovv1.SriovNetworkNodePolicySpec) { s.NicSelector.PfNames = names }
}
func resource(name string) change {
	return func(s *sriovv1.SriovNetworkNodePolicySpec) { s.ResourceName = name }
}

func policies(p ...sriovv1.SriovNetworkNodePolicy) []sriovv1.SriovNetworkNodePolicy { return p }

// state writes a node as one line per PF and one per VF group.
func state(n desired.Node) []string {
	var out []string
	for _, pf := range n.PFs() {
		line := fmt.Sprintf("%s %s: %d VFs, mtu %d, %s", pf.Addr, pf.Name, pf.NumVFs, pf.MTU, pf.Eswitch)
		for _, extra := range []struct {
			set  bool
			text string
		}{
			{pf.LinkType != "", string(pf.LinkType)},
			{pf.ExternallyManaged, "external"},
			{pf.AllowInUse, "in use"},
			{pf.AllowUnlisted, "unlisted"},
		} {
			if extra.set {
				line += ", " + extra.text
			}
		}
		out = append(out, line)
		for _, g := range pf.Groups {
			line := fmt.Sprintf("  %s: %s of %s, %s, mtu %d", g.Range, g.Resource, g.Policy, g.Driver, g.MTU)
			if g.RDMA {
				line += ", rdma"
			}
			if g.VDPA != "" {
				line += ", " + string(g.VDPA)
			}
			out = append(out, line)
		}
	}
	return out
}

// lost are the sentences about losses, without the name of the PF.
func lost(t Trace) []string {
	var out []string
	for _, pf := range t.PFs {
		for _, l := range pf.Losses {
			out = append(out, strings.ReplaceAll(pf.LossSentence(l), " on "+pf.Label(), ""))
		}
	}
	return out
}

func render(p []sriovv1.SriovNetworkNodePolicy, inv hw.Inventory) Result {
	return Render(Input{
		Policies: p, Node: Node{Name: "node1", Labels: capable()}, Inventory: inv, Catalog: catalog.Default(),
	})
}

// mergeCase is one story: policies on one machine, what the node should be, and
// what was lost.
type mergeCase struct {
	policies []sriovv1.SriovNetworkNodePolicy
	want     []string
	lost     []string
}

func runMergeCases(t *testing.T, cases map[string]mergeCase) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := render(c.policies, twoPorts())
			if diff := cmp.Diff(c.want, state(got.Desired)); diff != "" {
				t.Errorf("desired (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.lost, lost(got.Trace)); diff != "" {
				t.Errorf("lost (-want +got):\n%s", diff)
			}
		})
	}
}

// The cases that the existing operator's own tests fix, but for the one on equal
// resource names, which D7 decides otherwise.
func TestMergeGoldenCases(t *testing.T) {
	runMergeCases(t, map[string]mergeCase{
		"same PF, different priority, overlapping ranges: only the higher priority's numVfs and group": {
			policies: policies(ask("p1", priority(99), vfs(3)), ask("p2", priority(10), vfs(2))),
			want: []string{
				"0000:5f:00.0 ens1f0: 2 VFs, mtu 0, legacy",
				"  0-1: res_p2 of p2, netdevice, mtu 0",
			},
			lost: []string{
				"policy p1: VF group 0-2 lost to policy p2 (priority 10 is before 99)",
				"policy p1: numVfs 3 lost to policy p2, which has 2 (priority 10 is before 99)",
			},
		},
		"same PF, equal priority, overlapping: the later one's group, and the maximum of numVfs and mtu": {
			policies: policies(ask("p1", vfs(3), mtu(2000)), ask("p2", vfs(2))),
			want: []string{
				"0000:5f:00.0 ens1f0: 3 VFs, mtu 2000, legacy",
				"  0-1: res_p2 of p2, netdevice, mtu 0",
			},
			lost: []string{
				"policy p1: VF group 0-2 lost to policy p2 (equal priority 99, and p2 is processed after p1)",
				"policy p2: numVfs 2 is raised to 3 by policy p1",
			},
		},
		"equal priority, old 2-4 and new 0-1: both groups, the new one first, and the maximum of numVfs": {
			policies: policies(ask("p1", vfs(5), on("ens1f0#2-4")), ask("p2", vfs(2), on("ens1f0#0-1"))),
			want: []string{
				"0000:5f:00.0 ens1f0: 5 VFs, mtu 0, legacy",
				"  0-1: res_p2 of p2, netdevice, mtu 0",
				"  2-4: res_p1 of p1, netdevice, mtu 0",
			},
			lost: []string{"policy p2: numVfs 2 is raised to 5 by policy p1"},
		},
		"equal priority, old groups 0-0 and 1-1, new 0-1: only the new group": {
			policies: policies(ask("p1", vfs(2), on("ens1f0#0-0")), ask("p2", vfs(2), on("ens1f0#1-1")), ask("p3", vfs(2), on("ens1f0#0-1"))),
			want: []string{
				"0000:5f:00.0 ens1f0: 2 VFs, mtu 0, legacy",
				"  0-1: res_p3 of p3, netdevice, mtu 0",
			},
			lost: []string{
				"policy p2: VF group 1-1 lost to policy p3 (equal priority 99, and p3 is processed after p2)",
				"policy p1: VF group 0-0 lost to policy p3 (equal priority 99, and p3 is processed after p1)",
			},
		},
		"D7: equal priority, one resource name, ranges that do not overlap: both groups": {
			policies: policies(ask("p1", vfs(4), on("ens1f0#2-3"), resource("pool")), ask("p2", vfs(2), on("ens1f0#0-1"), resource("pool"))),
			want: []string{
				"0000:5f:00.0 ens1f0: 4 VFs, mtu 0, legacy",
				"  0-1: pool of p2, netdevice, mtu 0",
				"  2-3: pool of p1, netdevice, mtu 0",
			},
			lost: []string{"policy p2: numVfs 2 is raised to 4 by policy p1"},
		},
		"different priority, no overlap: both groups, and the maximum of numVfs": {
			policies: policies(ask("p1", priority(10), vfs(2), on("ens1f0#0-1")), ask("p2", priority(20), vfs(5), on("ens1f0#2-4"))),
			want: []string{
				"0000:5f:00.0 ens1f0: 5 VFs, mtu 0, legacy",
				"  0-1: res_p1 of p1, netdevice, mtu 0",
				"  2-4: res_p2 of p2, netdevice, mtu 0",
			},
			lost: []string{"policy p1: numVfs 2 is raised to 5 by policy p2"},
		},
		"different PFs: two PFs": {
			policies: policies(ask("p1"), ask("p2", vfs(2), on("ens1f1"))),
			want: []string{
				"0000:5f:00.0 ens1f0: 4 VFs, mtu 0, legacy",
				"  0-3: res_p1 of p1, netdevice, mtu 0",
				"0000:5f:00.1 ens1f1: 2 VFs, mtu 0, legacy",
				"  0-1: res_p2 of p2, netdevice, mtu 0",
			},
		},
		"an empty selector changes nothing": {
			policies: policies(ask("p1"), ask("p2", func(s *sriovv1.SriovNetworkNodePolicySpec) {
				s.NicSelector = sriovv1.SriovNetworkNicSelector{}
			})),
			want: []string{
				"0000:5f:00.0 ens1f0: 4 VFs, mtu 0, legacy",
				"  0-3: res_p1 of p1, netdevice, mtu 0",
			},
		},
		"D13: a range of letters takes out its policy alone": {
			policies: policies(ask("p1", on("ens1f0#a-c")), ask("p2", on("ens1f1"))),
			want: []string{
				"0000:5f:00.1 ens1f1: 4 VFs, mtu 0, legacy",
				"  0-3: res_p2 of p2, netdevice, mtu 0",
			},
		},
	})
}

// What the system description says of priorities.
func TestPriorityRules(t *testing.T) {
	runMergeCases(t, map[string]mergeCase{
		"D5: 0 is the highest priority": {
			policies: policies(ask("a", priority(0), vfs(2)), ask("b", priority(1), vfs(8))),
			want:     []string{"0000:5f:00.0 ens1f0: 2 VFs, mtu 0, legacy", "  0-1: res_a of a, netdevice, mtu 0"},
			lost: []string{
				"policy b: VF group 0-7 lost to policy a (priority 0 is before 1)",
				"policy b: numVfs 8 lost to policy a, which has 2 (priority 0 is before 1)",
			},
		},
		"D5: among equal priorities the name that sorts last wins": {
			policies: policies(ask("b"), ask("a"), ask("B")),
			want:     []string{"0000:5f:00.0 ens1f0: 4 VFs, mtu 0, legacy", "  0-3: res_b of b, netdevice, mtu 0"},
			lost: []string{
				"policy B: VF group 0-3 lost to policy a (equal priority 99, and a is processed after B)",
				"policy a: VF group 0-3 lost to policy b (equal priority 99, and b is processed after a)",
			},
		},
		"D4: without a priority it is 99, and an explicit 99 is equal to it": {
			policies: policies(ask("a", vfs(8)), ask("b", priority(99), vfs(4))),
			want:     []string{"0000:5f:00.0 ens1f0: 8 VFs, mtu 0, legacy", "  0-3: res_b of b, netdevice, mtu 0"},
			lost: []string{
				"policy a: VF group 0-7 lost to policy b (equal priority 99, and b is processed after a)",
				"policy b: numVfs 4 is raised to 8 by policy a",
			},
		},
		"D4: an explicit priority 0 is not the default": {
			policies: policies(ask("a", priority(0)), ask("b")),
			want:     []string{"0000:5f:00.0 ens1f0: 4 VFs, mtu 0, legacy", "  0-3: res_a of a, netdevice, mtu 0"},
			lost:     []string{"policy b: VF group 0-3 lost to policy a (priority 0 is before 99)"},
		},
		"D6: one PF reached by name, by address, by model and by alternative name is one PF": {
			policies: policies(
				ask("a", on("ens1f0#0-0")),
				ask("b", on("enp95s0f0#1-1")),
				ask("c", priority(50), on("ens1f0#2-2")),
				ask("d", priority(40), func(s *sriovv1.SriovNetworkNodePolicySpec) {
					s.NicSelector = sriovv1.SriovNetworkNicSelector{RootDevices: []string{"0000:5F:00.0"}}
					s.NumVfs = 2
				}),
			),
			want: []string{
				"0000:5f:00.0 ens1f0: 4 VFs, mtu 0, legacy",
				"  0-1: res_d of d, netdevice, mtu 0",
				"  2-2: res_c of c, netdevice, mtu 0",
			},
			lost: []string{
				"policy b: VF group 1-1 lost to policy d (priority 40 is before 99)",
				"policy a: VF group 0-0 lost to policy d (priority 40 is before 99)",
				"policy d: numVfs 2 is raised to 4 by policy c",
			},
		},
		"D6: what a policy does on another PF does not make priorities equal here": {
			// p3 is processed between p1 and p2 and touches only ens1f1.
			policies: policies(
				ask("p1", priority(99), vfs(8)),
				ask("p2", priority(10), vfs(2)),
				ask("p3", priority(10), on("ens1f1")),
			),
			want: []string{
				"0000:5f:00.0 ens1f0: 2 VFs, mtu 0, legacy", "  0-1: res_p2 of p2, netdevice, mtu 0",
				"0000:5f:00.1 ens1f1: 4 VFs, mtu 0, legacy", "  0-3: res_p3 of p3, netdevice, mtu 0",
			},
			lost: []string{
				"policy p1: VF group 0-7 lost to policy p2 (priority 10 is before 99)",
				"policy p1: numVfs 8 lost to policy p2, which has 2 (priority 10 is before 99)",
			},
		},
		"D7: ranges that do not overlap are merged whatever the priorities, with the maximum of numVfs and mtu": {
			policies: policies(
				ask("a", priority(5), vfs(2), mtu(1500), on("ens1f0#0-1")),
				ask("b", priority(50), vfs(8), mtu(9000), on("ens1f0#6-7")),
				ask("c", priority(99), vfs(6), on("ens1f0#2-5")),
			),
			want: []string{
				"0000:5f:00.0 ens1f0: 8 VFs, mtu 9000, legacy",
				"  0-1: res_a of a, netdevice, mtu 1500",
				"  6-7: res_b of b, netdevice, mtu 9000",
				"  2-5: res_c of c, netdevice, mtu 0",
			},
			lost: []string{
				"policy c: numVfs 6 is raised to 8 by policy b",
				"policy a: numVfs 2 is raised to 8 by policy b",
				"policy a: mtu 1500 is raised to 9000 by policy b",
			},
		},
		"D8: equal priority and overlap: the maximum of numVfs and mtu of both, the group of the last": {
			policies: policies(ask("a", priority(7), vfs(8), mtu(9000)), ask("b", priority(7), vfs(4), mtu(1500), on("ens1f0#2-3"))),
			want:     []string{"0000:5f:00.0 ens1f0: 8 VFs, mtu 9000, legacy", "  2-3: res_b of b, netdevice, mtu 1500"},
			lost: []string{
				"policy a: VF group 0-7 lost to policy b (equal priority 7, and b is processed after a)",
				"policy b: numVfs 4 is raised to 8 by policy a",
				"policy b: mtu 1500 is raised to 9000 by policy a",
			},
		},
		"D9: the higher priority stands alone with groups, numVfs and mtu": {
			policies: policies(ask("a", priority(7), vfs(8), mtu(9000)), ask("b", priority(6), vfs(4), mtu(1500), on("ens1f0#2-3"))),
			want:     []string{"0000:5f:00.0 ens1f0: 4 VFs, mtu 1500, legacy", "  2-3: res_b of b, netdevice, mtu 1500"},
			lost: []string{
				"policy a: VF group 0-7 lost to policy b (priority 6 is before 7)",
				"policy a: numVfs 8 lost to policy b, which has 4 (priority 6 is before 7)",
				"policy a: mtu 9000 lost to policy b, which has 1500 (priority 6 is before 7)",
			},
		},
		"an mtu that nobody else asks for is lost and shown as lost to unset": {
			policies: policies(ask("a", priority(7), mtu(9000)), ask("b", priority(6))),
			want:     []string{"0000:5f:00.0 ens1f0: 4 VFs, mtu 0, legacy", "  0-3: res_b of b, netdevice, mtu 0"},
			lost: []string{
				"policy a: VF group 0-3 lost to policy b (priority 6 is before 7)",
				"policy a: mtu 9000 lost to policy b, which leaves it unset (priority 6 is before 7)",
			},
		},
		"D10: eSwitchMode, linkType and externallyManaged are those of the policy processed last, and what is lost is told": {
			policies: policies(
				ask("a", priority(20), vfs(4), on("ens1f0#0-1"), func(s *sriovv1.SriovNetworkNodePolicySpec) {
					s.EswitchMode, s.LinkType, s.ExternallyManaged, s.AllowInUse = "switchdev", "eth", true, true
				}),
				ask("b", priority(10), vfs(4), on("ens1f0#2-3"), func(s *sriovv1.SriovNetworkNodePolicySpec) { s.LinkType = "IB" }),
			),
			want: []string{
				"0000:5f:00.0 ens1f0: 4 VFs, mtu 0, legacy, IB",
				"  2-3: res_b of b, netdevice, mtu 0, rdma",
				"  0-1: res_a of a, netdevice, mtu 0",
			},
			lost: []string{
				"policy a: eSwitchMode switchdev lost to policy b, which has legacy (priority 10 is before 20)",
				"policy a: linkType ETH lost to policy b, which has IB (priority 10 is before 20)",
				"policy a: externallyManaged true lost to policy b, which has false (priority 10 is before 20)",
				"policy a: allowInUse true lost to policy b, which has false (priority 10 is before 20)",
			},
		},
		"D10: among equal priorities the later name decides on the mode": {
			policies: policies(
				ask("a", on("ens1f0#0-1"), func(s *sriovv1.SriovNetworkNodePolicySpec) { s.EswitchMode = "legacy" }),
				ask("b", on("ens1f0#2-3"), func(s *sriovv1.SriovNetworkNodePolicySpec) { s.EswitchMode = "switchdev" }),
			),
			want: []string{
				"0000:5f:00.0 ens1f0: 4 VFs, mtu 0, switchdev",
				"  2-3: res_b of b, netdevice, mtu 0",
				"  0-1: res_a of a, netdevice, mtu 0",
			},
			lost: []string{"policy a: eSwitchMode legacy lost to policy b, which has switchdev (equal priority 99, and b is processed after a)"},
		},
		"an eSwitchMode that was never set is not lost": {
			policies: policies(ask("a", on("ens1f0#0-1")), ask("b", on("ens1f0#2-3"), func(s *sriovv1.SriovNetworkNodePolicySpec) { s.EswitchMode = "switchdev" })),
			want: []string{
				"0000:5f:00.0 ens1f0: 4 VFs, mtu 0, switchdev",
				"  2-3: res_b of b, netdevice, mtu 0",
				"  0-1: res_a of a, netdevice, mtu 0",
			},
		},
	})
}

func TestThreePoliciesOnOnePF(t *testing.T) {
	runMergeCases(t, map[string]mergeCase{
		"each group is judged by itself: one is replaced, the other stays": {
			policies: policies(
				ask("a", priority(50), vfs(8), on("ens1f0#0-3")),
				ask("b", priority(50), vfs(8), on("ens1f0#4-7")),
				ask("c", priority(10), vfs(4), on("ens1f0#2-3")),
			),
			want: []string{
				"0000:5f:00.0 ens1f0: 8 VFs, mtu 0, legacy",
				"  2-3: res_c of c, netdevice, mtu 0",
				"  4-7: res_b of b, netdevice, mtu 0",
			},
			lost: []string{
				"policy a: VF group 0-3 lost to policy c (priority 10 is before 50)",
				"policy c: numVfs 4 is raised to 8 by policy b",
			},
		},
		"numVfs of a policy that lost to a higher priority does not count, though a third one stays": {
			policies: policies(
				ask("a", priority(50), vfs(16), mtu(9000), on("ens1f0#0-3")),
				ask("b", priority(50), vfs(8), on("ens1f0#4-7")),
				ask("c", priority(10), vfs(4), mtu(1500), on("ens1f0#2-3")),
			),
			want: []string{
				"0000:5f:00.0 ens1f0: 8 VFs, mtu 1500, legacy",
				"  2-3: res_c of c, netdevice, mtu 1500",
				"  4-7: res_b of b, netdevice, mtu 0",
			},
			lost: []string{
				"policy a: VF group 0-3 lost to policy c (priority 10 is before 50)",
				"policy a: numVfs 16 lost to policy b, which has 8 (equal priority 50, and b is processed after a)",
				"policy a: mtu 9000 lost to policy c, which has 1500 (priority 10 is before 50)",
				"policy c: numVfs 4 is raised to 8 by policy b",
			},
		},
		"what a policy took over from one of equal priority falls with it": {
			policies: policies(
				ask("a", priority(50), vfs(16)),
				ask("b", priority(50), vfs(8)),
				ask("c", priority(10), vfs(2)),
			),
			want: []string{"0000:5f:00.0 ens1f0: 2 VFs, mtu 0, legacy", "  0-1: res_c of c, netdevice, mtu 0"},
			lost: []string{
				"policy a: VF group 0-15 lost to policy b (equal priority 50, and b is processed after a)",
				"policy b: VF group 0-7 lost to policy c (priority 10 is before 50)",
				"policy a: numVfs 16 lost to policy c, which has 2 (priority 10 is before 50)",
				"policy b: numVfs 8 lost to policy c, which has 2 (priority 10 is before 50)",
			},
		},
		"one policy with two ranges may lose one and keep the other": {
			policies: policies(
				ask("a", priority(50), vfs(8), on("ens1f0#0-1", "ens1f0#6-7")),
				ask("b", priority(10), vfs(4), on("ens1f0#1-2")),
			),
			want: []string{
				"0000:5f:00.0 ens1f0: 8 VFs, mtu 0, legacy",
				"  1-2: res_b of b, netdevice, mtu 0",
				"  6-7: res_a of a, netdevice, mtu 0",
			},
			lost: []string{
				"policy a: VF group 0-1 lost to policy b (priority 10 is before 50)",
				"policy b: numVfs 4 is raised to 8 by policy a",
			},
		},
		"a vDPA group whose mode another policy took away is left out and does not take the PF with it": {
			policies: policies(
				ask("a", vfs(8), on("ens1f0#4-7"), func(s *sriovv1.SriovNetworkNodePolicySpec) { s.EswitchMode, s.VdpaType = "switchdev", "vhost" }),
				ask("b", vfs(4), on("ens1f0#0-3")),
			),
			want: []string{"0000:5f:00.0 ens1f0: 4 VFs, mtu 0, legacy", "  0-3: res_b of b, netdevice, mtu 0"},
			lost: []string{
				"policy a: VF group 4-7 is left out: it needs eSwitchMode switchdev, and policy b, which is processed last, has legacy",
				"policy a: numVfs 8 lost to policy b, which has 4 (equal priority 99, and b is processed after a)",
				"policy a: eSwitchMode switchdev lost to policy b, which has legacy (equal priority 99, and b is processed after a)",
			},
		},
		"a vDPA group stays when the mode comes back with the policy processed last": {
			policies: policies(
				ask("a", vfs(4), on("ens1f0#0-1"), func(s *sriovv1.SriovNetworkNodePolicySpec) { s.EswitchMode, s.VdpaType = "switchdev", "virtio" }),
				ask("b", vfs(4), on("ens1f0#2-2")),
				ask("c", vfs(4), on("ens1f0#3-3"), func(s *sriovv1.SriovNetworkNodePolicySpec) { s.EswitchMode = "switchdev" }),
			),
			want: []string{
				"0000:5f:00.0 ens1f0: 4 VFs, mtu 0, switchdev",
				"  3-3: res_c of c, netdevice, mtu 0",
				"  2-2: res_b of b, netdevice, mtu 0",
				"  0-1: res_a of a, netdevice, mtu 0, virtio",
			},
		},
	})
}
