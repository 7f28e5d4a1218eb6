// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// PCIDevices is where sysfs lists PCI functions.
const PCIDevices = "sys/bus/pci/devices"

// Attr is the path of an attribute of a PCI function.
func Attr(dev hw.PCIAddr, name string) string { return path.Join(PCIDevices, dev.String(), name) }

// ReadAttr reads an attribute without the newline at its end.
func ReadAttr(files fs.FS, name string) (string, error) {
	b, err := fs.ReadFile(files, name)
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(b), "\n\x00"), nil
}

// ReadInt reads a decimal attribute.
func ReadInt(files fs.FS, name string) (int, error) {
	s, err := ReadAttr(files, name)
	if err != nil {
		return 0, err
	}
	v, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil {
		return 0, fmt.Errorf("read %s: %q is no number", name, s)
	}
	return v, nil
}

// LinkBase is the last element of a symbolic link's target; empty without error
// when there is no such link: a device without a driver, a VF without a group.
func LinkBase(files fs.ReadLinkFS, name string) (string, error) {
	target, err := files.ReadLink(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return path.Base(target), nil
}

// VFAddr resolves a VF to its PCI address; fs.ErrNotExist when there is none now.
// A function without SR-IOV is itself its VF 0: a VF that a virtual machine was
// given.
func VFAddr(files fs.ReadLinkFS, vf hw.VFRef) (hw.PCIAddr, error) {
	target, err := files.ReadLink(Attr(vf.PF, "virtfn"+strconv.Itoa(vf.Index)))
	if errors.Is(err, fs.ErrNotExist) && vf.Index == 0 {
		_, lacks := files.Lstat(Attr(vf.PF, "sriov_totalvfs"))
		if _, there := files.Lstat(Attr(vf.PF, "vendor")); there == nil && errors.Is(lacks, fs.ErrNotExist) {
			return vf.PF, nil
		}
	}
	if err != nil {
		return hw.PCIAddr{}, fmt.Errorf("find VF %s: %w", vf, err)
	}
	return hw.ParsePCIAddr(path.Base(target))
}

// Driver is the name of the driver that a PCI function is bound to; empty when
// there is none.
func Driver(files fs.ReadLinkFS, dev hw.PCIAddr) (string, error) {
	return LinkBase(files, Attr(dev, "driver"))
}

// VDPADevice is where sysfs has the vDPA device of a VF.
func VDPADevice(vf hw.PCIAddr) string { return "sys/bus/vdpa/devices/vdpa:" + vf.String() }

// VDPADriver is the name of the driver of a VF's vDPA device; empty when the device
// has none, or is not there.
func VDPADriver(files fs.ReadLinkFS, vf hw.PCIAddr) (string, error) {
	return LinkBase(files, VDPADevice(vf)+"/driver")
}

// Netdevs are the names of the netdevs of a PCI function that are in the host's
// network namespace, sorted.
func Netdevs(files fs.ReadLinkFS, dev hw.PCIAddr) ([]string, error) {
	entries, err := fs.ReadDir(files, Attr(dev, "net"))
	if errors.Is(err, fs.ErrNotExist) {
		entries, err = virtioNetdevs(files, dev)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

// virtioNetdevs are the netdevs of a virtio function, which stand one device deeper,
// under virtioN (drivers/virtio/virtio_pci_common.c, virtio_pci_probe).
func virtioNetdevs(files fs.ReadLinkFS, dev hw.PCIAddr) ([]fs.DirEntry, error) {
	driver, err := Driver(files, dev)
	if err != nil || driver != "virtio-pci" {
		return nil, err
	}
	children, err := fs.ReadDir(files, Attr(dev, ""))
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(children, func(e fs.DirEntry) bool { return strings.HasPrefix(e.Name(), "virtio") })
	if i < 0 {
		return nil, nil
	}
	return fs.ReadDir(files, Attr(dev, children[i].Name()+"/net"))
}

// PFNetdev is the netdev of a PF. In switchdev mode the representors stand beside
// it under the same device; the PF's own is the one whose port name is that of a
// physical port, or that has none.
func PFNetdev(files fs.ReadLinkFS, dev hw.PCIAddr) (string, error) {
	names, err := Netdevs(files, dev)
	if err != nil {
		return "", err
	}
	plain := ""
	for _, name := range names {
		port, err := ReadAttr(files, path.Join("sys/class/net", name, "phys_port_name"))
		if err == nil && PhysicalPort(port) {
			return name, nil
		}
		if plain == "" && (err != nil || port == "") {
			plain = name
		}
	}
	return plain, nil
}

// PhysicalPort reports whether a phys_port_name is that of a wire: "p0", and
// "p0s1" for a split port (net/devlink/port.c,
// __devlink_port_phys_port_name_get).
func PhysicalPort(name string) bool {
	rest, ok := strings.CutPrefix(name, "p")
	if !ok {
		return false
	}
	number, split, isSplit := strings.Cut(rest, "s")
	if isSplit && !digits(split) {
		return false
	}
	return digits(number)
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// OpenedByUser reports whether a program has a function open that is bound to
// vfio-pci, as far as the kernel shows it: vfio-pci lets a function sleep while
// nobody has it open (drivers/vfio/pci/vfio_pci_core.c, since Linux 5.19). To look
// needs no rights and cannot disturb who opens it at the same moment, as opening its
// group would. Where its power is not managed, nothing can be seen.
func OpenedByUser(files fs.FS, dev hw.PCIAddr) bool {
	status, err := ReadAttr(files, Attr(dev, "power/runtime_status"))
	if err != nil || status != "active" {
		return false
	}
	control, err := ReadAttr(files, Attr(dev, "power/control"))
	if err != nil || control != "auto" {
		return false
	}
	awake, err := ReadAttr(files, "sys/module/vfio_pci/parameters/disable_idle_d3")
	return err != nil || awake != "Y"
}
