// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// From include/uapi/linux/vdpa.h.
const (
	vdpaFamily = "vdpa"

	vdpaDevNew = 3 // VDPA_CMD_DEV_NEW
	vdpaDevDel = 4 // VDPA_CMD_DEV_DEL

	vdpaParentBus  = 1  // VDPA_ATTR_MGMTDEV_BUS_NAME
	vdpaParentName = 2  // VDPA_ATTR_MGMTDEV_DEV_NAME
	vdpaName       = 4  // VDPA_ATTR_DEV_NAME
	vdpaMaxPairs   = 12 // VDPA_ATTR_DEV_NET_CFG_MAX_VQP
)

// vdpaPairs is the most pairs of queues that a vDPA device is given, where the
// driver lets one choose.
const vdpaPairs = 32

// vdpaBus is where sysfs has vDPA devices and their drivers.
const vdpaBus = "sys/bus/vdpa"

// vdpaControl is host.VDPAControl.
type vdpaControl struct {
	files    fs.ReadLinkFS
	attrs    attrWriter
	families *families
}

// vdpaParent names a management device: the part of a VF's driver that makes vDPA
// devices. A simulated one has no bus.
type vdpaParent struct{ bus, name string }

// Create implements host.VDPAControl. A device that exists already is bound anew.
func (v vdpaControl) Create(ctx context.Context, vf hw.PCIAddr, t hw.VDPAType) error {
	driver, err := vdpaDriver(t)
	if err != nil {
		return fmt.Errorf("create vDPA device of %s: %w", vf, err)
	}
	name := vdpaDevice(vf)
	if err := v.create(ctx, name, vdpaParent{bus: "pci", name: vf.String()}); err != nil {
		return fmt.Errorf("create vDPA device %s: %w", name, err)
	}
	if err := v.bind(ctx, name, driver); err != nil {
		return fmt.Errorf("bind vDPA device %s to %s: %w", name, driver, err)
	}
	return nil
}

// Delete implements host.VDPAControl.
func (v vdpaControl) Delete(ctx context.Context, vf hw.PCIAddr) error {
	name := vdpaDevice(vf)
	if err := v.remove(ctx, name); err != nil {
		return fmt.Errorf("delete vDPA device %s: %w", name, err)
	}
	return nil
}

func vdpaDevice(vf hw.PCIAddr) string { return "vdpa:" + vf.String() }

func vdpaDriver(t hw.VDPAType) (string, error) {
	switch t {
	case hw.VDPAVhost:
		return "vhost_vdpa", nil
	case hw.VDPAVirtio:
		return "virtio_vdpa", nil
	case hw.VDPANone:
	}
	return "", fmt.Errorf("%q is no type of vDPA device", t)
}

func (v vdpaControl) create(ctx context.Context, name string, parent vdpaParent) error {
	err := v.add(ctx, name, parent, vdpaPairs)
	if errors.Is(err, unix.EOPNOTSUPP) {
		// The driver does not let the number of queues be chosen.
		err = v.add(ctx, name, parent, 0)
	}
	switch {
	case errors.Is(err, unix.EEXIST):
		return nil
	case errors.Is(err, errNoFamily):
		return fmt.Errorf("%w: %w", host.ErrUnsupported, err)
	}
	return err
}

// add makes a device with so many pairs of queues, or with the driver's number of
// them when pairs is zero.
func (v vdpaControl) add(ctx context.Context, name string, parent vdpaParent, pairs uint16) error {
	attrs := vdpaNamed(name)
	attrs.String(vdpaParentName, parent.name)
	if parent.bus != "" {
		attrs.String(vdpaParentBus, parent.bus)
	}
	if pairs != 0 {
		attrs.Uint16(vdpaMaxPairs, pairs)
	}
	_, err := v.families.ask(ctx, vdpaFamily, vdpaDevNew, attrs)
	return err
}

// bind makes the driver the device's. When a vDPA device appears, the first
// driver of the bus that is loaded takes it, which may be the other one.
func (v vdpaControl) bind(ctx context.Context, name, driver string) error {
	device := path.Join(vdpaBus, "devices", name)
	bound, err := host.LinkBase(v.files, path.Join(device, "driver"))
	if err != nil || bound == driver {
		return err
	}
	if err := v.attrs.WriteAttr(ctx, path.Join(device, "driver_override"), driver); err != nil {
		return err
	}
	if bound != "" {
		if err := v.attrs.WriteAttr(ctx, path.Join(vdpaBus, "drivers", bound, "unbind"), name); err != nil {
			return err
		}
	}
	return v.attrs.WriteAttr(ctx, path.Join(vdpaBus, "drivers", driver, "bind"), name)
}

func (v vdpaControl) remove(ctx context.Context, name string) error {
	// Asking for the netlink family would load the kernel's vDPA module only to
	// hear that there is no such device.
	_, err := fs.Stat(v.files, path.Join(vdpaBus, "devices", name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = v.families.ask(ctx, vdpaFamily, vdpaDevDel, vdpaNamed(name))
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// vdpaNamed begins the attributes of a request about a vDPA device.
func vdpaNamed(name string) *netlink.AttributeEncoder {
	attrs := netlink.NewAttributeEncoder()
	attrs.String(vdpaName, name)
	return attrs
}
