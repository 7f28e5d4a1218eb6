// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"slices"
	"strconv"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// Status writes what an inventory says as NodeState.status.interfaces, sorted by
// PCI address.
func Status(inv hw.Inventory) []sriovv1.InterfaceExt {
	pfs := slices.Clone(inv.PFs)
	slices.SortStableFunc(pfs, func(a, b hw.PF) int { return a.Addr.Compare(b.Addr) })
	out := make([]sriovv1.InterfaceExt, 0, len(pfs))
	for i := range pfs {
		out = append(out, ifaceExt(&pfs[i]))
	}
	return out
}

// System writes what an inventory says as NodeState.status.system.
func System(inv hw.Inventory) sriovv1.System {
	mode, _ := inv.RDMA.Get()
	return sriovv1.System{RdmaMode: sriovv1.RdmaMode(mode)}
}

func ifaceExt(pf *hw.PF) sriovv1.InterfaceExt {
	out := sriovv1.InterfaceExt{
		Name: pf.Netdev, Mac: string(pf.MAC), Driver: pf.Driver, PciAddress: pf.Addr.String(),
		Vendor: string(pf.VendorID), DeviceID: string(pf.DeviceID), NetFilter: pf.NetFilter,
		LinkType: sriovv1.LinkType(pf.LinkType), NumVfs: pf.NumVFs, TotalVfs: pf.TotalVFs,
		AltNames: slices.Clone(pf.AltNames), Unlisted: pf.Unlisted, InUseBy: slices.Clone(pf.InUseBy),
	}
	if pf.Netdev != "" {
		out.LinkAdminState = sriovv1.LinkAdminStateDown
		if pf.AdminUp {
			out.LinkAdminState = sriovv1.LinkAdminStateUp
		}
		out.Mtu = pf.MTU.Value
		out.Warnings = unread(out.Warnings, "mtu", pf.MTU.Unknown)
	}
	if speed, ok := pf.SpeedMbps.Get(); ok && speed > 0 {
		out.LinkSpeed = strconv.Itoa(speed) + speedUnit
	}
	mode, _ := pf.Eswitch.Get()
	out.EswitchMode = sriovv1.EswitchMode(mode)
	out.Warnings = unread(out.Warnings, "eSwitchMode", pf.Eswitch.Unknown)
	for i := range pf.VFs {
		out.VFs = append(out.VFs, function(&pf.VFs[i]))
	}
	return out
}

// speedUnit follows the number in linkSpeed.
const speedUnit = " Mb/s"

// unread adds the warning that a field could not be read.
func unread(warnings []string, field, why string) []string {
	if why == "" {
		return warnings
	}
	return append(warnings, fmt.Sprintf("%s could not be read: %s", field, why))
}

func function(vf *hw.VF) sriovv1.VirtualFunction {
	out := sriovv1.VirtualFunction{
		VfID: vf.Index, PciAddress: vf.Addr.String(), Name: vf.Netdev, Mac: string(vf.MAC), Driver: vf.Driver,
		Vendor: string(vf.VendorID), DeviceID: string(vf.DeviceID), Mtu: vf.MTU,
		VdpaType: sriovv1.VdpaType(vf.VDPA), RepresentorName: vf.Representor,
	}
	if admin, ok := vf.AdminMAC.Get(); ok && out.Mac == "" && !admin.IsZero() {
		out.Mac = string(admin)
	}
	if guid, ok := vf.NodeGUID.Get(); ok {
		out.GUID = formatGUID(guid)
	}
	return out
}

// formatGUID writes a GUID as sysfs does, four groups, which is how status has
// always had it. All zeros says that the VF has none yet.
func formatGUID(g hw.GUID) string {
	return fmt.Sprintf("%04x:%04x:%04x:%04x", uint64(g)>>48, uint64(g)>>32&0xffff, uint64(g)>>16&0xffff, uint64(g)&0xffff)
}
