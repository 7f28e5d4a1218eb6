// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"cmp"
	"fmt"
	"strings"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// Problem is a part of a node state that could not be read.
type Problem struct {
	// Field is the path in the object: "spec.interfaces[1].vfGroups[0].vfRange".
	Field string
	// PF is the address of the PF that it belongs to; zero when that is not known.
	PF hw.PCIAddr
	// Cause is what is wrong, with the value.
	Cause string
}

// String is field and cause.
func (p Problem) String() string { return p.Field + ": " + p.Cause }

// Spec writes a node as NodeState.spec. Interfaces are sorted by PCI address.
// What is unset is left out: legacy mode too, but not deviceType, which other
// software reads.
func Spec(n desired.Node) sriovv1.SriovNetworkNodeStateSpec {
	spec := sriovv1.SriovNetworkNodeStateSpec{System: sriovv1.System{RdmaMode: sriovv1.RdmaMode(n.RDMAMode())}}
	for _, pf := range n.PFs() {
		spec.Interfaces = append(spec.Interfaces, iface(pf))
	}
	return spec
}

func iface(pf desired.PF) sriovv1.Interface {
	out := sriovv1.Interface{
		PciAddress: pf.Addr.String(), Name: pf.Name, NumVfs: pf.NumVFs, Mtu: pf.MTU,
		LinkType:          sriovv1.LinkType(pf.LinkType),
		ExternallyManaged: pf.ExternallyManaged,
		AllowUnlistedNics: pf.AllowUnlisted, AllowInUse: pf.AllowInUse,
	}
	if pf.Eswitch != hw.EswitchLegacy {
		out.EswitchMode = sriovv1.EswitchMode(pf.Eswitch)
	}
	for _, g := range pf.Groups {
		out.VfGroups = append(out.VfGroups, sriovv1.VfGroup{
			ResourceName: g.Resource, DeviceType: sriovv1.DeviceType(g.Driver),
			VfRange: g.Range.String(), PolicyName: g.Policy, Mtu: g.MTU,
			IsRdma: g.RDMA, VdpaType: sriovv1.VdpaType(g.VDPA), NeedVhostNet: g.VhostNet,
		})
	}
	return out
}

// Desired reads NodeState.spec. What cannot be read is returned beside what can:
// a VF group alone, or a whole PF. A caller that gets problems must not take the
// absence of a PF as the wish to give it back.
func Desired(spec sriovv1.SriovNetworkNodeStateSpec) (desired.Node, []Problem) {
	var pfs []desired.PF
	var problems []Problem
	for i := range spec.Interfaces {
		path := fmt.Sprintf("spec.interfaces[%d]", i)
		addr, err := hw.ParsePCIAddr(spec.Interfaces[i].PciAddress)
		if err != nil {
			problems = append(problems, Problem{Field: path + ".pciAddress", Cause: err.Error()})
			continue
		}
		pf, bad := wish(path, addr, &spec.Interfaces[i])
		pfs, problems = append(pfs, pf), append(problems, bad...)
	}
	rdma := hw.RDMAMode(spec.System.RdmaMode)
	if rdma != "" && rdma != hw.RDMAShared && rdma != hw.RDMAExclusive {
		problems = append(problems, Problem{
			Field: "spec.system.rdmaMode", Cause: fmt.Sprintf("%q is neither shared nor exclusive; it is left alone", rdma),
		})
		rdma = ""
	}
	if len(spec.Bridges.OVS) > 0 {
		problems = append(problems, Problem{Field: "spec.bridges", Cause: "bridges are not configured by this version"})
	}
	node, rejected := desired.New(pfs, rdma)
	for _, r := range rejected {
		problems = append(problems, Problem{Field: "spec.interfaces", PF: r.PF.Addr, Cause: r.Err.Error()})
	}
	return node, problems
}

func wish(path string, addr hw.PCIAddr, in *sriovv1.Interface) (desired.PF, []Problem) {
	pf := desired.PF{
		Addr: addr, Name: in.Name, NumVFs: in.NumVfs, MTU: in.Mtu,
		Eswitch:           hw.EswitchMode(cmp.Or(in.EswitchMode, sriovv1.EswitchModeLegacy)),
		ExternallyManaged: in.ExternallyManaged,
		AllowInUse:        in.AllowInUse, AllowUnlisted: in.AllowUnlistedNics,
	}
	var problems []Problem
	var ok bool
	if pf.LinkType, ok = linkType(in.LinkType); !ok {
		problems = append(problems, Problem{
			Field: path + ".linkType", PF: addr, Cause: fmt.Sprintf("%q is neither ETH nor IB; it is left alone", in.LinkType),
		})
	}
	for i := range in.VfGroups {
		g := &in.VfGroups[i]
		r, err := hw.ParseVFRange(g.VfRange)
		if err != nil {
			problems = append(problems, Problem{Field: fmt.Sprintf("%s.vfGroups[%d].vfRange", path, i), PF: addr, Cause: err.Error()})
			continue
		}
		pf.Groups = append(pf.Groups, desired.Group{
			Policy: g.PolicyName, Resource: g.ResourceName, Range: r,
			Driver: desired.Driver(cmp.Or(g.DeviceType, sriovv1.DeviceTypeNetdevice)),
			MTU:    g.Mtu, RDMA: g.IsRdma, VDPA: hw.VDPAType(g.VdpaType), VhostNet: g.NeedVhostNet,
		})
	}
	return pf, problems
}

// linkType reads a link type in upper or lower case; what is not known counts as
// unknown, with false.
func linkType(t sriovv1.LinkType) (hw.LinkType, bool) {
	switch v := hw.LinkType(strings.ToUpper(string(t))); v {
	case hw.LinkUnknown, hw.LinkEthernet, hw.LinkInfiniBand:
		return v, true
	}
	return hw.LinkUnknown, false
}
