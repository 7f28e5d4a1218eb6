// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"errors"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// looking are the clauses about what a machine shows of itself.
func looking() []test {
	return []test{
		{name: "the PF is a network function with SR-IOV", run: showsPF},
		{name: "the PF's netdev is a link with an index, an address and limits", run: showsLink},
		{name: "the bus names a function by a link to its own folder", run: showsFolder},
		{name: "what does not exist is fs.ErrNotExist", run: showsMissing},
		{name: "a folder is listed in order", run: listsInOrder},
		{name: "a port name is an attribute of its netdev", run: showsPortName},
		{name: "the list of netdevs says on what each stands", run: listsFunctions},
		{name: "an eSwitch that does not exist is ErrUnsupported", run: noEswitch, needs: func(pf PF) bool { return !pf.HasEswitch }},
		{name: "a devlink parameter that does not exist is ErrUnsupported", run: noParam},
		{name: "an IOMMU that is on has a group for the PF", run: showsGroup, needs: hasVFIO},
		{name: "the RDMA mode is known or ErrUnsupported", run: showsRDMA},
	}
}

func hasVFIO(pf PF) bool { return pf.HasVFIO }

func showsPF(c check) {
	class, err := host.ReadAttr(c.Files, c.attr("class"))
	if err != nil || !strings.HasPrefix(class, "0x02") {
		c.Errorf("class is %q, %v", class, err)
	}
	for _, name := range []string{"vendor", "device"} {
		text, err := host.ReadAttr(c.Files, c.attr(name))
		if err != nil {
			c.Fatal(err)
		}
		if _, err := hw.ParseID(text); err != nil {
			c.Errorf("%s: %v", name, err)
		}
	}
	total, err := host.ReadInt(c.Files, c.attr("sriov_totalvfs"))
	if err != nil || total != c.pf.TotalVFs {
		c.Errorf("sriov_totalvfs is %d, %v; want %d", total, err, c.pf.TotalVFs)
	}
	if n := c.numVFs(); n != 0 {
		c.Errorf("sriov_numvfs is %d on a clean PF", n)
	}
	if c.driver(c.pf.Addr) == "" {
		c.Error("the PF has no driver")
	}
}

func showsLink(c check) {
	links, err := c.Links.Links(c.Context())
	if err != nil {
		c.Fatal(err)
	}
	if !slices.IsSortedFunc(links, func(a, b host.Link) int { return a.Index - b.Index }) {
		c.Error("links are not sorted by index")
	}
	l := c.link(c.netdev())
	if l.Index == 0 || l.MAC.IsZero() || l.PermMAC.IsZero() || l.MTU != c.pf.MTU || !l.AdminUp || l.Kind != "" {
		c.Errorf("the PF's link is %+v", l)
	}
	want := "ether"
	if c.pf.InfiniBand {
		want = "infiniband"
	}
	if l.Encap != want {
		c.Errorf("its link layer is %q, want %q", l.Encap, want)
	}
	if _, err := c.Links.DefaultRoutes(c.Context()); err != nil {
		c.Error(err)
	}
	if over, err := c.Links.RouteTo(c.Context(), netip.MustParseAddr("192.0.2.1")); err != nil || !slices.IsSorted(over) {
		c.Errorf("an address is reached over %v, %v", over, err)
	}
	if feature, err := c.Links.TCOffload(c.Context(), l.Name); err != nil || feature == "" {
		c.Errorf("hw-tc-offload is %q, %v", feature, err)
	}
	vfs, err := c.Links.VFs(c.Context(), l.Index)
	if err != nil || len(vfs) != 0 {
		c.Errorf("a PF without VFs lists %v, %v", vfs, err)
	}
}

func showsFolder(c check) {
	bus := path.Join(host.PCIDevices, c.pf.Addr.String())
	target, err := c.Files.ReadLink(bus)
	if err != nil {
		c.Fatal(err)
	}
	own := path.Join(path.Dir(bus), target)
	for _, dir := range []string{bus, own} {
		vendor, err := host.ReadAttr(c.Files, path.Join(dir, "vendor"))
		if err != nil || !strings.HasPrefix(vendor, "0x") {
			c.Errorf("%s/vendor is %q, %v", dir, vendor, err)
		}
		names, err := fs.ReadDir(c.Files, path.Join(dir, "net"))
		if err != nil || len(names) != 1 {
			c.Errorf("%s/net has %v, %v", dir, names, err)
		}
	}
	back, err := host.LinkBase(c.Files, path.Join("sys/class/net", c.netdev(), "device"))
	if err != nil || back != c.pf.Addr.String() {
		c.Errorf("the netdev's device is %q, %v", back, err)
	}
}

func showsMissing(c check) {
	for _, name := range []string{c.attr("no_such_attribute"), c.attr("virtfn0"), c.attr("physfn"), "sys/bus/no_such_bus", "etc/sriov-contract/none"} {
		if _, err := c.Files.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			c.Errorf("lstat %s: %v", name, err)
		}
		if _, err := c.Files.ReadLink(name); !errors.Is(err, fs.ErrNotExist) {
			c.Errorf("readlink %s: %v", name, err)
		}
		if _, err := fs.ReadFile(c.Files, name); !errors.Is(err, fs.ErrNotExist) {
			c.Errorf("read %s: %v", name, err)
		}
		if _, err := fs.ReadDir(c.Files, name); !errors.Is(err, fs.ErrNotExist) {
			c.Errorf("list %s: %v", name, err)
		}
	}
}

func listsInOrder(c check) {
	for _, dir := range []string{host.PCIDevices, "sys/bus/pci/drivers", "sys/class/net"} {
		entries, err := fs.ReadDir(c.Files, dir)
		if err != nil || len(entries) == 0 {
			c.Errorf("%s: %d entries, %v", dir, len(entries), err)
		}
		if !slices.IsSortedFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) }) {
			c.Errorf("%s is not sorted by name", dir)
		}
	}
}

func showsPortName(c check) {
	name := path.Join("sys/class/net", c.netdev(), "phys_port_name")
	got, err := host.ReadAttr(c.Files, name)
	if c.pf.PortName == "" {
		if !errors.Is(err, syscall.EOPNOTSUPP) {
			c.Errorf("%s is %q, %v; want EOPNOTSUPP", name, got, err)
		}
		return
	}
	if err != nil || got != c.pf.PortName {
		c.Errorf("%s is %q, %v; want %q", name, got, err, c.pf.PortName)
	}
}

// listsFunctions asks for what kernels since 5.14 say.
func listsFunctions(c check) {
	for _, function := range []hw.PCIAddr{c.pf.Addr, c.makeVFs(1)[0]} {
		l := c.awaitNetdev(function)
		if l.Function != function {
			c.Errorf("%s stands on %s, want %s", l.Name, l.Function, function)
		}
		for attr, want := range map[string]string{"phys_port_name": l.PortName, "phys_switch_id": l.SwitchID} {
			name := path.Join("sys/class/net", l.Name, attr)
			got, err := host.ReadAttr(c.Files, name)
			if got != want || err != nil && !errors.Is(err, syscall.EOPNOTSUPP) {
				c.Errorf("%s is %q, %v; the list says %q", name, got, err, want)
			}
		}
	}
}

func noEswitch(c check) {
	if mode, err := c.Devlink.EswitchMode(c.Context(), c.pf.Addr); !errors.Is(err, host.ErrUnsupported) {
		c.Errorf("got %q, %v", mode, err)
	}
	if err := c.DevlinkCtl.SetEswitchMode(c.Context(), c.pf.Addr, hw.EswitchSwitchdev); err == nil {
		c.Error("it was set to switchdev")
	}
}

func noParam(c check) {
	if v, err := c.Devlink.Param(c.Context(), c.pf.Addr, "no_such_parameter"); !errors.Is(err, host.ErrUnsupported) {
		c.Errorf("got %q, %v", v, err)
	}
}

func showsGroup(c check) {
	group, err := host.LinkBase(c.Files, c.attr("iommu_group"))
	if err != nil || group == "" {
		c.Fatalf("iommu_group is %q, %v", group, err)
	}
	if _, err := c.Files.Lstat(path.Join("sys/kernel/iommu_groups", group, "devices", c.pf.Addr.String())); err != nil {
		c.Error(err)
	}
}

func showsRDMA(c check) {
	mode, err := c.RDMA.NetnsMode(c.Context())
	if err != nil && !errors.Is(err, host.ErrUnsupported) || err == nil && mode != hw.RDMAShared && mode != hw.RDMAExclusive {
		c.Errorf("got %q, %v", mode, err)
	}
}
