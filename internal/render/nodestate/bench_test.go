// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodestate

import (
	"fmt"
	"testing"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// fleet is 5,000 nodes with 4 PFs each, in 20 pools, and 100 policies: 5 for each
// pool, of which 2 share a PF and 1 loses to another.
func fleet() ([]sriovv1.SriovNetworkNodePolicy, []Node, hw.Inventory) {
	const pools, nodes = 20, 5000
	var out []sriovv1.SriovNetworkNodePolicy
	for pool := range pools {
		here := func(s *sriovv1.SriovNetworkNodePolicySpec) {
			s.NodeSelector = map[string]string{"pool": fmt.Sprint(pool)}
		}
		for i, names := range [][]string{{"ens1f0#0-3"}, {"ens1f0#4-7"}, {"ens1f1"}, {"ens2f0"}, {"ens2f0", "ens2f1"}} {
			out = append(out, ask(fmt.Sprintf("pool%d-%d", pool, i), here, on(names...), vfs(8), priority(10*i)))
		}
	}
	return out, nodesOf(nodes, pools), fourPorts()
}

// crowd is 5,000 nodes that all 100 policies select, and every policy wants VFs
// of every PF.
func crowd() ([]sriovv1.SriovNetworkNodePolicy, []Node, hw.Inventory) {
	var out []sriovv1.SriovNetworkNodePolicy
	for i := range 100 {
		out = append(out, ask(fmt.Sprintf("p%d", i), priority(i), vfs(8), func(s *sriovv1.SriovNetworkNodePolicySpec) {
			s.NicSelector = sriovv1.SriovNetworkNicSelector{Vendor: "15b3"}
		}))
	}
	return out, nodesOf(5000, 1), fourPorts()
}

func nodesOf(n, pools int) []Node {
	out := make([]Node, n)
	for i := range out {
		labels := capable()
		labels["pool"] = fmt.Sprint(i % pools)
		labels["kubernetes.io/hostname"] = fmt.Sprintf("node%d", i)
		out[i] = Node{Name: fmt.Sprintf("node%d", i), Labels: labels}
	}
	return out
}

func fourPorts() hw.Inventory {
	inv := hw.Inventory{}
	for i, name := range []string{"ens1f0", "ens1f1", "ens2f0", "ens2f1"} {
		inv.PFs = append(inv.PFs, hw.PF{
			Addr: addr(fmt.Sprintf("0000:%02x:00.%d", 0x5f+i/2, i%2)), VendorID: "15b3", DeviceID: "1017",
			Driver: "mlx5_core", Netdev: name, AltNames: []string{"enp" + name}, TotalVFs: 16,
		})
	}
	return inv
}

// BenchmarkCluster renders a whole cluster of 5,000 nodes with 100 policies.
func BenchmarkCluster(b *testing.B) {
	for name, cluster := range map[string]func() ([]sriovv1.SriovNetworkNodePolicy, []Node, hw.Inventory){"fleet": fleet, "crowd": crowd} {
		b.Run(name, func(b *testing.B) {
			policies, nodes, inv := cluster()
			b.ReportAllocs()
			for b.Loop() {
				c := Compile(policies, Options{Catalog: catalog.Default()})
				for _, n := range nodes {
					if len(c.Render(n, inv, hw.RDMAShared).Desired.PFs()) != len(inv.PFs) {
						b.Fatal("a PF is missing")
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(nodes)), "ns/node")
		})
	}
}
