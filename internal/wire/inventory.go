// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// notTold is why a reading is unknown that the API has no field for, or whose
// field is empty.
const notTold = "the node state does not tell"

// Inventory reads NodeState.status: what can be known of a machine from afar.
// What the API has no field for is unknown; what cannot be read is in Problems.
// A device whose only VF has its own address is the VF that a virtual machine was
// given.
func Inventory(status sriovv1.SriovNetworkNodeStateStatus) hw.Inventory {
	inv := hw.Inventory{RDMA: known(hw.RDMAMode(status.System.RdmaMode))}
	for i := range status.Interfaces {
		in := &status.Interfaces[i]
		path := fmt.Sprintf("status.interfaces[%d]", i)
		addr, err := hw.ParsePCIAddr(in.PciAddress)
		if err != nil {
			inv.Problems = append(inv.Problems, fmt.Sprintf("%s.pciAddress: %v", path, err))
			continue
		}
		r := reader{path: path}
		inv.PFs = append(inv.PFs, r.pf(addr, in))
		inv.Problems = append(inv.Problems, r.problems...)
	}
	slices.SortStableFunc(inv.PFs, func(a, b hw.PF) int { return a.Addr.Compare(b.Addr) })
	return inv
}

// known is a value that is there unless it is zero.
func known[T comparable](v T) hw.Reading[T] {
	var zero T
	if v == zero {
		return hw.Unreadable[T](notTold)
	}
	return hw.Read(v)
}

// reader reads one interface and collects what it cannot read.
type reader struct {
	path     string
	problems []string
}

func (r *reader) pf(addr hw.PCIAddr, in *sriovv1.InterfaceExt) hw.PF {
	link, ok := linkType(in.LinkType)
	if !ok {
		r.problem("linkType", fmt.Sprintf("%q is neither ETH nor IB", in.LinkType))
	}
	pf := hw.PF{
		Addr: addr, VendorID: r.id("vendor", in.Vendor), DeviceID: r.id("deviceID", in.DeviceID),
		Driver: in.Driver, Unlisted: in.Unlisted,
		Netdev: in.Name, AltNames: slices.Clone(in.AltNames), MAC: r.mac("mac", in.Mac),
		MTU: known(in.Mtu), LinkType: link, AdminUp: in.LinkAdminState == sriovv1.LinkAdminStateUp,
		SpeedMbps: r.speed(in.LinkSpeed), NetFilter: in.NetFilter,
		TotalVFs: in.TotalVfs, NumVFs: in.NumVfs,
		Eswitch: known(hw.EswitchMode(in.EswitchMode)), InUseBy: slices.Clone(in.InUseBy),
		// The kernel's default.
		Autoprobe: true,
	}
	for i := range in.VFs {
		if vf, ok := r.vf(i, &in.VFs[i]); ok {
			pf.VFs = append(pf.VFs, vf)
		}
	}
	pf.Virtual = len(pf.VFs) == 1 && pf.VFs[0].Addr == addr
	slices.SortStableFunc(pf.VFs, func(a, b hw.VF) int { return a.Index - b.Index })
	return pf
}

func (r *reader) vf(i int, in *sriovv1.VirtualFunction) (hw.VF, bool) {
	field := func(name string) string { return fmt.Sprintf("Vfs[%d].%s", i, name) }
	addr, err := hw.ParsePCIAddr(in.PciAddress)
	if err != nil {
		r.problem(field("pciAddress"), err.Error())
		return hw.VF{}, false
	}
	vf := hw.VF{
		Index: in.VfID, Addr: addr,
		VendorID: r.id(field("vendor"), in.Vendor), DeviceID: r.id(field("deviceID"), in.DeviceID),
		Driver: in.Driver, Netdev: in.Name, MAC: r.mac(field("mac"), in.Mac), MTU: in.Mtu,
		AdminMAC: hw.Unreadable[hw.MAC](notTold), NodeGUID: hw.Unreadable[hw.GUID](notTold),
		VDPA: hw.VDPAType(in.VdpaType), Representor: in.RepresentorName,
	}
	if in.GUID == "" {
		return vf, true
	}
	guid, err := hw.ParseGUID(in.GUID)
	if err != nil {
		r.problem(field("guid"), err.Error())
		return vf, true
	}
	vf.NodeGUID = hw.Read(guid)
	return vf, true
}

func (r *reader) problem(field, cause string) {
	r.problems = append(r.problems, fmt.Sprintf("%s.%s: %s", r.path, field, cause))
}

// id reads a PCI id; an empty one is none.
func (r *reader) id(field, text string) hw.ID {
	if text == "" {
		return ""
	}
	id, err := hw.ParseID(text)
	if err != nil {
		r.problem(field, err.Error())
	}
	return id
}

// mac reads an address; an empty one is none.
func (r *reader) mac(field, text string) hw.MAC {
	if text == "" {
		return ""
	}
	mac, err := hw.ParseMAC(text)
	if err != nil {
		r.problem(field, err.Error())
	}
	return mac
}

// speed reads "25000 Mb/s", also without the blank.
func (r *reader) speed(text string) hw.Reading[int] {
	if text == "" {
		return hw.Unreadable[int](notTold)
	}
	digits := strings.TrimSpace(strings.TrimSuffix(text, strings.TrimSpace(speedUnit)))
	n, err := strconv.Atoi(digits)
	if err != nil {
		r.problem("linkSpeed", fmt.Sprintf("%q is not like \"25000 Mb/s\"", text))
		return hw.Unreadable[int](notTold)
	}
	if n <= 0 {
		return hw.Unreadable[int]("the link is down")
	}
	return hw.Read(n)
}
