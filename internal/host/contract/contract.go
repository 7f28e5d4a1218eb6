// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// patience is how long a test waits for one thing. A machine that is emulated
// instruction by instruction needs seconds for what hardware does in
// milliseconds.
const patience = 90 * time.Second

// Subject is a machine under test.
type Subject struct {
	Host host.Host
	// PFs are those that the tests may change at will. The tests leave them
	// without VFs, up, in legacy mode and with the MTU that PF.MTU says.
	PFs []PF
}

// PF is a PF under test and what is true of its NIC and its driver.
type PF struct {
	Addr hw.PCIAddr
	// TotalVFs is at least 2.
	TotalVFs int
	// VFDriver is the driver that the kernel chooses for the VFs, and VFModule
	// the module that brings it.
	VFDriver, VFModule string
	// MTU is the one that every test begins with, in bytes.
	MTU int
	// InfiniBand: the port speaks InfiniBand and not Ethernet.
	InfiniBand bool
	// PortName is the PF's phys_port_name; empty when reading it fails.
	PortName string

	// HasEswitch: devlink changes the eSwitch's mode, and representors appear.
	HasEswitch bool
	// EswitchBeforeVFs: the mode can change only without VFs. Otherwise it can
	// while no VF has a driver.
	EswitchBeforeVFs bool
	// EswitchRefusal is what a change answers when it comes at the wrong time;
	// nil when the driver takes it at any time.
	EswitchRefusal error
	// HasSteering: the devlink parameter flow_steering_mode exists.
	HasSteering bool
	// HasVFIO: the module vfio-pci is installed and the IOMMU is on.
	HasVFIO bool
	// MACNeedsUp: a VF learns its admin MAC only from a PF that is up.
	MACNeedsUp bool
	// ListsOwnMAC: the PF lists the address that a VF took by itself as if it
	// were an admin MAC.
	ListsOwnMAC bool
	// HasVDPA: the VF driver makes vDPA devices in switchdev mode; the module
	// mlx5_vdpa is installed.
	HasVDPA bool
	// NoIOMMU: the IOMMU is off, and the module vfio-pci is installed.
	NoIOMMU bool
	// VFMTUCapped: a VF takes no MTU above its PF's. Otherwise it does.
	VFMTUCapped bool

	// SetDown takes the PF's link down; nil when the subject cannot.
	SetDown func(t *testing.T)
	// UnloadVFDriver removes VFModule while there are no VFs; nil when the
	// subject cannot.
	UnloadVFDriver func(t *testing.T)
	// Take moves a VF's netdev into another network namespace, and Hold makes a
	// program hold a VF through vfio-pci. Both return what undoes it; nil when
	// the subject cannot.
	Take, Hold func(t *testing.T, vf hw.VFRef) (undo func())
}

// test is one clause of the contract.
type test struct {
	name string
	run  func(c check)
	// needs says for which PFs the clause stands; nil for all.
	needs func(PF) bool
}

// Run runs the contract against each PF of the machine that open gives. It
// opens the machine once; every test begins with a clean PF.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	t.Helper()
	subject := open(t)
	for _, pf := range subject.PFs {
		t.Run(pf.Addr.String(), func(t *testing.T) {
			on := func(t *testing.T) check {
				t.Helper()
				return check{T: t, Host: subject.Host, pf: pf}
			}
			for _, group := range [][]test{looking(), counting(), binding(), addresses(), settings(), watching(), switching()} {
				for _, clause := range group {
					if clause.needs != nil && !clause.needs(pf) {
						continue
					}
					t.Run(clause.name, func(t *testing.T) {
						c := on(t)
						c.clean()
						clause.run(c)
					})
				}
			}
			on(t).clean()
		})
	}
}

// check is a test of one PF, and its machine.
type check struct {
	*testing.T
	host.Host
	pf PF
}

// clean takes the PF back to where every test begins.
func (c check) clean() {
	c.Helper()
	// Without VFs every driver changes its eSwitch's mode.
	c.setNumVFs(0)
	c.write(c.attr("sriov_drivers_autoprobe"), "1")
	if c.pf.HasEswitch {
		if mode := c.mode(); mode != hw.EswitchLegacy {
			c.setMode(hw.EswitchLegacy)
		}
	}
	link := c.link(c.netdev())
	c.setUp(link.Index)
	if link.MTU != c.pf.MTU {
		c.setMTU(link.Index, c.pf.MTU)
	}
	c.await("the PF is clean", func() bool {
		_, err := c.Files.Lstat(c.attr("virtfn0"))
		names, _ := host.Netdevs(c.Files, c.pf.Addr)
		return errors.Is(err, fs.ErrNotExist) && len(names) == 1
	})
}

// await looks again at each event until the condition holds.
func (c check) await(what string, holds func() bool) {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), patience)
	defer cancel()
	events, err := c.Events.Watch(ctx)
	if err != nil {
		c.Fatal(err)
	}
	for !holds() {
		if _, open := <-events; !open {
			c.Fatalf("waited %s and this did not come true: %s", patience, what)
		}
	}
}

// attr is an attribute of the PF.
func (c check) attr(name string) string { return host.Attr(c.pf.Addr, name) }

// write writes an attribute and expects it to be taken.
func (c check) write(name, value string) {
	c.Helper()
	if err := c.Attrs.WriteAttr(c.Context(), name, value); err != nil {
		c.Fatal(err)
	}
}

// refused writes an attribute and expects a certain error.
func (c check) refused(name, value string, want error) {
	c.Helper()
	if err := c.Attrs.WriteAttr(c.Context(), name, value); !errors.Is(err, want) {
		c.Errorf("write %q to %s: got %v, want %v", value, name, err, want)
	}
}

// setNumVFs writes the count and expects it to be taken.
func (c check) setNumVFs(n int) {
	c.Helper()
	c.write(c.attr("sriov_numvfs"), strconv.Itoa(n))
}

// numVFs reads the count.
func (c check) numVFs() int {
	c.Helper()
	n, err := host.ReadInt(c.Files, c.attr("sriov_numvfs"))
	if err != nil {
		c.Fatal(err)
	}
	return n
}

// makeVFs makes VFs and waits until udev is done with the netdevs of all: until
// then it renames them, and gives those with a random address another one
// (systemd.link, MACAddressPolicy=persistent).
func (c check) makeVFs(n int) []hw.PCIAddr {
	c.Helper()
	events := c.watch()
	c.setNumVFs(n)
	vfs := c.vfs(n)
	for waiting := slices.Clone(vfs); len(waiting) > 0; {
		told := c.seen(events, fmt.Sprintf("udev's add of the netdevs of %v", waiting), func(e host.Event) bool {
			return e.Source == host.FromUdev && e.Subsystem == "net" && e.Action == "add"
		})
		waiting = slices.DeleteFunc(waiting, func(vf hw.PCIAddr) bool {
			return strings.Contains(told.Path, "/"+vf.String()+"/net/")
		})
	}
	return vfs
}

// makeUnboundVFs makes VFs that no driver probes, and switches probing on again.
// The driver is loaded first: udev would load it for the new VFs some time
// later, and loading binds what is unbound.
func (c check) makeUnboundVFs(n int) []hw.PCIAddr {
	c.Helper()
	c.load(c.pf.VFModule)
	c.write(c.attr("sriov_drivers_autoprobe"), "0")
	c.setNumVFs(n)
	c.write(c.attr("sriov_drivers_autoprobe"), "1")
	return c.vfs(n)
}

// vfs are the addresses of the first n VFs.
func (c check) vfs(n int) []hw.PCIAddr {
	c.Helper()
	out := make([]hw.PCIAddr, 0, n)
	for i := range n {
		vf, err := host.VFAddr(c.Files, hw.VFRef{PF: c.pf.Addr, Index: i})
		if err != nil {
			c.Fatal(err)
		}
		out = append(out, vf)
	}
	return out
}

// awaitDriver waits until the function has this driver; empty for none.
func (c check) awaitDriver(dev hw.PCIAddr, want string) {
	c.Helper()
	c.await(dev.String()+" has the driver "+strconv.Quote(want), func() bool { return c.driver(dev) == want })
}

func (c check) driver(dev hw.PCIAddr) string {
	c.Helper()
	driver, err := host.Driver(c.Files, dev)
	if err != nil {
		c.Fatal(err)
	}
	return driver
}

// awaitNetdev waits until the function has a netdev and says what it is. Udev may
// not be done with it; see makeVFs.
func (c check) awaitNetdev(dev hw.PCIAddr) host.Link {
	c.Helper()
	var link host.Link
	c.await(dev.String()+" has a netdev", func() bool {
		names, err := host.Netdevs(c.Files, dev)
		if err != nil || len(names) != 1 {
			return false
		}
		found, ok := c.findLink(names[0])
		link = found
		return ok
	})
	return link
}

// netdev is the name of the PF's own netdev.
func (c check) netdev() string {
	c.Helper()
	name, err := host.PFNetdev(c.Files, c.pf.Addr)
	if err != nil || name == "" {
		c.Fatalf("the PF's netdev is %q, %v", name, err)
	}
	return name
}

// link is what the kernel says of a netdev that must be there.
func (c check) link(name string) host.Link {
	c.Helper()
	link, ok := c.findLink(name)
	if !ok {
		c.Fatalf("no link is named %s", name)
	}
	return link
}

func (c check) findLink(name string) (host.Link, bool) {
	c.Helper()
	links, err := c.Links.Links(c.Context())
	if err != nil {
		c.Fatal(err)
	}
	for _, l := range links {
		if l.Name == name {
			return l, true
		}
	}
	return host.Link{}, false
}

// unbind takes a function's driver away.
func (c check) unbind(dev hw.PCIAddr) {
	c.Helper()
	c.write(host.Attr(dev, "driver/unbind"), dev.String())
}

// probe asks the bus for a driver.
func (c check) probe(dev hw.PCIAddr) {
	c.Helper()
	c.write("sys/bus/pci/drivers_probe", dev.String())
}

// load loads a module.
func (c check) load(module string) {
	c.Helper()
	if err := c.Modules.Load(c.Context(), module); err != nil {
		c.Fatal(err)
	}
}

// setUp and setMTU change a netdev and expect that it is taken.
func (c check) setUp(index int) {
	c.Helper()
	if err := c.LinkCtl.SetUp(c.Context(), index); err != nil {
		c.Fatal(err)
	}
}

func (c check) setMTU(index, mtu int) {
	c.Helper()
	if err := c.LinkCtl.SetMTU(c.Context(), index, mtu); err != nil {
		c.Fatal(err)
	}
}

// mode is the eSwitch's mode.
func (c check) mode() hw.EswitchMode {
	c.Helper()
	mode, err := c.Devlink.EswitchMode(c.Context(), c.pf.Addr)
	if err != nil {
		c.Fatal(err)
	}
	return mode
}

func (c check) setMode(mode hw.EswitchMode) {
	c.Helper()
	if err := c.DevlinkCtl.SetEswitchMode(c.Context(), c.pf.Addr, mode); err != nil {
		c.Fatal(err)
	}
}

// portName is a netdev's phys_port_name; empty when it has none.
func (c check) portName(name string) string {
	s, err := host.ReadAttr(c.Files, path.Join("sys/class/net", name, "phys_port_name"))
	if err != nil {
		return ""
	}
	return s
}
