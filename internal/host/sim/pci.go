// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// deviceDir is where sysfs keeps a function; a VF is beside its PF.
func deviceDir(root, addr hw.PCIAddr) string {
	return fmt.Sprintf("devices/pci%04x:%02x/%s", root.Domain, root.Bus, addr)
}

// newGroup numbers an IOMMU group. Every function here has its own, as functions
// with ACS have (drivers/iommu/iommu.c, pci_device_group).
func (m *Machine) newGroup() int {
	if !m.iommu {
		return -1
	}
	m.lastGroup++
	return m.lastGroup
}

// storeNumVFs is a write to sriov_numvfs. The order of the checks is that of
// drivers/pci/iov.c, sriov_numvfs_store.
func (m *Machine) storeNumVFs(c *clock, pf *function, n int) error {
	s := pf.sriov
	if n > s.total {
		return syscall.ERANGE
	}
	c.acquire(pf.lock)
	defer c.release(pf.lock)
	m.mu.Lock()
	now, driver := s.num, pf.driver
	m.mu.Unlock()
	switch {
	case n == now:
		return nil
	case driver == "" || driver != pf.model.driver || pf.model.noHook:
		return syscall.ENOENT // no driver, or one without sriov_configure
	case n != 0 && now != 0:
		return syscall.EBUSY
	}
	c.pass(m.takes().NumVFs)
	if m.takes().RescanLock {
		c.acquire(m.rescan)
		defer c.release(m.rescan)
	}
	if n == 0 {
		m.removeVFs(c, pf)
		return nil
	}
	return m.addVFs(c, pf, n)
}

// addVFs is sriov_enable: the count is set only when all VFs are there.
func (m *Machine) addVFs(c *clock, pf *function, n int) error {
	for i := range n {
		vf := m.addVF(c, pf, i)
		// pci_bus_add_device probes within the write. A driver that fails to
		// probe fails no write.
		c.acquire(vf.lock)
		_ = m.attach(c, vf)
		c.release(vf.lock)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	pf.sriov.num = n
	m.makeRepresentors(pf)
	m.tellPCI(pf, "change")
	return nil
}

func (m *Machine) addVF(c *clock, pf *function, i int) *function {
	c.pass(m.takes().AddVF)
	m.mu.Lock()
	defer m.mu.Unlock()
	s := pf.sriov
	addr := pf.addr.Routed(s.offset + i*s.stride)
	vf := &function{
		addr: addr, name: addr.String(), dir: deviceDir(pf.addr, addr), vendor: pf.vendor, device: pf.model.vfDevice,
		class: pf.class, numa: pf.numa, group: m.newGroup(), model: pf.model, native: pf.model.vfDriver,
		vf: &virtual{pf: pf, index: i}, lock: newLock(),
	}
	m.enlist(vf)
	s.vfs = append(s.vfs, vf)
	m.tellPCI(vf, "add")
	return vf
}

// removeVFs is sriov_disable: in the order of the indices (sriov_del_vfs).
func (m *Machine) removeVFs(c *clock, pf *function) {
	m.mu.Lock()
	m.dropRepresentors(pf)
	vfs := slices.Clone(pf.sriov.vfs)
	m.mu.Unlock()
	for _, vf := range vfs {
		c.acquire(vf.lock)
		m.unbind(c, vf)
		c.release(vf.lock)
		c.pass(m.takes().RemoveVF)
		m.mu.Lock()
		vf.gone = true
		m.delist(vf)
		pf.sriov.vfs[vf.vf.index] = nil
		m.tellPCI(vf, "remove")
		m.mu.Unlock()
	}
	m.mu.Lock()
	pf.sriov.vfs, pf.sriov.num = nil, 0
	m.tellPCI(pf, "change")
	m.mu.Unlock()
	c.pass(m.takes().RemoveTail)
}

// matching is the driver that the bus offers the function to: an override
// excludes all others (drivers/pci/pci-driver.c, pci_match_device). Empty when
// none is registered. m.mu is held.
func (m *Machine) matching(f *function) string {
	name := f.native
	if f.override != "" {
		name = f.override
	}
	if !m.drivers[name] {
		return ""
	}
	return name
}

// mayProbe is pci_device_can_probe: with autoprobe off a VF is probed only with
// an override, even when a person binds it.
func mayProbe(f *function) bool {
	return f.vf == nil || f.vf.pf.sriov.autoprobe || f.override != ""
}

// attach is device_attach: it looks for a driver and is content with none. The
// function's lock is held.
func (m *Machine) attach(c *clock, f *function) error {
	m.mu.Lock()
	driver := m.matching(f)
	skip := f.gone || f.driver != "" || driver == "" || !mayProbe(f)
	m.mu.Unlock()
	if skip {
		return nil
	}
	return m.bind(c, f, driver)
}

// bind probes the function with a driver. The function's lock is held.
func (m *Machine) bind(c *clock, f *function, driver string) error {
	c.pass(m.takes().Bind)
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case f.gone:
		return syscall.ENODEV
	case driver == vfioPCI && f.group < 0:
		// Without a group and without noiommu mode (drivers/vfio/group.c,
		// vfio_device_set_group).
		return syscall.EINVAL
	}
	f.driver = driver
	f.probes++
	if driver == f.native {
		m.startNIC(f)
	} else if f.vf != nil {
		// The function is reset, and the PF forgets what the VF had told
		// (igb_main.c, igb_vf_reset_event).
		f.vf.heard = ""
	}
	m.tellPCI(f, "bind")
	return nil
}

// unbind takes the driver away, and waits for a program that holds the function.
// The function's lock is held.
func (m *Machine) unbind(c *clock, f *function) {
	m.mu.Lock()
	held, bound := f.held, f.driver != ""
	m.mu.Unlock()
	if !bound {
		return
	}
	if held != nil {
		m.busy(-1)
		c.await(held)
		m.busy(1)
	}
	if f.sriov != nil && f.sriov.num > 0 {
		m.removeVFs(c, f)
	}
	c.pass(m.takes().Unbind)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopNIC(f)
	f.driver = ""
	m.tellPCI(f, "unbind")
}

// storeBind is a write to drivers/<driver>/bind (drivers/base/bus.c, bind_store).
func (m *Machine) storeBind(c *clock, driver, value string) error {
	f := m.functionNamed(value)
	if f == nil {
		return syscall.ENODEV
	}
	c.acquire(f.lock)
	defer c.release(f.lock)
	m.mu.Lock()
	match, bound, may := m.matching(f) == driver, f.driver != "", mayProbe(f)
	m.mu.Unlock()
	switch {
	case !match:
		return syscall.ENODEV
	case bound:
		return syscall.EBUSY // dd.c, __driver_probe_device
	case !may:
		return syscall.ENODEV
	}
	return m.bind(c, f, driver)
}

// storeUnbind is a write to drivers/<driver>/unbind.
func (m *Machine) storeUnbind(c *clock, driver, value string) error {
	f := m.functionNamed(value)
	if f == nil {
		return syscall.ENODEV
	}
	c.acquire(f.lock)
	defer c.release(f.lock)
	m.mu.Lock()
	other := f.driver != driver
	m.mu.Unlock()
	if other {
		return syscall.ENODEV
	}
	m.unbind(c, f)
	return nil
}

// storeProbe is a write to drivers_probe: a probe that fails, and a function that
// no driver wants, are no errors (bus.c, drivers_probe_store).
func (m *Machine) storeProbe(c *clock, value string) error {
	f := m.functionNamed(value)
	if f == nil {
		return syscall.ENODEV
	}
	c.acquire(f.lock)
	defer c.release(f.lock)
	_ = m.attach(c, f)
	return nil
}

func (m *Machine) functionNamed(value string) *function {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.byAddr[strings.TrimRight(value, "\n")]
}

// storeOverride is a write to driver_override. An empty line and NUL bytes clear
// it (drivers/base/driver.c, driver_set_override).
func (m *Machine) storeOverride(f *function, value string) error {
	value, _, _ = strings.Cut(value, "\x00")
	value, _, _ = strings.Cut(value, "\n")
	m.mu.Lock()
	defer m.mu.Unlock()
	f.override = value
	return nil
}

// storeAutoprobe is a write to sriov_drivers_autoprobe (iov.c).
func (m *Machine) storeAutoprobe(f *function, value string) error {
	on, err := strconv.ParseBool(strings.TrimRight(value, "\n"))
	if err != nil {
		return syscall.EINVAL
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f.sriov.autoprobe = on
	return nil
}

// kernelModules is the door to modules.
type kernelModules struct{ m *Machine }

var _ host.ModuleLoader = kernelModules{}

// Load implements host.ModuleLoader.
func (k kernelModules) Load(ctx context.Context, module string) error {
	err := k.m.change(ctx, func(c *clock) error {
		c.pass(k.m.takes().Module)
		return k.m.loadModule(c, module)
	}, "module:"+module)
	if err != nil {
		return fmt.Errorf("load module %s: %w", module, err)
	}
	return nil
}

// loadModule registers the module's driver, which then binds all that it matches
// and that has none (drivers/base/bus.c, bus_add_driver).
func (m *Machine) loadModule(c *clock, name string) error {
	m.mu.Lock()
	if kind := m.modules[moduleName(name)]; kind != moduleThere && kind != moduleBlocked {
		m.mu.Unlock()
		return syscall.ENOENT
	}
	if m.loaded[moduleName(name)] {
		m.mu.Unlock()
		return nil
	}
	m.loaded[moduleName(name)] = true
	var wait []*function
	if driver := m.driverOf(name); driver != "" {
		m.drivers[driver] = true
		for _, f := range m.sorted() {
			if f.driver == "" && m.matching(f) == driver {
				wait = append(wait, f)
			}
		}
	}
	m.mu.Unlock()
	for _, f := range wait {
		c.acquire(f.lock)
		_ = m.attach(c, f)
		c.release(f.lock)
	}
	return nil
}

// unloadModule takes a driver away that nothing uses.
func (m *Machine) unloadModule(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	driver := m.driverOf(name)
	for _, f := range m.functions {
		if driver != "" && f.driver == driver {
			return syscall.EBUSY
		}
	}
	delete(m.loaded, moduleName(name))
	delete(m.drivers, driver)
	return nil
}

// driverOf is the driver that a module registers; empty for none. Modules and
// drivers differ in underscores only.
func (m *Machine) driverOf(module string) string {
	for _, name := range []string{vhostVDPA, virtioVDPA} {
		if moduleName(module) == name {
			return name
		}
	}
	for _, nic := range models() {
		for _, driver := range []string{nic.driver, nic.vfDriver} {
			if driver != "" && moduleName(driver) == moduleName(module) {
				return driver
			}
		}
	}
	if moduleName(module) == moduleName(vfioPCI) {
		return vfioPCI
	}
	for _, f := range m.functions {
		if f.native != "" && moduleName(f.native) == moduleName(module) {
			return f.native
		}
	}
	return ""
}
