// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package forecast

import (
	"fmt"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
	"github.com/kubeovn/sriov-network-operator/internal/wire"
)

// The MTUs that PFs are assumed to have had at first.
const (
	firstMTU   = 1500
	firstIBMTU = 2044
)

// userspace is the driver that needs an IOMMU.
const userspace = "vfio-pci"

// observation is a node as its state tells, with assumptions in the place of what it
// does not tell.
type observation struct {
	inventory hw.Inventory
	memory    plan.Memory
	// iommu says that a VF is bound to vfio-pci, so that the IOMMU is on.
	iommu bool
	// modeless are the PFs of which it is not known whether they have an eSwitch whose
	// mode changes: the state says legacy of those that have none, too.
	modeless map[hw.PCIAddr]bool
}

// observe reads a status. was is what the node should be at present: of these PFs the
// node has records, and the state does not tell what is in them.
func observe(status sriovv1.SriovNetworkNodeStateStatus, was desired.Node, nics catalog.Table) observation {
	o := observation{inventory: wire.Inventory(status), memory: plan.Memory{}, modeless: map[hw.PCIAddr]bool{}}
	o.inventory.IOMMUGroups = 1
	// The kernel changes the RDMA namespace mode only while no network namespace but the
	// host's exists (drivers/infiniband/core/device.c, rdma_compatdev_set), and a node of a
	// cluster has pods. With no word about its boot loader, the boot that is then planned
	// lacks only the argument.
	o.inventory.RDMAFixed = true
	for i := range o.inventory.PFs {
		pf := &o.inventory.PFs[i]
		mode, known := pf.Eswitch.Get()
		if !known {
			pf.Eswitch = hw.Read(hw.EswitchLegacy)
		}
		traits := nics.Driver(pf.Driver)
		switches := traits.Order == catalog.ModeThenVFs || traits.Steering.Name != ""
		o.modeless[pf.Addr] = mode != hw.EswitchSwitchdev && !switches
		for _, vf := range pf.VFs {
			o.iommu = o.iommu || vf.Driver == userspace
		}
		if asked, ok := was.PF(pf.Addr); ok {
			o.memory[pf.Addr] = record(asked, pf)
		}
	}
	return o
}

// record is what the node remembers of a PF, if the PF was like new before the operator
// came to it.
func record(asked desired.PF, saw *hw.PF) plan.Record {
	first := firstMTU
	if saw.LinkType == hw.LinkInfiniBand {
		first = firstIBMTU
	}
	r := plan.Record{
		PF: asked.Addr, Name: asked.Name, NumVFs: asked.NumVFs, MTU: asked.MTU, Eswitch: asked.Eswitch, LinkType: asked.LinkType,
		ExternallyManaged: asked.ExternallyManaged, AllowInUse: asked.AllowInUse, MadeVFs: !asked.ExternallyManaged,
		Initial: &plan.Initial{MTU: first, Eswitch: hw.EswitchLegacy},
	}
	if mtu, ok := saw.MTU.Get(); ok && asked.MTU > 0 && mtu == asked.MTU {
		r.SetMTU = mtu
	}
	return r
}

// doubts are what the plan depends on and the state does not tell.
func (o observation) doubts(p plan.Plan, want desired.Node, differing map[hw.PCIAddr]bool) []string {
	var out []string
	var vfio, lowers, returns bool
	for s := range p.Steps() {
		switch do := s.Do.(type) {
		case plan.BindVFs:
			vfio = vfio || do.Driver == userspace
		case plan.SetMTU:
			lowers = lowers || do.To < do.From
		default:
		}
	}
	for _, l := range p.Lanes {
		_, asked := want.PF(l.PF)
		returns = returns || !asked
	}
	if vfio && !o.iommu {
		out = append(out, "whether the IOMMU is on: without it no VF can be bound to "+userspace+", and with systems that need a kernel argument for it the node restarts")
	}
	if returns {
		out = append(out, fmt.Sprintf("what the PF was like before the operator first changed it: assumed are no VFs, eSwitch mode %s and MTU %d", hw.EswitchLegacy, firstMTU))
	} else if lowers {
		out = append(out, fmt.Sprintf("which MTU the PF's owner had set: assumed is %d", firstMTU))
	}
	for _, pf := range want.PFs() {
		if differing[pf.Addr] && o.modeless[pf.Addr] && pf.Eswitch == hw.EswitchSwitchdev {
			out = append(out, fmt.Sprintf("whether %s has an eSwitch whose mode changes: without one nothing of the PF is touched", pf.Name))
		}
	}
	return out
}
