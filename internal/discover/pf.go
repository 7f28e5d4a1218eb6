// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package discover

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// looker reads one PF at a time, with what is known of the whole machine.
type looker struct {
	r    host.Reader
	nics NICList
	net  network
	// rdma and vdpa are whether any function can have such devices.
	rdma, vdpa bool
}

// pf reads one PF; nil without error when it is none after all: no driver is
// bound, or the driver makes no netdev.
func (l looker) pf(ctx context.Context, addr hw.PCIAddr) (*hw.PF, error) {
	files := l.r.Files
	driver, err := host.Driver(files, addr)
	if err != nil || driver == "" {
		return nil, err
	}
	vendor, device, err := ids(files, addr)
	if err != nil {
		return nil, err
	}
	if l.nics.ListedVF(vendor, device) && !hw.KernelDriver(driver) {
		return userspaceVF(addr, vendor, device, driver), nil
	}
	link, ok, err := l.netdev(addr)
	if err != nil || !ok {
		return nil, err
	}
	pf := &hw.PF{
		Addr: addr, VendorID: vendor, DeviceID: device, Driver: driver, Netdev: link.Name,
		Unlisted: !l.nics.Listed(vendor, device) && !l.nics.ListedVF(vendor, device),
	}
	l.link(ctx, pf, link)
	sriov, err := exists(files, host.Attr(addr, "sriov_totalvfs"))
	if err != nil {
		return nil, err
	}
	if sriov {
		return pf, l.sriov(ctx, pf, link.Index)
	}
	if l.nics.ListedVF(vendor, device) {
		virtual(pf)
	}
	return pf, nil
}

// netdev is the PF's netdev; false when it has none. In switchdev mode its
// representors stand beside it.
func (l looker) netdev(addr hw.PCIAddr) (host.Link, bool, error) {
	if standing := l.net.on[addr]; len(standing) > 0 {
		link, ok := uplink(standing)
		return link, ok, nil
	}
	name, err := host.PFNetdev(l.r.Files, addr)
	if err != nil || name == "" {
		return host.Link{}, false, err
	}
	index, err := host.ReadInt(l.r.Files, path.Join("sys/class/net", name, "ifindex"))
	if err != nil {
		return host.Link{}, false, fmt.Errorf("read the index of netdev %s: %w", name, err)
	}
	link, ok := l.net.byIndex[index]
	if !ok {
		return host.Link{}, false, fmt.Errorf("netdev %s is in sysfs and the kernel does not list it", name)
	}
	link.Name = name
	return link, true, nil
}

// uplink is host.PFNetdev among netdevs that are listed.
func uplink(standing []host.Link) (host.Link, bool) {
	for _, own := range []func(port string) bool{host.PhysicalPort, func(port string) bool { return port == "" }} {
		if i := slices.IndexFunc(standing, func(l host.Link) bool { return own(l.PortName) }); i >= 0 {
			return standing[i], true
		}
	}
	return host.Link{}, false
}

func (l looker) link(ctx context.Context, pf *hw.PF, link host.Link) {
	pf.AltNames = slices.Sorted(slices.Values(link.AltNames))
	pf.MAC, pf.PermMAC = link.MAC, link.PermMAC
	pf.MTU, pf.MaxMTU = hw.Read(link.MTU), link.MaxMTU
	pf.AdminUp = link.AdminUp
	pf.LinkType = linkType(link.Encap)
	pf.InUseBy = l.net.uses(link.Index)
	pf.SpeedMbps = l.speed(pf.Netdev)
	pf.PhysPortName, pf.PhysSwitchID = link.PortName, link.SwitchID
	tc, err := l.r.Links.TCOffload(ctx, pf.Netdev)
	if err != nil {
		tc = hw.FeatureAbsent
	}
	pf.TCOffload = tc
}

func linkType(encap string) hw.LinkType {
	switch encap {
	case "ether":
		return hw.LinkEthernet
	case "infiniband":
		return hw.LinkInfiniBand
	}
	return hw.LinkUnknown
}

// speed is in Mb/s. The kernel answers EINVAL or -1 while the link is down.
func (l looker) speed(netdev string) hw.Reading[int] {
	v, err := host.ReadInt(l.r.Files, path.Join("sys/class/net", netdev, "speed"))
	if err != nil {
		return hw.Unreadable[int](err.Error())
	}
	if v <= 0 {
		return hw.Unreadable[int]("the link is down")
	}
	return hw.Read(v)
}

// virtual makes a device that is itself the VF look like a PF with one VF.
func virtual(pf *hw.PF) {
	pf.Virtual = true
	pf.TotalVFs, pf.NumVFs = 1, 1
	pf.Eswitch, pf.EswitchAbsent = hw.Read(hw.EswitchLegacy), true
	pf.VFs = []hw.VF{{
		Index: 0, Addr: pf.Addr, VendorID: pf.VendorID, DeviceID: pf.DeviceID,
		Driver: pf.Driver, Netdev: pf.Netdev, MAC: pf.MAC, MTU: pf.MTU.Value,
		AdminMAC: hw.Unreadable[hw.MAC]("the platform assigns it"),
		NodeGUID: hw.Unreadable[hw.GUID]("no RDMA device"),
	}}
}

// userspaceVF is the device of a virtual machine while userspace has it: there is
// no netdev to read anything from.
func userspaceVF(addr hw.PCIAddr, vendor, device hw.ID, driver string) *hw.PF {
	pf := &hw.PF{
		Addr: addr, VendorID: vendor, DeviceID: device, Driver: driver,
		MTU: hw.Unreadable[int]("userspace has the device"), SpeedMbps: hw.Unreadable[int]("userspace has the device"),
	}
	virtual(pf)
	return pf
}

func (l looker) sriov(ctx context.Context, pf *hw.PF, index int) error {
	files := l.r.Files
	var err error
	if pf.TotalVFs, err = host.ReadInt(files, host.Attr(pf.Addr, "sriov_totalvfs")); err != nil {
		return err
	}
	if pf.NumVFs, err = host.ReadInt(files, host.Attr(pf.Addr, "sriov_numvfs")); err != nil {
		return err
	}
	auto, err := host.ReadInt(files, host.Attr(pf.Addr, "sriov_drivers_autoprobe"))
	// Kernels before 4.13 lack the attribute and always probe.
	pf.Autoprobe = err != nil || auto != 0
	l.eswitch(ctx, pf)
	return l.vfs(ctx, pf, index)
}

func (l looker) eswitch(ctx context.Context, pf *hw.PF) {
	mode, err := l.r.Devlink.EswitchMode(ctx, pf.Addr)
	switch {
	case errors.Is(err, host.ErrUnsupported):
		pf.Eswitch, pf.EswitchAbsent = hw.Read(hw.EswitchLegacy), true
		return
	case err != nil:
		pf.Eswitch = hw.Unreadable[hw.EswitchMode](err.Error())
		return
	}
	pf.Eswitch = hw.Read(mode)
	if v, err := l.r.Devlink.Param(ctx, pf.Addr, hw.SteeringParam); err == nil {
		pf.SteeringMode = v
	}
}

func (l looker) vfs(ctx context.Context, pf *hw.PF, index int) error {
	if pf.NumVFs == 0 {
		return nil
	}
	device := vfDevice(l.r.Files, pf.Addr)
	admin, adminErr := l.r.Links.VFs(ctx, index)
	reps := l.representors(*pf)
	for i := range pf.NumVFs {
		addr, err := host.VFAddr(l.r.Files, hw.VFRef{PF: pf.Addr, Index: i})
		if errors.Is(err, fs.ErrNotExist) {
			continue // the driver enabled fewer than it said, or they are going
		}
		if err != nil {
			return err
		}
		vf, err := l.vf(addr, i, *pf, device)
		if err != nil {
			return fmt.Errorf("VF %d: %w", i, err)
		}
		vf.AdminMAC = adminMAC(admin, adminErr, i)
		vf.Representor = reps[i]
		pf.VFs = append(pf.VFs, vf)
	}
	return nil
}

func adminMAC(vfs []host.VFLink, err error, index int) hw.Reading[hw.MAC] {
	if err != nil {
		return hw.Unreadable[hw.MAC](err.Error())
	}
	i := slices.IndexFunc(vfs, func(v host.VFLink) bool { return v.Index == index })
	if i < 0 {
		return hw.Unreadable[hw.MAC]("the PF does not list the VF")
	}
	return hw.Read(vfs[i].AdminMAC)
}

func (l looker) vf(addr hw.PCIAddr, index int, pf hw.PF, device hw.ID) (hw.VF, error) {
	files := l.r.Files
	vf := hw.VF{Index: index, Addr: addr, VendorID: pf.VendorID, DeviceID: device}
	var err error
	if device == "" {
		if vf.VendorID, vf.DeviceID, err = vfIDs(files, addr, pf); err != nil {
			return hw.VF{}, err
		}
	}
	if vf.Driver, err = host.Driver(files, addr); err != nil {
		return hw.VF{}, err
	}
	vf.Held = vf.Driver == vfioDriver && host.OpenedByUser(files, addr)
	if vf.IOMMUGroup, err = host.LinkBase(files, host.Attr(addr, "iommu_group")); err != nil {
		return hw.VF{}, err
	}
	l.vfNetdev(&vf, pf)
	l.vfRDMA(&vf)
	vf.VDPA = hw.VDPANone
	if l.vdpa {
		vf.VDPA = vdpaType(files, addr)
	}
	return vf, nil
}

// vfDevice is the device id of all VFs of a PF, which the PF's SR-IOV capability
// says; empty on kernels before 4.15, which do not show it. The kernel gives it to
// each VF, with the PF's vendor (drivers/pci/iov.c, pci_iov_add_virtfn).
func vfDevice(files fs.FS, pf hw.PCIAddr) hw.ID {
	text, err := host.ReadAttr(files, host.Attr(pf, "sriov_vf_device"))
	if err != nil {
		return ""
	}
	number, err := strconv.ParseUint(text, 16, 16) // "%x", without leading zeros
	if err != nil {
		return ""
	}
	return hw.ID(fmt.Sprintf("%04x", number))
}

// vfIDs are the VF's ids. Its config space may read ffff:ffff for a moment after
// it was made; what the bus says then is the PF's vendor.
func vfIDs(files fs.FS, addr hw.PCIAddr, pf hw.PF) (vendor, device hw.ID, err error) {
	vendor, device, err = ids(files, addr)
	if err == nil && vendor == "ffff" {
		vendor = pf.VendorID
	}
	return vendor, device, err
}

func (l looker) vfNetdev(vf *hw.VF, pf hw.PF) {
	if standing := l.net.on[vf.Addr]; len(standing) > 0 {
		vf.Netdev, vf.MAC, vf.MTU = standing[0].Name, standing[0].MAC, standing[0].MTU
		return
	}
	// udev may rename a new netdev between two reads; then it is there by another
	// name.
	for range 3 {
		devs, err := host.Netdevs(l.r.Files, vf.Addr)
		if err != nil {
			return
		}
		if len(devs) == 0 {
			vf.Away = pf.LinkType == hw.LinkEthernet && hw.KernelDriver(vf.Driver)
			return
		}
		if l.named(vf, devs[0]) {
			return
		}
	}
}

// named reads the VF's netdev by a name; false when it has that name no more. The
// list of netdevs may be older than the netdev, so what it lacks is read from
// sysfs.
func (l looker) named(vf *hw.VF, name string) bool {
	dir := path.Join("sys/class/net", name)
	index, err := host.ReadInt(l.r.Files, dir+"/ifindex")
	if err != nil {
		return false
	}
	if link, ok := l.net.byIndex[index]; ok {
		vf.Netdev, vf.MAC, vf.MTU = name, link.MAC, link.MTU
		return true
	}
	address, err := host.ReadAttr(l.r.Files, dir+"/address")
	if err != nil {
		return false
	}
	mac, err := hw.ParseMAC(address)
	if err != nil {
		return false
	}
	mtu, err := host.ReadInt(l.r.Files, dir+"/mtu")
	if err != nil {
		return false
	}
	vf.Netdev, vf.MAC, vf.MTU = name, mac, mtu
	return true
}

func (l looker) vfRDMA(vf *hw.VF) {
	var devs []string
	if l.rdma {
		devs = names(l.r.Files, host.Attr(vf.Addr, "infiniband"))
	}
	if len(devs) != 1 {
		vf.NodeGUID = hw.Unreadable[hw.GUID](fmt.Sprintf("%d RDMA devices", len(devs)))
		return
	}
	vf.RDMADevice = devs[0]
	text, err := host.ReadAttr(l.r.Files, path.Join("sys/class/infiniband", devs[0], "node_guid"))
	if err != nil {
		vf.NodeGUID = hw.Unreadable[hw.GUID](err.Error())
		return
	}
	guid, err := hw.ParseGUID(text)
	if err != nil {
		vf.NodeGUID = hw.Unreadable[hw.GUID](err.Error())
		return
	}
	vf.NodeGUID = hw.Read(guid)
}

func vdpaType(files fs.ReadLinkFS, vf hw.PCIAddr) hw.VDPAType {
	driver, err := host.VDPADriver(files, vf)
	if err != nil {
		return hw.VDPANone
	}
	switch driver {
	case "vhost_vdpa":
		return hw.VDPAVhost
	case "virtio_vdpa":
		return hw.VDPAVirtio
	}
	return hw.VDPANone
}

// vfPort matches the port name of a VF's representor: "pf0vf3", with a
// controller in front on a DPU (net/devlink/port.c).
var vfPort = regexp.MustCompile(`^(?:c\d+)?pf\d+vf(\d+)$`)

// representors are the PF's VF representors, by VF index.
func (l looker) representors(pf hw.PF) map[int]string {
	if mode, ok := pf.Eswitch.Get(); !ok || mode != hw.EswitchSwitchdev {
		return nil
	}
	out := map[int]string{}
	for _, link := range l.ports(pf) {
		m := vfPort.FindStringSubmatch(link.PortName)
		if m == nil {
			continue
		}
		if i, err := strconv.Atoi(m[1]); err == nil {
			out[i] = link.Name
		}
	}
	return out
}

// ports are the netdevs beside a PF's own.
func (l looker) ports(pf hw.PF) []host.Link {
	if standing := l.net.on[pf.Addr]; len(standing) > 0 {
		return standing
	}
	var out []host.Link
	for _, name := range names(l.r.Files, host.Attr(pf.Addr, "net")) {
		port, err := host.ReadAttr(l.r.Files, path.Join("sys/class/net", name, "phys_port_name"))
		if err == nil {
			out = append(out, host.Link{Name: name, PortName: port})
		}
	}
	return out
}
