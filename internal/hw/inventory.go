// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package hw

import (
	"net/netip"
	"slices"
	"strings"
)

// Reading is a value that may not have been readable. Unknown is not zero: who
// uses a Reading looks at both cases.
type Reading[T any] struct {
	Value T `json:"value,omitempty"`
	// Unknown says why the value could not be read; empty when it could.
	Unknown string `json:"unknown,omitempty"`
}

// Read is a value that was read.
func Read[T any](v T) Reading[T] { return Reading[T]{Value: v} }

// Unreadable is a value that was not, and why.
func Unreadable[T any](why string) Reading[T] { return Reading[T]{Unknown: why} }

// Get is the value and whether it is known.
func (r Reading[T]) Get() (T, bool) { return r.Value, r.Unknown == "" }

// LinkType is the kind of link that a port speaks.
type LinkType string

// The link types. LinkUnknown is also "do not care" in a desired node.
const (
	LinkUnknown    LinkType = ""
	LinkEthernet   LinkType = "ETH"
	LinkInfiniBand LinkType = "IB"
)

// EswitchMode is the mode of a NIC's embedded switch
// (Documentation/networking/devlink/devlink-eswitch-attr.rst).
type EswitchMode string

// The eSwitch modes.
const (
	EswitchLegacy    EswitchMode = "legacy"
	EswitchSwitchdev EswitchMode = "switchdev"
)

// VDPAType is the driver of a vDPA device: to a container's netdev (virtio) or
// to a VM (vhost).
type VDPAType string

// The vDPA types.
const (
	VDPANone   VDPAType = ""
	VDPAVirtio VDPAType = "virtio"
	VDPAVhost  VDPAType = "vhost"
)

// RDMAMode says who sees an RDMA device: every network namespace, or one.
type RDMAMode string

// The RDMA namespace modes.
const (
	RDMAShared    RDMAMode = "shared"
	RDMAExclusive RDMAMode = "exclusive"
)

// Feature is the state of an offload that can be switched.
type Feature string

// The states of a Feature.
const (
	FeatureAbsent Feature = "absent" // unknown to the driver, or fixed to off
	FeatureOff    Feature = "off"
	FeatureOn     Feature = "on"
)

// Inventory is what one machine has, as data. PFs are sorted by address.
type Inventory struct {
	PFs []PF `json:"pfs"`
	// RDMA is the kernel's present RDMA namespace mode.
	RDMA Reading[RDMAMode] `json:"rdma"`
	// IOMMUGroups is the number of IOMMU groups; zero means that the IOMMU is
	// off or absent, and then vfio-pci cannot bind.
	IOMMUGroups int `json:"iommuGroups"`
	// PCIDrivers are the PCI drivers that are registered now, built in or loaded,
	// sorted.
	PCIDrivers []string `json:"pciDrivers"`
	// VDPADrivers are the drivers of the vDPA bus that are registered now, sorted.
	VDPADrivers []string `json:"vdpaDrivers,omitempty"`
	// MiscDevices are those of the devices "tun" and "vhost-net" that the kernel
	// has: its module is built in or loaded.
	MiscDevices []string `json:"miscDevices,omitempty"`
	// RDMAAbsent says that the kernel has no RDMA now. RDMAFixed says that the mode
	// cannot change before the next boot, because network namespaces besides the
	// host's exist (drivers/infiniband/core/device.c, rdma_compatdev_set).
	RDMAAbsent bool `json:"rdmaAbsent,omitempty"`
	RDMAFixed  bool `json:"rdmaFixed,omitempty"`
	// Boot is how the machine booted and will boot.
	Boot Boot `json:"boot,omitzero"`
	// OwnedFiles are the files of this project under /etc/udev, and NodeFiles, by
	// path without the leading slash.
	OwnedFiles map[string]string `json:"ownedFiles,omitempty"`
	// Problems are devices that could not be read, so that one broken device
	// hides no other.
	Problems []string `json:"problems,omitempty"`
}

// PF finds a PF by its address.
func (inv Inventory) PF(addr PCIAddr) (PF, bool) {
	i := slices.IndexFunc(inv.PFs, func(pf PF) bool { return pf.Addr == addr })
	if i < 0 {
		return PF{}, false
	}
	return inv.PFs[i], true
}

// PF is a physical function, or, when Virtual, the one VF that a virtual machine
// was given.
type PF struct {
	Addr     PCIAddr `json:"addr"`
	VendorID ID      `json:"vendorID"`
	DeviceID ID      `json:"deviceID"`
	Driver   string  `json:"driver"`
	// Unlisted marks a NIC that offers SR-IOV and is not in the NIC list.
	Unlisted bool `json:"unlisted,omitempty"`
	// Virtual marks a device whose VFs cannot be made here: the device is the VF.
	Virtual bool `json:"virtual,omitempty"`

	Netdev   string   `json:"netdev"`
	AltNames []string `json:"altNames,omitempty"`
	MAC      MAC      `json:"mac"`
	// PermMAC is the address burnt into the card; it seeds what is derived.
	PermMAC MAC          `json:"permMAC,omitempty"`
	MTU     Reading[int] `json:"mtu"`
	// MaxMTU is the most that the driver takes; zero when it does not say.
	MaxMTU    int          `json:"maxMTU,omitempty"`
	LinkType  LinkType     `json:"linkType"`
	AdminUp   bool         `json:"adminUp"`
	SpeedMbps Reading[int] `json:"speedMbps"`
	NetFilter string       `json:"netFilter,omitempty"`

	TotalVFs  int  `json:"totalVFs"`
	NumVFs    int  `json:"numVFs"`
	Autoprobe bool `json:"autoprobe"`

	// Eswitch is the eSwitch's mode. EswitchAbsent says that the driver offers
	// none, which is the legacy way of working and no failed reading.
	Eswitch       Reading[EswitchMode] `json:"eswitch"`
	EswitchAbsent bool                 `json:"eswitchAbsent,omitempty"`
	// SteeringMode is the devlink parameter flow_steering_mode; empty when the
	// driver has none.
	SteeringMode string  `json:"steeringMode,omitempty"`
	TCOffload    Feature `json:"tcOffload,omitempty"`
	PhysPortName string  `json:"physPortName,omitempty"`
	PhysSwitchID string  `json:"physSwitchID,omitempty"`

	// InUseBy says what of the host's own network runs over this PF, for
	// people: "default route", "bond bond0", "bridge br0", "OVS bridge".
	InUseBy []string `json:"inUseBy,omitempty"`
	// VFs are those that exist, sorted by index.
	VFs []VF `json:"vfs,omitempty"`
}

// VF finds a VF by its index.
func (pf PF) VF(index int) (VF, bool) {
	i := slices.IndexFunc(pf.VFs, func(vf VF) bool { return vf.Index == index })
	if i < 0 {
		return VF{}, false
	}
	return pf.VFs[i], true
}

// Named reports whether the name is the PF's netdev or one of its alternative
// names.
func (pf PF) Named(name string) bool {
	return name != "" && (pf.Netdev == name || slices.Contains(pf.AltNames, name))
}

// Seed is the address from which the PF's VFs get theirs.
func (pf PF) Seed() MAC {
	if !pf.PermMAC.IsZero() {
		return pf.PermMAC
	}
	return pf.MAC
}

// VF is a virtual function that exists.
type VF struct {
	Index    int     `json:"index"`
	Addr     PCIAddr `json:"addr"`
	VendorID ID      `json:"vendorID"`
	DeviceID ID      `json:"deviceID"`
	// Driver is empty when none is bound.
	Driver string `json:"driver"`
	// Netdev is empty when the driver makes none, or when the netdev is in
	// another network namespace; see Away.
	Netdev string `json:"netdev,omitempty"`
	// Away marks a VF whose kernel driver is bound and whose netdev is not in
	// the host's network namespace: a pod has it.
	Away bool `json:"away,omitempty"`
	// Held marks a VF that is bound to vfio-pci and that a program has open.
	Held bool `json:"held,omitempty"`
	MAC  MAC  `json:"mac,omitempty"`
	// AdminMAC is the address that the PF assigned; zero when it assigned none.
	AdminMAC    Reading[MAC]  `json:"adminMAC"`
	MTU         int           `json:"mtu,omitempty"` // zero when Netdev is empty
	IOMMUGroup  string        `json:"iommuGroup,omitempty"`
	RDMADevice  string        `json:"rdmaDevice,omitempty"`
	NodeGUID    Reading[GUID] `json:"nodeGUID"`
	VDPA        VDPAType      `json:"vdpa,omitempty"`
	Representor string        `json:"representor,omitempty"`
}

// Busy reports whether the machine shows that somebody has the VF, whoever that is.
// A VF that is not busy may still belong to a pod that does not use it now.
func (vf VF) Busy() bool { return vf.Away || vf.Held }

// SteeringParam is the devlink parameter that chooses how an mlx5 NIC steers
// flows (Documentation/networking/devlink/mlx5.rst).
const SteeringParam = "flow_steering_mode"

// UdevRules is the folder of udev's local rules, without a leading slash.
const UdevRules = "etc/udev/rules.d"

// The prefixes of the udev rules that exist per PF. The names are part of the
// wire: an upgrade in place finds them again.
const (
	RuleUnmanaged    = "10-nm-disable-"
	RulePFName       = "10-pf-name-"
	RuleRepresentors = "20-switchdev-"
)

// OwnedRule reports whether a file's name in UdevRules is that of a rule per PF,
// and of which PF.
func OwnedRule(name string) (PCIAddr, bool) {
	for _, prefix := range []string{RuleUnmanaged, RulePFName, RuleRepresentors} {
		rest, ok := strings.CutPrefix(name, prefix)
		addr, suffix := strings.CutSuffix(rest, ".rules")
		if !ok || !suffix {
			continue
		}
		if pf, err := ParsePCIAddr(addr); err == nil {
			return pf, true
		}
	}
	return PCIAddr{}, false
}

// KernelDriver reports whether a driver, by name, is one of the kernel's own that
// make netdevs. The others hand the device to userspace.
func KernelDriver(name string) bool {
	return name != "" && !slices.Contains([]string{"vfio-pci", "igb_uio", "uio_pci_generic"}, name)
}

// Lifeline is an address that the host must not be cut off from: another
// machine's that it speaks to, or its own at which others reach it.
type Lifeline struct {
	// Is says what it is, for people: "connection to the API server".
	Is   string
	Addr netip.Addr
}
