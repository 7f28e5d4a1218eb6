// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// Machine is one simulated machine. All its methods may be called at the same
// time from several goroutines. Make one with Parse or New; a test in a bubble of
// testing/synctest makes it there, and then Delays cost no time.
type Machine struct {
	nodeName string

	mu        sync.Mutex // guards all that follows, for moments only
	functions map[hw.PCIAddr]*function
	buses     []string             // the root buses, as sysfs names them, sorted
	byAddr    map[string]*function // the same, by the address as sysfs writes it
	netdevs   []*netdev            // in the order of their indices
	byName    names[*netdev]       // those of the host's network namespace
	rdmaDevs  names[*function]
	lastIndex int
	lastGroup int
	iommu     bool
	drivers   map[string]bool       // registered, of the PCI and the vDPA bus
	modules   map[string]moduleKind // all that exist
	loaded    map[string]bool
	etc       map[string]confFile
	rdma      hw.RDMAMode // empty without RDMA
	routes    []*netdev
	subnets   []subnet
	delays    Delays
	watchers  []*watcher
	udev      udevQueue
	trouble   trouble
	root      entry // of the file system
	boot      boot

	// The kernel's own locks, held for as long as its work takes. Order: a
	// function's lock, then rescan, then rtnl.
	rescan, rtnl lock
}

// subnet is a route to less than everything.
type subnet struct {
	to   netip.Prefix
	over *netdev
}

// moduleKind is how a module gets into the kernel.
type moduleKind int

const (
	moduleThere   moduleKind = iota + 1
	moduleBlocked            // udev does not load it
	moduleMissing            // not installed
)

// confFile is a file that was written through the Conf door.
type confFile struct {
	data []byte
	mode fs.FileMode
}

// function is a PCI function.
type function struct {
	addr           hw.PCIAddr
	name           string  // the address, as sysfs writes it
	dir            string  // its folder in sysfs, without "sys/"
	tree           *folder // what is in the folder; nil until somebody looks
	vendor, device hw.ID
	class          string
	numa           int
	group          int // IOMMU group; negative for none
	model          model
	native         string // the driver that its ids match
	driver         string // empty for none
	override       string // empty for none
	probes         int    // how often a driver was bound, which seeds its random MAC
	gone           bool
	rdma           string // name of its RDMA device
	guid           hw.GUID
	netdevs        []*netdev     // its own and, of a PF, the representors
	held           chan struct{} // open while a program holds it through vfio-pci
	vdpa           hw.VDPAType   // the type of its vDPA device
	sriov          *sriov        // of a PF
	vf             *virtual      // of a VF
	lock           lock
}

// sriov is the SR-IOV capability of a PF and the state of its driver.
type sriov struct {
	desc           PFDescription // for what the PF's netdev is
	linkType       hw.LinkType
	total, num     int
	offset, stride int
	autoprobe      bool
	eswitch        hw.EswitchMode
	steering       string
	vfs            []*function // those that exist, by index; nil between
}

// virtual is what a VF is to its PF.
type virtual struct {
	pf    *function
	index int
	admin hw.MAC  // set through the PF
	heard hw.MAC  // taken by the VF itself and told to the PF
	guid  hw.GUID // set through the PF
}

// netdev is a network device.
type netdev struct {
	host.Link
	owner      *function // nil when it is no hardware
	kernelName string
	speed      int
	away       bool // in another network namespace
	gone       bool
	rep        int // VF index of a representor; negative for all others
	port       string
	switchID   string
	tc         hw.Feature
	tree       *folder // its folder in sysfs; nil until somebody looks
}

// Delays are how long the kernel and udev take, what the simulation itself needs
// for it included. The zero value is no time at all, and then every call returns
// with everything done, udev's work included.
type Delays struct {
	NumVFs     time.Duration // a write to sriov_numvfs, before its first VF
	AddVF      time.Duration // each VF that it makes, without the probe
	RemoveVF   time.Duration // each VF that it removes, without the unbind
	RemoveTail time.Duration // a write of 0, from the last VF's end to the return
	Bind       time.Duration
	Unbind     time.Duration
	MTU        time.Duration
	Up         time.Duration
	VFMAC      time.Duration
	VFGUID     time.Duration
	TCOffload  time.Duration
	Eswitch    time.Duration // a change of the mode
	EswitchVF  time.Duration // each VF in it
	Param      time.Duration
	VDPA       time.Duration
	Module     time.Duration
	Conf       time.Duration
	BootLoader time.Duration
	UdevReload time.Duration
	Udev       time.Duration // from the kernel's event to udev's
	// RescanLock makes the PFs of the machine add and remove VFs one after
	// another, as kernels with pci_lock_rescan_remove in drivers/pci/iov.c do.
	RescanLock bool
}

// SetDelays changes how long things take from now on.
func (m *Machine) SetDelays(d Delays) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.delays = d
}

func (m *Machine) takes() Delays {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.delays
}

// NodeName is the description's name for the machine; empty when it has none.
func (m *Machine) NodeName() string { return m.nodeName }

// Reader opens the doors that only look.
func (m *Machine) Reader() host.Reader {
	return host.Reader{Files: files{m}, Links: links{m}, Devlink: devlink{m}, RDMA: devlink{m}, Boot: booting{m}}
}

// Host opens all doors.
func (m *Machine) Host() host.Host {
	return host.Host{
		Reader: m.Reader(), Attrs: files{m}, Conf: files{m}, LinkCtl: links{m}, DevlinkCtl: devlink{m},
		VDPA: devlink{m}, Modules: kernelModules{m}, Udev: udevControl{m}, Events: events{m},
		RDMACtl: devlink{m}, BootCtl: booting{m}, Power: booting{m},
	}
}

// TakeVF moves the VF's netdev into another network namespace, as a pod does.
func (m *Machine) TakeVF(ref hw.VFRef) error {
	defer m.udevCatchUp() // when m.mu is free again
	m.mu.Lock()
	defer m.mu.Unlock()
	nd, err := m.vfNetdev(ref)
	if err != nil {
		return err
	}
	m.tell(nd, "remove")
	m.hide(nd)
	nd.away = true
	return nil
}

// ReturnVF brings the VF's netdev back.
func (m *Machine) ReturnVF(ref hw.VFRef) error {
	defer m.udevCatchUp() // when m.mu is free again
	m.mu.Lock()
	defer m.mu.Unlock()
	nd, err := m.vfNetdev(ref)
	if err != nil {
		return err
	}
	nd.away = false
	m.byName.by[nd.Name] = nd
	m.tell(nd, "add")
	return nil
}

// SetDown takes the link of a PF down, as a person does.
func (m *Machine) SetDown(pf hw.PCIAddr) error {
	defer m.udevCatchUp() // when m.mu is free again
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.functions[pf]
	if f == nil || m.netdevOf(f) == nil {
		return fmt.Errorf("%s has no netdev", pf)
	}
	m.netdevOf(f).AdminUp = false
	m.tellLink(m.netdevOf(f))
	return nil
}

// Unload removes a module whose driver nothing uses, as a person does.
func (m *Machine) Unload(module string) error {
	if err := m.unloadModule(module); err != nil {
		return fmt.Errorf("unload module %s: %w", module, err)
	}
	return nil
}

func (m *Machine) vfNetdev(ref hw.VFRef) (*netdev, error) {
	f := m.vf(ref)
	if f == nil {
		return nil, fmt.Errorf("VF %s does not exist", ref)
	}
	if len(f.netdevs) == 0 {
		return nil, fmt.Errorf("VF %s has no netdev", ref)
	}
	return f.netdevs[0], nil
}

// HoldVF makes a program hold the VF through vfio-pci. Until FreeVF the kernel
// neither unbinds nor removes it (drivers/vfio/vfio_main.c,
// vfio_unregister_group_dev waits).
func (m *Machine) HoldVF(ref hw.VFRef) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.vf(ref)
	if f == nil || f.driver != vfioPCI {
		return fmt.Errorf("VF %s is not bound to vfio-pci", ref)
	}
	if f.held == nil {
		f.held = make(chan struct{})
	}
	return nil
}

// FreeVF ends HoldVF.
func (m *Machine) FreeVF(ref hw.VFRef) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.vf(ref)
	if f == nil || f.held == nil {
		return fmt.Errorf("VF %s is not held", ref)
	}
	close(f.held)
	f.held = nil
	return nil
}

// vf finds a VF that exists; nil for none.
func (m *Machine) vf(ref hw.VFRef) *function {
	pf := m.functions[ref.PF]
	if pf == nil || pf.sriov == nil || ref.Index < 0 || ref.Index >= len(pf.sriov.vfs) {
		return nil
	}
	return pf.sriov.vfs[ref.Index]
}

// ref names a VF by its role.
func (f *function) ref() hw.VFRef { return hw.VFRef{PF: f.vf.pf.addr, Index: f.vf.index} }

// enlist puts a function on its bus.
func (m *Machine) enlist(f *function) {
	m.functions[f.addr], m.byAddr[f.name] = f, f
}

func (m *Machine) delist(f *function) {
	delete(m.functions, f.addr)
	delete(m.byAddr, f.name)
}

// sorted are all functions in the order of their addresses.
func (m *Machine) sorted() []*function {
	out := make([]*function, 0, len(m.functions))
	for _, f := range m.functions {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b *function) int { return a.addr.Compare(b.addr) })
	return out
}

// randomMAC is an address that nobody can foresee and every run repeats: it
// depends on the function and on how often a driver was bound to it.
func randomMAC(f *function) hw.MAC {
	h := sha256.Sum256(fmt.Appendf(nil, "%s/%d", f.addr, f.probes))
	h[0] = h[0]&^0x01 | 0x02
	return hw.MAC(net.HardwareAddr(h[:6]).String())
}
