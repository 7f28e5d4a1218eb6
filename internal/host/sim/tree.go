// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package sim

import (
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

// folder lists its entries, and finds one without listing all.
type folder struct {
	list func() []entry
	find func(name string) (entry, bool) // nil: search the list
}

// attribute is a file. Its functions are called with m.mu held, except write.
type attribute struct {
	mode  uint32
	read  func() (string, error)   // nil: cannot be read
	write func(value string) error // nil: cannot be written
	// serial is the lock that a reader waits for, if there is one.
	serial lock
}

func folderOf(name string, entries ...entry) entry {
	return entry{name: name, dir: &folder{list: func() []entry { return entries }}}
}

func lazy(name string, list func() []entry) entry {
	return entry{name: name, dir: &folder{list: list}}
}

// text is an attribute that only says something; sysfs ends it with a newline.
func text(name, value string) entry {
	return entry{name: name, attr: &attribute{mode: 0o444, read: func() (string, error) { return value + "\n", nil }}}
}

// refuses is an attribute whose reading fails.
func refuses(name string, errno error) entry {
	return entry{name: name, attr: &attribute{mode: 0o444, read: func() (string, error) { return "", errno }}}
}

func writeOnly(name string, write func(string) error) entry {
	return entry{name: name, attr: &attribute{mode: 0o200, write: write}}
}

func (e entry) lookup(name string) (entry, bool) {
	if e.dir == nil {
		return entry{}, false
	}
	if e.dir.find != nil {
		return e.dir.find(name)
	}
	list := e.dir.list()
	i := slices.IndexFunc(list, func(c entry) bool { return c.name == name })
	if i < 0 {
		return entry{}, false
	}
	return list[i], true
}

// root is the machine's file system, made anew for each look from what the
// machine is now.
func (m *Machine) root() entry {
	return lazy(".", func() []entry { return []entry{m.etcFolder("etc", "etc/"), folderOf("sys", m.sys()...)} })
}

func (m *Machine) sys() []entry {
	bus := []entry{folderOf("pci",
		m.pciLinks("devices", "../../../", func(*function) bool { return true }),
		lazy("drivers", m.pciDrivers),
		writeOnly("drivers_probe", m.storeProbe),
	)}
	if m.loaded["vdpa"] || m.drivers[vhostVDPA] || m.drivers[virtioVDPA] || m.loaded[mlx5VDPA] {
		bus = append(bus, folderOf("vdpa", lazy("devices", m.vdpaLinks), lazy("drivers", m.vdpaDrivers)))
	}
	class := []entry{m.netLinks()}
	if m.rdma != "" {
		class = append(class, m.rdmaLinks())
	}
	kernel := []entry{lazy("iommu_groups", m.iommuGroups)}
	return []entry{
		folderOf("bus", bus...), folderOf("class", class...), m.deviceRoots(), folderOf("kernel", kernel...),
	}
}

// pciLinks is a folder of links to PCI functions; up leads to sys.
func (m *Machine) pciLinks(name, up string, want func(*function) bool) entry {
	link := func(f *function) entry { return entry{name: f.addr.String(), link: up + f.dir} }
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
			addr, err := hw.ParsePCIAddr(name)
			f := m.functions[addr]
			if err != nil || f == nil || f.addr.String() != name || !want(f) {
				return entry{}, false
			}
			return link(f), true
		},
	}}
}

// pciDrivers are the folders of the registered PCI drivers.
func (m *Machine) pciDrivers() []entry {
	var out []entry
	for _, driver := range slices.Sorted(maps.Keys(m.drivers)) {
		if driver == vhostVDPA || driver == virtioVDPA {
			continue
		}
		bound := m.pciLinks(driver, "../../../../", func(f *function) bool { return f.driver == driver })
		own := []entry{
			writeOnly("bind", func(v string) error { return m.storeBind(driver, v) }),
			writeOnly("unbind", func(v string) error { return m.storeUnbind(driver, v) }),
		}
		out = append(out, entry{name: driver, dir: &folder{
			list: func() []entry { return slices.Concat(own, bound.dir.list()) },
			find: func(name string) (entry, bool) {
				if i := slices.IndexFunc(own, func(e entry) bool { return e.name == name }); i >= 0 {
					return own[i], true
				}
				return bound.dir.find(name)
			},
		}})
	}
	return out
}

// deviceRoots is sys/devices: a folder per root bus, and one for what is no
// hardware.
func (m *Machine) deviceRoots() entry {
	virtual := folderOf("virtual", lazy("net", func() []entry { return m.netFolders(m.netdevs, nil, "../../../") }))
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
			addr, err := hw.ParsePCIAddr(child)
			f := m.functions[addr]
			if err != nil || f == nil || f.addr.String() != child || !on(f) {
				return entry{}, false
			}
			return m.functionFolder(f), true
		},
	}}
}

// functionFolder is sys/devices/pci…/<address>.
func (m *Machine) functionFolder(f *function) entry {
	return lazy(f.addr.String(), func() []entry {
		override := f.override
		if override == "" {
			override = "(null)" // pci-sysfs.c, driver_override_show prints a NULL
		}
		out := []entry{
			text("class", "0x"+f.class), text("vendor", "0x"+string(f.vendor)), text("device", "0x"+string(f.device)),
			text("numa_node", strconv.Itoa(f.numa)), {name: "subsystem", link: "../../../bus/pci"},
			{name: "driver_override", attr: &attribute{
				mode: 0o644, read: func() (string, error) { return override + "\n", nil },
				write: func(v string) error { return m.storeOverride(f, v) },
			}},
		}
		if f.driver != "" {
			out = append(out, entry{name: "driver", link: "../../../bus/pci/drivers/" + f.driver})
		}
		if f.group >= 0 {
			out = append(out, entry{name: "iommu_group", link: fmt.Sprintf("../../../kernel/iommu_groups/%d", f.group)})
		}
		if f.vf != nil {
			out = append(out, entry{name: "physfn", link: "../" + f.vf.pf.addr.String()})
		}
		if f.sriov != nil && !f.model.virtual {
			out = append(out, m.sriovEntries(f)...)
		}
		return append(out, m.madeByDriver(f)...)
	})
}

// sriovEntries are the attributes of drivers/pci/iov.c, sriov_pf_dev_attrs, and
// the links to the VFs.
func (m *Machine) sriovEntries(f *function) []entry {
	s := f.sriov
	autoprobe := "0"
	if s.autoprobe {
		autoprobe = "1"
	}
	out := []entry{
		text("sriov_totalvfs", strconv.Itoa(s.total)), text("sriov_offset", strconv.Itoa(s.offset)),
		text("sriov_stride", strconv.Itoa(s.stride)), text("sriov_vf_device", string(f.model.vfDevice)),
		{name: "sriov_drivers_autoprobe", attr: &attribute{
			mode: 0o644, read: func() (string, error) { return autoprobe + "\n", nil },
			write: func(v string) error { return m.storeAutoprobe(f, v) },
		}},
		{name: "sriov_numvfs", attr: &attribute{
			mode: 0o644, read: func() (string, error) { return strconv.Itoa(s.num) + "\n", nil },
			write:  func(v string) error { return m.writeNumVFs(f, v) },
			serial: f.lock, // sriov_numvfs_show takes the device's lock
		}},
	}
	for i, vf := range s.vfs {
		if vf != nil {
			out = append(out, entry{name: "virtfn" + strconv.Itoa(i), link: "../" + vf.addr.String()})
		}
	}
	return out
}

func (m *Machine) writeNumVFs(f *function, value string) error {
	// kstrtou16 with base 0.
	n, err := strconv.ParseUint(strings.TrimSuffix(value, "\n"), 0, 16)
	if err != nil {
		return syscall.EINVAL
	}
	return m.storeNumVFs(f, int(n))
}

// madeByDriver is what the driver's devices look like in the function's folder.
// The folders net and infiniband stay when all in them is in another namespace.
func (m *Machine) madeByDriver(f *function) []entry {
	var out []entry
	if f.driver != "" && f.driver == f.native && (f.vf != nil || f.sriov != nil) {
		nets := lazy("net", func() []entry { return m.netFolders(f.netdevs, f, "../../../") })
		if f.model.virtio {
			out = append(out, folderOf("virtio0", nets))
		} else {
			out = append(out, nets)
		}
	}
	if f.rdma != "" {
		out = append(out, folderOf("infiniband", folderOf(f.rdma,
			text("node_guid", groups(f.guid)), entry{name: "device", link: "../../../" + f.addr.String()},
			entry{name: "subsystem", link: "../../../../../class/infiniband"},
		)))
	}
	if driver := vdpaDriver(f.vdpa); driver != "" {
		out = append(out, folderOf("vdpa:"+f.addr.String(), entry{name: "driver", link: "../../../../bus/vdpa/drivers/" + driver}))
	}
	return out
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

// netFolders are those of one owner's netdevs; up leads from a netdev's folder
// to the one that holds its owner's.
func (m *Machine) netFolders(among []*netdev, owner *function, up string) []entry {
	var out []entry
	for _, nd := range among {
		if nd.owner == owner && !nd.away {
			out = append(out, m.netFolder(nd, up))
		}
	}
	return out
}

func (m *Machine) netFolder(nd *netdev, up string) entry {
	encap := map[string]string{"ether": "1", "infiniband": "32", "loopback": "772"}[nd.Encap] // include/uapi/linux/if_arp.h
	out := []entry{
		text("address", string(nd.MAC)), text("type", encap), text("mtu", strconv.Itoa(nd.MTU)), text("ifindex", strconv.Itoa(nd.Index)),
		text("flags", linkFlags(nd)),
		orRefused("phys_port_name", nd.port), orRefused("phys_switch_id", nd.switchID),
	}
	switch {
	case !nd.AdminUp:
		out = append(out, refuses("speed", syscall.EINVAL)) // net-sysfs.c, speed_show: only while running
	case nd.speed == 0:
		out = append(out, text("speed", "-1"))
	default:
		out = append(out, text("speed", strconv.Itoa(nd.speed)))
	}
	if nd.owner != nil {
		device := up + nd.owner.addr.String()
		if nd.owner.model.virtio {
			device = up + "virtio0"
		}
		out = append(out, entry{name: "device", link: device})
	}
	return folderOf(nd.Name, out...)
}

// orRefused is an attribute that most drivers lack (net-sysfs.c: EOPNOTSUPP).
func orRefused(name, value string) entry {
	if value == "" {
		return refuses(name, syscall.EOPNOTSUPP)
	}
	return text(name, value)
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
			for name, f := range m.rdmaDevs {
				out = append(out, link(name, f))
			}
			return out
		},
		find: func(name string) (entry, bool) {
			f, ok := m.rdmaDevs[name]
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
			out = append(out, folderOf(strconv.Itoa(f.group), folderOf("devices", entry{name: f.addr.String(), link: "../../../../" + f.dir})))
		}
	}
	return out
}

func (m *Machine) vdpaLinks() []entry {
	var out []entry
	for _, f := range m.functions {
		if f.vdpa != hw.VDPANone {
			name := "vdpa:" + f.addr.String()
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
