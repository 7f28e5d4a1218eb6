// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// entry is one name in a folder of the machine's file system. Exactly one of
// link, dir and attr is set.
type entry struct {
	name string
	link string
	dir  *folder
	attr *attribute
}

// folder lists its entries, and finds one without listing all. Its functions are
// called with m.mu held.
type folder struct {
	list func() []entry
	find func(name string) (entry, bool) // nil: search the list
}

// attribute is a file. Its functions are called with m.mu held, except write.
type attribute struct {
	mode  uint32
	read  func() (string, error)             // nil: cannot be read
	write func(c *clock, value string) error // nil: cannot be written
	// serial is the lock that a reader waits for, if there is one.
	serial lock
}

func folderOf(name string, entries ...entry) entry {
	return entry{name: name, dir: &folder{list: func() []entry { return entries }}}
}

func lazy(name string, list func() []entry) entry {
	return entry{name: name, dir: &folder{list: list}}
}

// text is an attribute that always says the same.
func text(name, value string) entry {
	return says(name, func() string { return value })
}

// says is an attribute that can be read; sysfs ends it with a newline.
func says(name string, value func() string) entry {
	return entry{name: name, attr: &attribute{mode: 0o444, read: func() (string, error) { return value() + "\n", nil }}}
}

func writeOnly(name string, write func(*clock, string) error) entry {
	return entry{name: name, attr: &attribute{mode: 0o200, write: write}}
}

func (e entry) lookup(name string) (entry, bool) {
	if e.dir == nil {
		return entry{}, false
	}
	if e.dir.find != nil {
		return e.dir.find(name)
	}
	return pick(e.dir.list(), name)
}

func pick(among []entry, name string) (entry, bool) {
	for _, e := range among {
		if e.name == name {
			return e, true
		}
	}
	return entry{}, false
}

// fileSystem is the root folder. It is made once; what is in it is asked of the
// machine at each look.
func (m *Machine) fileSystem() entry {
	bus := []entry{
		folderOf("pci", m.pciLinks("devices", "../../../", func(*function) bool { return true }), m.pciDrivers(), writeOnly("drivers_probe", m.storeProbe)),
		folderOf("vdpa", lazy("devices", m.vdpaLinks), lazy("drivers", m.vdpaDrivers)),
	}
	class := []entry{m.netLinks(), m.misc(), m.rdmaLinks()}
	return folderOf(".", m.etcFolder("etc", "etc/"), folderOf("sys",
		lazy("bus", func() []entry {
			if m.loaded["vdpa"] || m.drivers[vhostVDPA] || m.drivers[virtioVDPA] || m.loaded[mlx5VDPA] {
				return bus
			}
			return bus[:1]
		}),
		lazy("class", func() []entry {
			if m.rdma != "" {
				return class
			}
			return class[:2]
		}),
		m.deviceRoots(),
		folderOf("kernel", lazy("iommu_groups", m.iommuGroups)),
	))
}

// pciLinks is a folder of links to PCI functions; up leads to sys.
func (m *Machine) pciLinks(name, up string, want func(*function) bool) entry {
	link := func(f *function) entry { return entry{name: f.name, link: up + f.dir} }
	return entry{name: name, dir: &folder{
		list: func() []entry {
			var out []entry
			for _, f := range m.sorted() {
				if want(f) {
					out = append(out, link(f))
				}
			}
			return out
		},
		find: func(name string) (entry, bool) {
			f := m.byAddr[name]
			if f == nil || !want(f) {
				return entry{}, false
			}
			return link(f), true
		},
	}}
}

// pciDrivers is a folder of folders: those of the registered PCI drivers.
func (m *Machine) pciDrivers() entry {
	onPCI := func(driver string) bool { return m.drivers[driver] && driver != vhostVDPA && driver != virtioVDPA }
	return entry{name: "drivers", dir: &folder{
		list: func() []entry {
			var out []entry
			for _, driver := range slices.Sorted(maps.Keys(m.drivers)) {
				if onPCI(driver) {
					out = append(out, m.pciDriver(driver))
				}
			}
			return out
		},
		find: func(name string) (entry, bool) {
			if !onPCI(name) {
				return entry{}, false
			}
			return m.pciDriver(name), true
		},
	}}
}

func (m *Machine) pciDriver(driver string) entry {
	bound := m.pciLinks(driver, "../../../../", func(f *function) bool { return f.driver == driver })
	own := []entry{
		writeOnly("bind", func(c *clock, v string) error { return m.storeBind(c, driver, v) }),
		writeOnly("unbind", func(c *clock, v string) error { return m.storeUnbind(c, driver, v) }),
	}
	return entry{name: driver, dir: &folder{
		list: func() []entry { return slices.Concat(own, bound.dir.list()) },
		find: func(name string) (entry, bool) {
			if e, ok := pick(own, name); ok {
				return e, true
			}
			return bound.dir.find(name)
		},
	}}
}

// deviceRoots is sys/devices: a folder per root bus, and one for what is no
// hardware.
func (m *Machine) deviceRoots() entry {
	virtual := folderOf("virtual", m.netFolders(nil, func() []*netdev { return m.netdevs }))
	return entry{name: "devices", dir: &folder{
		list: func() []entry {
			var out []entry
			for _, bus := range m.buses {
				out = append(out, m.rootBus(bus))
			}
			return append(out, virtual)
		},
		find: func(name string) (entry, bool) {
			if _, ok := slices.BinarySearch(m.buses, name); ok {
				return m.rootBus(name), true
			}
			return virtual, name == virtual.name
		},
	}}
}

func (m *Machine) rootBus(name string) entry {
	on := func(f *function) bool { return strings.HasPrefix(f.dir, "devices/"+name+"/") }
	return entry{name: name, dir: &folder{
		list: func() []entry {
			var out []entry
			for _, f := range m.sorted() {
				if on(f) {
					out = append(out, m.functionFolder(f))
				}
			}
			return out
		},
		find: func(child string) (entry, bool) {
			f := m.byAddr[child]
			if f == nil || !on(f) {
				return entry{}, false
			}
			return m.functionFolder(f), true
		},
	}}
}

// functionFolder is sys/devices/pci…/<address>.
func (m *Machine) functionFolder(f *function) entry {
	if f.tree == nil {
		attrs, made := m.functionAttrs(f), m.madeByDriver(f)
		f.tree = &folder{
			list: func() []entry { return slices.Concat(attrs, virtfns(f), made()) },
			find: func(name string) (entry, bool) {
				if e, ok := pick(attrs, name); ok {
					return e, true
				}
				if e, ok := m.virtfn(f, name); ok {
					return e, true
				}
				return pick(made(), name)
			},
		}
	}
	return entry{name: f.name, dir: f.tree}
}

// functionAttrs are what a function has for as long as it exists.
func (m *Machine) functionAttrs(f *function) []entry {
	out := []entry{
		text("class", "0x"+f.class), text("vendor", "0x"+string(f.vendor)), text("device", "0x"+string(f.device)),
		text("numa_node", strconv.Itoa(f.numa)), {name: "subsystem", link: "../../../bus/pci"},
		{name: "driver_override", attr: &attribute{
			mode:  0o644,
			read:  func() (string, error) { return cmp.Or(f.override, "(null)") + "\n", nil }, // pci-sysfs.c, driver_override_show prints a NULL
			write: func(_ *clock, v string) error { return m.storeOverride(f, v) },
		}},
	}
	out = append(out, f.powerFolder())
	if f.group >= 0 {
		out = append(out, entry{name: "iommu_group", link: fmt.Sprintf("../../../kernel/iommu_groups/%d", f.group)})
	}
	if f.vf != nil {
		out = append(out, entry{name: "physfn", link: "../" + f.vf.pf.name})
	}
	if f.sriov != nil && !f.model.virtual {
		out = append(out, m.sriovAttrs(f)...)
	}
	return out
}

// sriovAttrs are those of drivers/pci/iov.c, sriov_pf_dev_attrs.
func (m *Machine) sriovAttrs(f *function) []entry {
	s := f.sriov
	return []entry{
		text("sriov_totalvfs", strconv.Itoa(s.total)), text("sriov_offset", strconv.Itoa(s.offset)),
		text("sriov_stride", strconv.Itoa(s.stride)), text("sriov_vf_device", string(f.model.vfDevice)),
		{name: "sriov_drivers_autoprobe", attr: &attribute{
			mode: 0o644, read: func() (string, error) {
				if s.autoprobe {
					return "1\n", nil
				}
				return "0\n", nil
			},
			write: func(_ *clock, v string) error { return m.storeAutoprobe(f, v) },
		}},
		{name: "sriov_numvfs", attr: &attribute{
			mode: 0o644, read: func() (string, error) { return strconv.Itoa(s.num) + "\n", nil },
			write:  func(c *clock, v string) error { return m.writeNumVFs(c, f, v) },
			serial: f.lock, // sriov_numvfs_show takes the device's lock
		}},
	}
}

// virtfns are a PF's links to its VFs.
func virtfns(f *function) []entry {
	if f.sriov == nil {
		return nil
	}
	var out []entry
	for i, vf := range f.sriov.vfs {
		if vf != nil {
			out = append(out, entry{name: "virtfn" + strconv.Itoa(i), link: "../" + vf.name})
		}
	}
	return out
}

func (m *Machine) virtfn(f *function, name string) (entry, bool) {
	number, ok := strings.CutPrefix(name, "virtfn")
	if !ok {
		return entry{}, false
	}
	i, err := strconv.Atoi(number)
	if err != nil || strconv.Itoa(i) != number {
		return entry{}, false
	}
	vf := m.vf(hw.VFRef{PF: f.addr, Index: i})
	if vf == nil {
		return entry{}, false
	}
	return entry{name: name, link: "../" + vf.name}, true
}

func (m *Machine) writeNumVFs(c *clock, f *function, value string) error {
	// kstrtou16 with base 0.
	n, err := strconv.ParseUint(strings.TrimSuffix(value, "\n"), 0, 16)
	if err != nil {
		return syscall.EINVAL
	}
	return m.storeNumVFs(c, f, int(n))
}

// madeByDriver lists what is in the function's folder while it has a driver: the
// link to it, and what its devices look like. The folders net and infiniband stay
// when all in them is in another namespace.
func (m *Machine) madeByDriver(f *function) func() []entry {
	nets := m.netFolders(f, func() []*netdev { return f.netdevs })
	if f.model.virtio {
		nets = folderOf("virtio0", nets)
	}
	device := &folder{list: func() []entry {
		return []entry{
			says("node_guid", func() string { return groups(f.guid) }),
			{name: "device", link: "../../../" + f.name}, {name: "subsystem", link: "../../../../../class/infiniband"},
		}
	}}
	rdma := lazy("infiniband", func() []entry { return []entry{{name: f.rdma, dir: device}} })
	return func() []entry {
		var out []entry
		if f.driver != "" {
			out = append(out, entry{name: "driver", link: "../../../bus/pci/drivers/" + f.driver})
		}
		if f.driver != "" && f.driver == f.native && (f.vf != nil || f.sriov != nil) {
			out = append(out, nets)
		}
		if f.rdma != "" {
			out = append(out, rdma)
		}
		if driver := vdpaDriver(f.vdpa); driver != "" {
			out = append(out, folderOf("vdpa:"+f.name, entry{name: "driver", link: "../../../../bus/vdpa/drivers/" + driver}))
		}
		return out
	}
}

// groups is a GUID as sysfs writes it: four groups of four digits.
func groups(g hw.GUID) string {
	return fmt.Sprintf("%04x:%04x:%04x:%04x", uint64(g)>>48, uint64(g)>>32&0xffff, uint64(g)>>16&0xffff, uint64(g)&0xffff)
}

// dir is the netdev's folder in sysfs, without "sys/".
func (nd *netdev) dir() string {
	switch {
	case nd.owner == nil:
		return "devices/virtual/net/" + nd.Name
	case nd.owner.model.virtio:
		return nd.owner.dir + "/virtio0/net/" + nd.Name
	}
	return nd.owner.dir + "/net/" + nd.Name
}

// netFolders is a folder of folders: those of one owner's netdevs, which are among
// some.
func (m *Machine) netFolders(owner *function, among func() []*netdev) entry {
	return entry{name: "net", dir: &folder{
		list: func() []entry {
			var out []entry
			for _, nd := range among() {
				if nd.owner == owner && !nd.away {
					out = append(out, netFolder(nd))
				}
			}
			return out
		},
		find: func(name string) (entry, bool) {
			nd := m.named(name)
			if nd == nil || nd.owner != owner {
				return entry{}, false
			}
			return netFolder(nd), true
		},
	}}
}

func netFolder(nd *netdev) entry {
	if nd.tree == nil {
		nd.tree = folderOf("", netAttrs(nd)...).dir
	}
	return entry{name: nd.Name, dir: nd.tree}
}

func netAttrs(nd *netdev) []entry {
	encap := map[string]string{"ether": "1", "infiniband": "32", "loopback": "772"}[nd.Encap] // include/uapi/linux/if_arp.h
	out := []entry{
		says("address", func() string { return string(nd.MAC) }), text("type", encap),
		says("mtu", func() string { return strconv.Itoa(nd.MTU) }), text("ifindex", strconv.Itoa(nd.Index)),
		says("flags", func() string { return linkFlags(nd) }),
		offered("phys_port_name", func() string { return nd.port }), offered("phys_switch_id", func() string { return nd.switchID }),
		{name: "speed", attr: &attribute{mode: 0o444, read: func() (string, error) { return linkSpeed(nd) }}},
	}
	switch {
	case nd.owner == nil:
	case nd.owner.model.virtio:
		out = append(out, entry{name: "device", link: "../../../virtio0"})
	default:
		out = append(out, entry{name: "device", link: "../../../" + nd.owner.name})
	}
	return out
}

// offered is an attribute that most drivers lack (net-sysfs.c: EOPNOTSUPP).
func offered(name string, value func() string) entry {
	return entry{name: name, attr: &attribute{mode: 0o444, read: func() (string, error) {
		if v := value(); v != "" {
			return v + "\n", nil
		}
		return "", syscall.EOPNOTSUPP
	}}}
}

func linkSpeed(nd *netdev) (string, error) {
	switch {
	case !nd.AdminUp:
		return "", syscall.EINVAL // net-sysfs.c, speed_show: only while running
	case nd.speed == 0:
		return "-1\n", nil
	}
	return strconv.Itoa(nd.speed) + "\n", nil
}

func (m *Machine) netLinks() entry {
	return entry{name: "net", dir: &folder{
		list: func() []entry {
			var out []entry
			for _, nd := range m.netdevs {
				if !nd.away {
					out = append(out, entry{name: nd.Name, link: "../../" + nd.dir()})
				}
			}
			return out
		},
		find: func(name string) (entry, bool) {
			nd := m.named(name)
			if nd == nil {
				return entry{}, false
			}
			return entry{name: name, link: "../../" + nd.dir()}, true
		},
	}}
}

func (m *Machine) rdmaLinks() entry {
	link := func(name string, f *function) entry {
		return entry{name: name, link: "../../" + f.dir + "/infiniband/" + name}
	}
	return entry{name: "infiniband", dir: &folder{
		list: func() []entry {
			var out []entry
			for name, f := range m.rdmaDevs.by {
				out = append(out, link(name, f))
			}
			return out
		},
		find: func(name string) (entry, bool) {
			f, ok := m.rdmaDevs.by[name]
			if !ok {
				return entry{}, false
			}
			return link(name, f), true
		},
	}}
}

func (m *Machine) iommuGroups() []entry {
	var out []entry
	for _, f := range m.functions {
		if f.group >= 0 {
			out = append(out, lazy(strconv.Itoa(f.group), func() []entry {
				return []entry{folderOf("devices", entry{name: f.name, link: "../../../../" + f.dir})}
			}))
		}
	}
	return out
}

func (m *Machine) vdpaLinks() []entry {
	var out []entry
	for _, f := range m.functions {
		if f.vdpa != hw.VDPANone {
			name := "vdpa:" + f.name
			out = append(out, entry{name: name, link: "../../../" + f.dir + "/" + name})
		}
	}
	return out
}

func (m *Machine) vdpaDrivers() []entry {
	var out []entry
	for _, driver := range []string{vhostVDPA, virtioVDPA} {
		if m.drivers[driver] {
			out = append(out, folderOf(driver))
		}
	}
	return out
}

// etcFolder is the part of the Conf door's files below prefix.
func (m *Machine) etcFolder(name, prefix string) entry {
	return lazy(name, func() []entry {
		children := map[string]entry{}
		for full, file := range m.etc {
			rest, ok := strings.CutPrefix(full, prefix)
			if !ok {
				continue
			}
			first, _, deeper := strings.Cut(rest, "/")
			if deeper {
				children[first] = m.etcFolder(first, prefix+first+"/")
				continue
			}
			children[first] = entry{name: first, attr: &attribute{
				mode: uint32(file.mode.Perm()), read: func() (string, error) { return string(file.data), nil },
			}}
		}
		return slices.Collect(maps.Values(children))
	})
}

// linkFlags are the netdev's IFF_ flags: up or not, broadcast and multicast
// (include/uapi/linux/if.h).
func linkFlags(nd *netdev) string {
	if nd.AdminUp {
		return "0x1003"
	}
	return "0x1002"
}
