// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// noDriver is what a description says for a function that is not bound.
const noDriver = "none"

// maxVFs bounds what a description can make of one PF. No NIC offers more.
const maxVFs = 1024

// New makes a machine. The error names the first field that does not fit.
func New(desc Description) (*Machine, error) {
	begin, err := newBoot(desc)
	if err != nil {
		return nil, err
	}
	m := &Machine{
		boot:      begin,
		nodeName:  desc.NodeName,
		functions: map[hw.PCIAddr]*function{},
		byAddr:    map[string]*function{},
		byName:    newNames[*netdev](),
		iommu:     begin.iommu(begin.running),
		rdmaDevs:  newNames[*function](),
		drivers:   map[string]bool{},
		modules:   map[string]moduleKind{},
		loaded:    map[string]bool{},
		etc:       map[string]confFile{},
		lastGroup: -1,
		rescan:    newLock(), rtnl: newLock(),
	}
	m.trouble = trouble{faults: map[string]fault{}, budget: -1, crashed: make(chan struct{})}
	m.trouble.idle = sync.NewCond(&m.mu)
	m.root = m.fileSystem()
	b := builder{m: m, desc: desc}
	m.addNetdev(&netdev{Link: host.Link{Name: "lo", MTU: 65536, AdminUp: true, Encap: "loopback"}, rep: -1})
	for _, step := range []func() error{b.rdma, b.installModules, b.devices, b.pfs, b.placeVFs, b.loadModules, b.vfs, b.links} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	m.udevCatchUp()
	m.trouble.writes = 0
	return m, nil
}

// builder turns a description into a machine.
type builder struct {
	m    *Machine
	desc Description
}

func (b builder) rdma() error {
	switch b.desc.RDMA {
	case "":
		for _, pf := range b.desc.PFs {
			if nic, _ := modelNamed(pf.Model); nic.rdma {
				b.m.rdma = hw.RDMAShared
			}
		}
	case noDriver:
	case string(hw.RDMAShared), string(hw.RDMAExclusive):
		b.m.rdma = hw.RDMAMode(b.desc.RDMA)
	default:
		return wrong("rdma", "%q is neither shared nor exclusive nor none", b.desc.RDMA)
	}
	return nil
}

func (b builder) installModules() error {
	for _, nic := range models() {
		b.install(nic.driver, nic.vfDriver)
	}
	for _, pf := range b.desc.PFs {
		b.install(pf.Driver, pf.VFDriver)
	}
	b.install(extraModules()...)
	b.install(b.desc.Modules...)
	for _, name := range b.desc.BlockedModules {
		b.m.modules[moduleName(name)] = moduleBlocked
	}
	for i, name := range b.desc.MissingModules {
		for _, loaded := range b.desc.Modules {
			if moduleName(loaded) == moduleName(name) {
				return wrong(fmt.Sprintf("missingModules[%d]", i), "%s is also in modules", name)
			}
		}
		b.m.modules[moduleName(name)] = moduleMissing
	}
	return nil
}

func (b builder) install(names ...string) {
	for _, name := range names {
		if name != "" && name != noDriver {
			b.m.modules[moduleName(name)] = moduleThere
		}
	}
}

// loadModules comes before the VFs, so that these are bound as they appear.
func (b builder) loadModules() error {
	for i, name := range b.desc.Modules {
		if err := b.m.loadModule(startClock(), name); err != nil {
			return wrong(fmt.Sprintf("modules[%d]", i), "load %s: %w", name, err)
		}
	}
	return nil
}

func (b builder) devices() error {
	for i, d := range b.desc.Devices {
		path := fmt.Sprintf("devices[%d]", i)
		f, err := b.function(path, d.PCI, d.Vendor, d.Device)
		if err != nil {
			return err
		}
		f.class = cmp.Or(d.Class, "010802")
		f.native, f.driver = d.Driver, d.Driver
		if d.Driver != "" {
			b.m.drivers[d.Driver] = true
		}
	}
	return nil
}

// function adds a PCI function.
func (b builder) function(path, pci, vendor, device string) (*function, error) {
	addr, err := hw.ParsePCIAddr(pci)
	if err != nil {
		return nil, wrong(path+".pci", "%w", err)
	}
	if b.m.functions[addr] != nil {
		return nil, wrong(path+".pci", "%s is described twice", addr)
	}
	f := &function{addr: addr, name: addr.String(), dir: deviceDir(addr, addr), class: "020000", lock: newLock()}
	if f.vendor, err = hw.ParseID(vendor); err != nil {
		return nil, wrong(path+".vendor", "%w", err)
	}
	if f.device, err = hw.ParseID(device); err != nil {
		return nil, wrong(path+".device", "%w", err)
	}
	b.m.enlist(f)
	if bus := strings.Split(f.dir, "/")[1]; !slices.Contains(b.m.buses, bus) {
		b.m.buses = append(b.m.buses, bus)
		slices.Sort(b.m.buses)
	}
	f.group = b.m.newGroup()
	return f, nil
}

func (b builder) pfs() error {
	for i, d := range b.desc.PFs {
		path := fmt.Sprintf("pfs[%d]", i)
		nic, ok := modelNamed(d.Model)
		if !ok {
			return wrong(path+".model", "%q is none of %s", d.Model, modelNames())
		}
		if err := b.pf(path, d, amend(nic, d)); err != nil {
			return err
		}
	}
	return nil
}

func modelNames() string {
	var names []string
	for _, nic := range models() {
		names = append(names, nic.name)
	}
	return strings.Join(names, ", ")
}

// amend replaces what the description says about the model.
func amend(nic model, d PFDescription) model {
	nic.vendor = hw.ID(cmp.Or(d.Vendor, string(nic.vendor)))
	nic.device = hw.ID(cmp.Or(d.Device, string(nic.device)))
	nic.vfDevice = hw.ID(cmp.Or(d.VFDevice, string(nic.vfDevice)))
	// A driver that the model does not know has no SR-IOV.
	nic.noHook = d.Driver != "" && nic.driver != "" && d.Driver != nic.driver
	if d.Driver != noDriver {
		nic.driver = cmp.Or(d.Driver, nic.driver)
	}
	nic.vfDriver = cmp.Or(d.VFDriver, nic.vfDriver)
	nic.maxMTU = cmp.Or(d.MaxMTU, nic.maxMTU)
	if d.TotalVFs != nil {
		nic.totalVFs = *d.TotalVFs
	}
	if d.Virtual != nil {
		nic.virtual = *d.Virtual
	}
	if nic.virtual {
		nic.totalVFs, nic.eswitch, nic.steering, nic.portNames = 0, eswitchAbsent, false, false
	}
	return nic
}

func (b builder) pf(path string, d PFDescription, nic model) error {
	f, err := b.function(path, d.PCI, string(nic.vendor), string(nic.device))
	if err != nil {
		return err
	}
	if err := b.checkPF(path, d, nic); err != nil {
		return err
	}
	f.model, f.native = nic, nic.driver
	if d.NUMANode != nil {
		f.numa = *d.NUMANode
	}
	f.sriov = &sriov{desc: d, linkType: hw.LinkType(cmp.Or(d.LinkType, string(hw.LinkEthernet))), total: nic.totalVFs, stride: nic.stride}
	s := f.sriov
	s.autoprobe = d.Autoprobe == nil || *d.Autoprobe
	if nic.eswitch != eswitchAbsent {
		s.eswitch = hw.EswitchMode(cmp.Or(d.Eswitch, string(hw.EswitchLegacy)))
	}
	if nic.steering {
		s.steering = "dmfs"
	}
	if d.Driver == noDriver {
		return nil
	}
	b.m.loaded[moduleName(nic.driver)] = true
	b.m.drivers[nic.driver] = true
	return b.m.bind(startClock(), f, nic.driver)
}

// checkPF looks at the fields that no later step would refuse.
func (b builder) checkPF(path string, d PFDescription, nic model) error {
	if err := b.checkNames(path, d, nic); err != nil {
		return err
	}
	switch t := hw.LinkType(d.LinkType); {
	case t != hw.LinkUnknown && t != hw.LinkEthernet && t != hw.LinkInfiniBand:
		return wrong(path+".linkType", "%q is neither ETH nor IB", d.LinkType)
	case d.Eswitch != "" && nic.eswitch == eswitchAbsent:
		return wrong(path+".eswitch", "model %s has no eSwitch", nic.name)
	case d.Eswitch != "" && d.Eswitch != string(hw.EswitchLegacy) && d.Eswitch != string(hw.EswitchSwitchdev):
		return wrong(path+".eswitch", "%q is neither legacy nor switchdev", d.Eswitch)
	}
	return checkNumbers(path, d, nic)
}

// checkNames checks what the PF and its driver are called, and its MACs.
func (b builder) checkNames(path string, d PFDescription, nic model) error {
	if d.Driver != noDriver && !netdevName(d.Name) {
		return wrong(path+".name", "%q is no name for a netdev", d.Name)
	}
	for i, name := range d.AltNames {
		if name == "" || strings.ContainsAny(name, "/ ") {
			return wrong(fmt.Sprintf("%s.altNames[%d]", path, i), "%q is no name for a netdev", name)
		}
	}
	if nic.driver == "" && d.Driver != noDriver {
		return wrong(path+".driver", "model %s needs a driver, or none", nic.name)
	}
	if b.m.named(d.Name) != nil {
		return wrong(path+".name", "%s is described twice", d.Name)
	}
	for _, mac := range []struct{ field, text string }{{".mac", d.MAC}, {".permMAC", d.PermMAC}} {
		if _, err := hw.ParseMAC(mac.text); mac.text != "" && err != nil {
			return wrong(path+mac.field, "%w", err)
		}
	}
	return nil
}

// checkNumbers checks how many VFs there are and may be, and the MTU.
func checkNumbers(path string, d PFDescription, nic model) error {
	switch {
	case nic.totalVFs < 0 || nic.totalVFs > maxVFs:
		return wrong(path+".totalvfs", "%d is not between 0 and %d", nic.totalVFs, maxVFs)
	case d.NumVFs < 0 || d.NumVFs > nic.totalVFs:
		return wrong(path+".numvfs", "%d is not between 0 and totalvfs %d", d.NumVFs, nic.totalVFs)
	case d.MTU < 0 || d.MTU > nic.maxMTU:
		return wrong(path+".mtu", "%d is not between 0 and %d", d.MTU, nic.maxMTU)
	case nic.totalVFs > 0 && !nic.virtual && (nic.vfDevice == "" || nic.vfDriver == ""):
		return wrong(path+".vfDevice", "model %s needs vfDevice and vfDriver", nic.name)
	}
	for i, vf := range d.VFs {
		if vf.Index < 0 || vf.Index >= d.NumVFs {
			return wrong(fmt.Sprintf("%s.vfs[%d].index", path, i), "%d is not below numvfs %d", vf.Index, d.NumVFs)
		}
	}
	return nil
}

// netdevName is net/core/dev.c, dev_valid_name.
func netdevName(s string) bool {
	return s != "" && len(s) <= 15 && s != "." && s != ".." && !strings.ContainsAny(s, "/: \t\n\v\f\r")
}

// placeVFs chooses each PF's First VF Offset, and sees that no VF could ever
// have the address of another function.
func (b builder) placeVFs() error {
	taken := map[hw.PCIAddr]string{}
	for _, f := range b.m.functions {
		taken[f.addr] = f.addr.String()
	}
	for i, d := range b.desc.PFs {
		addr, _ := hw.ParsePCIAddr(d.PCI) // parsed before
		f := b.m.functions[addr]
		s := f.sriov
		s.offset = f.model.offset
		if s.stride == 1 {
			s.offset = b.packed(f)
		}
		for n := range s.total {
			vf := f.addr.Routed(s.offset + n*s.stride)
			if taken[vf] != "" || vf.Compare(f.addr) < 0 {
				return wrong(fmt.Sprintf("pfs[%d].totalvfs", i), "VF %d would be %s, which is taken by %s", n, vf, cmp.Or(taken[vf], "no bus"))
			}
			taken[vf] = f.addr.String()
		}
	}
	return nil
}

// packed is the offset that puts the VFs of a card's ports one after another,
// port by port: behind the last PF, or where the model begins.
func (b builder) packed(f *function) int {
	first, before := f.model.offset, 0
	for _, o := range b.m.sorted() {
		if o.addr.Slot() != f.addr.Slot() || o.sriov == nil {
			continue
		}
		if f.model.offset == 0 {
			first = max(first, int(o.addr.Function)+1)
		}
		if o.addr.Function < f.addr.Function {
			before += o.sriov.total
		}
	}
	return first + before - int(f.addr.Function)
}

// vfs makes the VFs that the machine begins with.
func (b builder) vfs() error {
	for i, d := range b.desc.PFs {
		addr, _ := hw.ParsePCIAddr(d.PCI) // parsed before
		pf := b.m.functions[addr]
		if d.NumVFs > 0 {
			// udev would have loaded the VFs' driver at boot.
			if b.m.modules[moduleName(pf.model.vfDriver)] == moduleThere {
				_ = b.m.loadModule(startClock(), pf.model.vfDriver)
			}
			if err := b.m.storeNumVFs(startClock(), pf, d.NumVFs); err != nil {
				return wrong(fmt.Sprintf("pfs[%d].numvfs", i), "%w", err)
			}
		}
		for j, vf := range d.VFs {
			if err := b.vf(pf.sriov.vfs[vf.Index], vf); err != nil {
				return wrong(fmt.Sprintf("pfs[%d].vfs[%d]", i, j), "%w", err)
			}
		}
	}
	return nil
}

// vf makes one VF as it is described.
func (b builder) vf(f *function, d VFDescription) error {
	m := b.m
	if d.MAC != "" || d.Driver != "" {
		m.unbind(startClock(), f)
	}
	if d.MAC != "" {
		mac, err := hw.ParseMAC(d.MAC)
		if err != nil {
			return err
		}
		f.vf.admin = mac
	}
	driver := cmp.Or(d.Driver, f.native)
	if driver != noDriver && f.driver == "" {
		if err := m.loadModule(startClock(), driver); err != nil {
			return err
		}
		if err := m.bind(startClock(), f, driver); err != nil {
			return err
		}
	}
	if d.Away {
		if err := m.TakeVF(f.ref()); err != nil {
			return err
		}
	}
	if d.InUse {
		return m.HoldVF(f.ref())
	}
	return nil
}

func (b builder) links() error {
	m := b.m
	for i, d := range b.desc.Links {
		path := fmt.Sprintf("links[%d]", i)
		if !netdevName(d.Name) || m.named(d.Name) != nil {
			return wrong(path+".name", "%q is no name for a netdev, or described twice", d.Name)
		}
		nd := &netdev{Link: host.Link{Name: d.Name, Kind: d.Kind, MTU: cmp.Or(d.MTU, 1500), AdminUp: true, Encap: "ether"}, rep: -1, tc: hw.FeatureAbsent}
		if d.Parent != "" {
			below := m.named(d.Parent)
			if below == nil {
				return wrong(path+".parent", "there is no netdev %s", d.Parent)
			}
			nd.Parent = below.Index
		}
		m.addNetdev(nd)
		for j, member := range d.Members {
			below := m.named(member)
			if below == nil {
				return wrong(fmt.Sprintf("%s.members[%d]", path, j), "there is no netdev %s", member)
			}
			below.Master = nd.Index
			nd.MAC = below.MAC
		}
	}
	for i, name := range b.desc.DefaultRoutes {
		nd := m.named(name)
		if nd == nil {
			return wrong(fmt.Sprintf("defaultRoutes[%d]", i), "there is no netdev %s", name)
		}
		m.routes = append(m.routes, nd)
	}
	return b.routes()
}

func (b builder) routes() error {
	for i, d := range b.desc.Routes {
		path := fmt.Sprintf("routes[%d]", i)
		to, err := netip.ParsePrefix(d.To)
		if err != nil {
			return wrong(path+".to", "%q is no prefix such as 192.0.2.0/24", d.To)
		}
		nd := b.m.named(d.Over)
		if nd == nil {
			return wrong(path+".over", "there is no netdev %s", d.Over)
		}
		b.m.subnets = append(b.m.subnets, subnet{to: to.Masked(), over: nd})
	}
	return nil
}
