// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package match

import (
	"slices"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// Entry is a policy that is no object of the API: what a ConfigMap asks of one
// node. Who renders a node is handed its entries alone, so that their
// nodeSelector is empty.
type Entry struct {
	Policy sriovv1.SriovNetworkNodePolicy
	// Type is the NIC type that a PF must have; the zero type is any.
	Type NICType
}

// NICType is a kind of NIC: some models, or all NICs of a driver. The zero NICType
// is any NIC.
type NICType struct {
	// Name is what a person wrote.
	Name string
	// Models are the models that are of the type.
	Models []Model
	// Driver is whose NICs are of the type, besides Models; its name is empty
	// when the type is no driver.
	Driver Driver
}

// Model is a model of a NIC by its ids.
type Model struct {
	Vendor, Device hw.ID
	// VFDevice is the device id of its VFs; empty when it is not known.
	VFDevice hw.ID
}

// Driver is a driver of PFs.
type Driver struct {
	// Name and VFName are the drivers of the PF and of its VFs, as in
	// /sys/bus/pci/drivers.
	Name, VFName string
	// Vendors are the vendors of its NICs.
	Vendors []hw.ID
}

// IsZero reports whether the type is any NIC.
func (t NICType) IsZero() bool { return len(t.Models) == 0 && t.Driver.Name == "" }

// Has reports whether the PF is of the type. In a virtual machine the VF is the
// device, and it has its PF's type.
func (t NICType) Has(pf *hw.PF) bool {
	return t.IsZero() || slices.ContainsFunc(t.Models, func(m Model) bool { return m.is(pf) }) || t.Driver.has(pf)
}

func (m Model) is(pf *hw.PF) bool {
	return m.Vendor == pf.VendorID &&
		(m.Device == pf.DeviceID || pf.Virtual && m.VFDevice != "" && m.VFDevice == pf.DeviceID)
}

// has looks at the vendor when userspace has the device, or nobody: the driver
// that it would have then cannot be seen.
func (d Driver) has(pf *hw.PF) bool {
	switch {
	case d.Name == "":
		return false
	case !hw.KernelDriver(pf.Driver):
		return slices.Contains(d.Vendors, pf.VendorID)
	}
	return pf.Driver == d.Name || pf.Virtual && pf.Driver == d.VFName
}
