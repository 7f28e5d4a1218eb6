// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"fmt"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
)

const (
	nodes    = 5000
	pools    = 20
	policies = 100
)

// cluster is 5,000 nodes and 100 policies.
type cluster struct {
	policies []sriovv1.SriovNetworkNodePolicy
	nodes    []node
}

type node struct {
	nodestate.Node
	inventory hw.Inventory
}

// fleet is a cluster as one grows: 20 pools of nodes that are alike, each node with
// two cards of two ports, and five policies for each pool. Two of them share a PF
// and one loses a PF to another.
func fleet() cluster {
	var c cluster
	for i := range nodes {
		c.nodes = append(c.nodes, newNode(i))
	}
	for i := range policies {
		pool, kind := i/5, i%5
		p := sriovv1.SriovNetworkNodePolicy{}
		p.Name, p.Namespace = fmt.Sprintf("pool%02d-%d", pool, kind), "kube-system"
		p.Spec = sriovv1.SriovNetworkNodePolicySpec{
			NodeSelector: map[string]string{"pool": fmt.Sprint(pool)}, ResourceName: fmt.Sprintf("pool%02d_%d", pool, kind),
			Priority: new(10 * kind), NumVfs: 16, DeviceType: []sriovv1.DeviceType{"netdevice", "vfio-pci"}[kind%2],
			NicSelector: sriovv1.SriovNetworkNicSelector{
				Vendor: "15b3", PfNames: [][]string{{"ens1f0np0#0-7"}, {"ens1f0np0#8-15"}, {"ens1f1np1"}, {"ens2f0np0"}, {"ens2f0np0", "ens2f1np1"}}[kind],
			},
		}
		c.policies = append(c.policies, p)
	}
	return c
}

// crowd is the same cluster as it should not be: each of the 100 policies asks for
// every PF of every node.
func crowd() cluster {
	c := fleet()
	for i := range c.policies {
		spec := &c.policies[i].Spec
		spec.NodeSelector = map[string]string{}
		spec.NicSelector = sriovv1.SriovNetworkNicSelector{Vendor: "15b3"}
		spec.Priority = new(i % 100)
	}
	return c
}

// newNode is a node with its own inventory, as each reports its own.
func newNode(i int) node {
	n := node{Node: nodestate.Node{Name: fmt.Sprintf("worker-%04d", i), Labels: map[string]string{
		"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", "kubernetes.io/hostname": fmt.Sprintf("worker-%04d", i),
		"feature.node.kubernetes.io/network-sriov.capable": "true", "node-role.kubernetes.io/worker": "", "pool": fmt.Sprint(i % pools),
	}}}
	for port := range 4 {
		mac := hw.MAC(fmt.Sprintf("0c:42:a1:%02x:%02x:%02x", i>>8, i&0xff, port))
		n.inventory.PFs = append(n.inventory.PFs, hw.PF{
			Addr:     hw.PCIAddr{Bus: uint8(0x5f + port/2), Function: uint8(port % 2)},
			VendorID: "15b3", DeviceID: "101d", Driver: "mlx5_core", Netdev: fmt.Sprintf("ens%df%dnp%d", 1+port/2, port%2, port%2),
			MAC: mac, PermMAC: mac, LinkType: hw.LinkEthernet, MTU: hw.Read(1500), MaxMTU: 9978, AdminUp: true, TotalVFs: 128, Autoprobe: true,
			Eswitch: hw.Read(hw.EswitchLegacy), InUseBy: nil,
		})
	}
	n.inventory.IOMMUGroups = 64
	return n
}
