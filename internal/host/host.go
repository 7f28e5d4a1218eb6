// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// ErrUnsupported says that the machine has no such thing: a driver without
// devlink, a netdev without the feature, a kernel without RDMA. It is an answer,
// not a failure. Test for it with errors.Is.
var ErrUnsupported = errors.New("not supported")

// Reader is a machine that can be looked at. Everything that discovers gets this,
// so that nothing can be changed by asking.
type Reader struct {
	// Files is the machine's root directory; names have no leading slash. What
	// is read: under sys/ (bus/pci, bus/vdpa, class/net, class/infiniband,
	// class/iommu via kernel/iommu_groups) and this project's own files in etc/.
	Files fs.ReadLinkFS
	Links LinkReader
	// Devlink speaks to the kernel's devlink family.
	Devlink DevlinkReader
	RDMA    RDMAReader
	Boot    BootReader
}

// LinkReader looks at the netdevs of the host's network namespace.
type LinkReader interface {
	// Links are all netdevs, sorted by index.
	Links(ctx context.Context) ([]Link, error)
	// VFs are what the PF with this index says about its VFs, sorted by VF
	// index. ErrUnsupported when the driver does not say, or the kernel's answer
	// does not fit its message (more VFs than a netlink attribute holds).
	VFs(ctx context.Context, pfIndex int) ([]VFLink, error)
	// DefaultRoutes are the indices of the netdevs that a default route of the
	// main table uses, IPv4 and IPv6, sorted and without doubles.
	DefaultRoutes(ctx context.Context) ([]int, error)
	// RouteTo are the indices of the netdevs over which the main routes lead to an
	// address, sorted and without doubles; for an address of the machine's own,
	// the netdev that holds it. None when no route leads there.
	RouteTo(ctx context.Context, addr netip.Addr) ([]int, error)
	// TCOffload is the state of the feature hw-tc-offload.
	TCOffload(ctx context.Context, name string) (hw.Feature, error)
}

// Link is one netdev as the kernel tells it (RTM_GETLINK).
type Link struct {
	Index    int      `json:"index"`
	Name     string   `json:"name"`
	AltNames []string `json:"altNames,omitempty"`
	// MAC is the present address, PermMAC the one burnt in (empty if none).
	MAC     hw.MAC `json:"mac,omitempty"`
	PermMAC hw.MAC `json:"permMAC,omitempty"`
	MTU     int    `json:"mtu"`
	// MaxMTU is zero when the driver does not say.
	MaxMTU  int  `json:"maxMTU,omitempty"`
	AdminUp bool `json:"adminUp,omitempty"`
	// Encap is the link layer: "ether", "infiniband", "loopback", …
	Encap string `json:"encap,omitempty"`
	// Kind is the rtnl kind: "bond", "bridge", "vlan", "openvswitch"; empty for
	// hardware.
	Kind string `json:"kind,omitempty"`
	// Master is the index of the bond or bridge that the netdev is part of,
	// Parent that of the netdev it is stacked on (vlan, macvlan); zero for none.
	Master int `json:"master,omitempty"`
	Parent int `json:"parent,omitempty"`
	// Function is the PCI function that the netdev stands on directly; zero when
	// there is none, and from kernels before 5.14, which do not say.
	Function hw.PCIAddr `json:"function,omitzero"`
	// PortName is which port of its switch the netdev is, and SwitchID which
	// switch that is, in hex; empty when the driver does not say.
	PortName string `json:"portName,omitempty"`
	SwitchID string `json:"switchID,omitempty"`
}

// VFLink is what a PF says about one VF (IFLA_VFINFO_LIST).
type VFLink struct {
	Index    int    `json:"index"`
	AdminMAC hw.MAC `json:"adminMAC,omitempty"`
}

// DevlinkReader looks at devlink instances of PCI devices.
type DevlinkReader interface {
	// EswitchMode is the eSwitch's mode; ErrUnsupported when the device has no
	// devlink instance or no eSwitch.
	EswitchMode(ctx context.Context, dev hw.PCIAddr) (hw.EswitchMode, error)
	// Param is the runtime value of a string parameter; ErrUnsupported when the
	// driver has no such parameter.
	Param(ctx context.Context, dev hw.PCIAddr, name string) (string, error)
}

// RDMAReader looks at the RDMA subsystem.
type RDMAReader interface {
	// NetnsMode is the kernel's present mode; ErrUnsupported without RDMA.
	NetnsMode(ctx context.Context) (hw.RDMAMode, error)
	// NetnsModeFixed reports whether the mode can change at the next boot only:
	// network namespaces besides the host's exist, as far as that can be seen.
	NetnsModeFixed(ctx context.Context) (bool, error)
}

// Host is a machine that can also be changed. Only package execute gets this.
type Host struct {
	Reader
	Attrs      AttrWriter
	Conf       ConfWriter
	LinkCtl    LinkControl
	DevlinkCtl DevlinkControl
	VDPA       VDPAControl
	Modules    ModuleLoader
	Udev       UdevControl
	RDMACtl    RDMAControl
	BootCtl    BootControl
	Power      Power
	Events     Watcher
}

// AttrWriter writes sysfs attributes.
type AttrWriter interface {
	// WriteAttr opens an existing attribute for writing only, never creating it,
	// and writes the value with one write. The kernel's errno is in the error's
	// chain. It returns when the kernel does, or with ctx.Err() when ctx ends
	// first; the kernel then goes on by itself.
	WriteAttr(ctx context.Context, name, value string) error
}

// ConfWriter writes this project's own files.
type ConfWriter interface {
	// Replace makes the file hold exactly data, whole or not at all, also over a
	// power cut, and makes missing folders (mode 0755).
	Replace(ctx context.Context, name string, data []byte, mode fs.FileMode) error
	// Remove deletes the file; a missing one is no error.
	Remove(ctx context.Context, name string) error
}

// LinkControl changes netdevs. All act on the index, because udev may rename a
// netdev at any time.
type LinkControl interface {
	SetMTU(ctx context.Context, index, mtu int) error
	SetUp(ctx context.Context, index int) error
	// SetVFMAC sets the admin MAC of a VF through its PF.
	SetVFMAC(ctx context.Context, pfIndex, vf int, mac hw.MAC) error
	// SetVFGUID sets the node and the port GUID of a VF through its PF.
	SetVFGUID(ctx context.Context, pfIndex, vf int, guid hw.GUID) error
	// EnableTCOffload switches the feature hw-tc-offload on.
	EnableTCOffload(ctx context.Context, name string) error
}

// DevlinkControl changes devlink instances of PCI devices.
type DevlinkControl interface {
	SetEswitchMode(ctx context.Context, dev hw.PCIAddr, mode hw.EswitchMode) error
	// SetParam sets the runtime value of a string parameter.
	SetParam(ctx context.Context, dev hw.PCIAddr, name, value string) error
}

// VDPAControl makes and removes the vDPA device of a VF. The device is named
// "vdpa:<address of the VF>".
type VDPAControl interface {
	// Create makes the device, unless it is there, and binds it to the type's driver.
	Create(ctx context.Context, vf hw.PCIAddr, t hw.VDPAType) error
	// Delete removes the device; a missing one is no error.
	Delete(ctx context.Context, vf hw.PCIAddr) error
}

// ModuleLoader loads kernel modules as the machine's own configuration in
// /etc/modprobe.d says.
type ModuleLoader interface {
	// Load loads exactly this module with what it depends on; one that is loaded
	// or built in is no error.
	Load(ctx context.Context, module string) error
}

// UdevControl speaks to the machine's udev.
type UdevControl interface {
	// Reload makes udev read its rules again. A machine without udev is no error.
	Reload(ctx context.Context) error
	// Settle returns when udev has dealt with everything that happened before the
	// call, so that the names of netdevs are final, or with ctx's error. A machine
	// without udev is no error.
	Settle(ctx context.Context) error
}

// Watcher tells of changes as they happen.
type Watcher interface {
	// Watch starts to watch; what happens after it returned is seen. One receive
	// gives all that has piled up, in the order of its source, so that a reader who
	// is busy costs nothing and looks once for a burst. The channel is closed when
	// ctx ends. An event may be lost when the machine makes more than the reader
	// takes; Event.Lost then says so, and the reader looks again.
	Watch(ctx context.Context) (<-chan []Event, error)
}

// Event says that something changed. It is a reason to look, never a fact to
// rely on.
type Event struct {
	// Source is who tells: the kernel at once, udev when it has done its work
	// (renames included).
	Source EventSource
	// Action is the kernel's word: add, remove, change, move, bind, unbind.
	Action string
	// Subsystem is "pci", "net", "vdpa", …
	Subsystem string
	// Path is the device's path in sysfs without "/sys/" and without a leading
	// slash: "devices/pci0000:00/0000:00:03.0/0000:01:10.0".
	Path string
	// Lost says that events before this one were dropped.
	Lost bool
}

// EventSource is who tells of an event.
type EventSource string

// The sources of events.
const (
	FromKernel EventSource = "kernel"
	FromUdev   EventSource = "udev"
	// FromLinks is a change of a netdev (RTNLGRP_LINK), which uevents do not
	// tell: MTU, up and down.
	FromLinks EventSource = "links"
	// FromDevlink is a change of a devlink instance, its ports or its parameters, which
	// uevents do not tell: the way in which flows are steered.
	FromDevlink EventSource = "devlink"
)
