// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// boot is how the machine booted, and what its boot loader holds.
type boot struct {
	desc    Description
	number  int
	running []string
	next    []string
	ours    []string // those of next that were set through the door
	deaf    []string // arguments that the boot loader holds and does not boot with
	// namespaces says that network namespaces besides the host's exist.
	namespaces bool
	asked      []string // why reboots were asked for
}

// newBoot is the boot that a description begins with.
func newBoot(desc Description) (boot, error) {
	b := boot{desc: desc, number: 1, running: hw.ParseKernelArgs(desc.Boot.Args), namespaces: desc.Namespaces}
	b.next = slices.Clone(b.running)
	switch b.firmware() {
	case hw.IOMMUNone, hw.IOMMUIntel, hw.IOMMUAMD:
	default:
		return b, wrong("boot.iommu", "%q is neither intel nor amd nor none", desc.Boot.IOMMU)
	}
	switch hw.BootLoader(desc.Boot.Loader) {
	case "", hw.Grubby, hw.RPMOSTree, hw.UpdateGrub, noDriver:
	default:
		return b, wrong("boot.loader", "%q is neither grubby nor rpm-ostree nor update-grub nor none", desc.Boot.Loader)
	}
	return b, nil
}

func (b boot) firmware() hw.IOMMU {
	if b.desc.Boot.IOMMU == noDriver {
		return hw.IOMMUNone
	}
	return hw.IOMMU(b.desc.Boot.IOMMU)
}

func (b boot) loader() (hw.BootLoader, error) {
	switch b.desc.Boot.Loader {
	case "":
		return hw.UpdateGrub, nil
	case noDriver:
		return "", fmt.Errorf("%w: the machine has none of grubby, rpm-ostree and update-grub", host.ErrUnsupported)
	}
	return hw.BootLoader(b.desc.Boot.Loader), nil
}

func (b boot) id() string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", b.number) }

// iommu is whether a kernel with these arguments uses an IOMMU, which it does
// without any where the description says so.
func (b boot) iommu(args []string) bool {
	on := b.desc.IOMMU == nil || *b.desc.IOMMU
	for _, arg := range args {
		switch {
		case arg == "iommu=off", arg == "amd_iommu=off":
			return false
		case arg == "intel_iommu=off":
			on = false
		case arg == "intel_iommu=on" && b.firmware() == hw.IOMMUIntel, arg == "iommu=pt" && b.firmware() == hw.IOMMUAMD:
			on = true
		}
	}
	return on
}

// booting is the door to boots.
type booting struct{ m *Machine }

var (
	_ host.BootReader  = booting{}
	_ host.BootControl = booting{}
	_ host.Power       = booting{}
)

// Running implements host.BootReader.
func (d booting) Running(ctx context.Context) (hw.Boot, error) {
	if err := d.m.lookCtx(ctx, "boot"); err != nil {
		return hw.Boot{}, fmt.Errorf("read how the machine booted: %w", err)
	}
	defer d.m.mu.Unlock()
	b := d.m.boot
	return hw.Boot{ID: b.id(), Args: managed(b.running), IOMMU: b.firmware()}, nil
}

func managed(args []string) []string {
	return slices.DeleteFunc(slices.Clone(args), func(arg string) bool { return !hw.ManagedArg(arg) })
}

// Next implements host.BootReader.
func (d booting) Next(ctx context.Context) (hw.NextBoot, error) {
	if err := d.m.lookCtx(ctx, "boot:next"); err != nil {
		return hw.NextBoot{}, fmt.Errorf("read what the machine boots next: %w", err)
	}
	defer d.m.mu.Unlock()
	loader, err := d.m.boot.loader()
	if err != nil {
		return hw.NextBoot{}, fmt.Errorf("read what the machine boots next: %w", err)
	}
	return hw.NextBoot{Loader: loader, Args: managed(d.m.boot.next)}, nil
}

// SetArgs implements host.BootControl.
func (d booting) SetArgs(ctx context.Context, add, remove []string) error {
	err := d.m.change(ctx, func(c *clock) error {
		c.pass(d.m.takes().BootLoader)
		d.m.mu.Lock()
		defer d.m.mu.Unlock()
		return d.m.boot.setArgs(add, remove)
	}, "boot:args")
	if err != nil {
		return fmt.Errorf("tell the boot loader of kernel arguments: %w", err)
	}
	return nil
}

func (b *boot) setArgs(add, remove []string) error {
	if _, err := b.loader(); err != nil {
		return err
	}
	for _, arg := range slices.Concat(add, remove) {
		if arg == "" || strings.ContainsAny(arg, " \t\n\"'$`\\;") {
			return fmt.Errorf("%w: %q is no kernel argument that is set here", fs.ErrInvalid, arg)
		}
	}
	for _, arg := range slices.Concat(add, remove) {
		if i := slices.Index(b.ours, arg); i >= 0 {
			b.ours = slices.Delete(b.ours, i, i+1)
			last := len(b.next) - 1 - slices.Index(backward(b.next), arg)
			b.next = slices.Delete(b.next, last, last+1)
		}
	}
	b.ours, b.next = append(b.ours, add...), append(b.next, add...)
	return nil
}

func backward(args []string) []string {
	out := slices.Clone(args)
	slices.Reverse(out)
	return out
}

// Reboot implements host.Power. The machine is in its next boot when this returns,
// and the process that asked is dead: see Revive.
func (d booting) Reboot(ctx context.Context, why string) error {
	err := d.m.change(ctx, func(*clock) error {
		d.m.mu.Lock()
		d.m.boot.asked = append(d.m.boot.asked, why)
		d.m.kill()
		d.m.mu.Unlock()
		return nil
	}, "power:reboot")
	if err != nil && !errors.Is(err, ErrCrashed) {
		return fmt.Errorf("reboot: %w", err)
	}
	if d.m.Killed() {
		d.m.Reboot()
	}
	return nil
}

// SetNetnsMode implements host.RDMAControl (drivers/infiniband/core/device.c,
// rdma_compatdev_set).
func (d devlink) SetNetnsMode(ctx context.Context, mode hw.RDMAMode) error {
	err := d.m.change(ctx, func(*clock) error {
		d.m.mu.Lock()
		defer d.m.mu.Unlock()
		switch {
		case d.m.rdma == "":
			return host.ErrUnsupported
		case mode != hw.RDMAExclusive && mode != hw.RDMAShared:
			return fs.ErrInvalid
		case mode == d.m.rdma:
			return nil
		case d.m.namespaced():
			return syscall.EBUSY
		}
		d.m.rdma = mode
		return nil
	}, "rdma:mode")
	if err != nil {
		return fmt.Errorf("set RDMA namespace mode %s: %w", mode, err)
	}
	return nil
}

// NetnsModeFixed implements host.RDMAReader.
func (d devlink) NetnsModeFixed(ctx context.Context) (bool, error) {
	if err := d.m.lookCtx(ctx, "namespaces"); err != nil {
		return false, fmt.Errorf("look for network namespaces: %w", err)
	}
	defer d.m.mu.Unlock()
	return d.m.namespaced(), nil
}

// namespaced: a netdev that is away is in a namespace of its own. m.mu is held.
func (m *Machine) namespaced() bool {
	return m.boot.namespaces || slices.ContainsFunc(m.netdevs, func(nd *netdev) bool { return nd.away })
}

// Namespace makes a network namespace, as a pod does that has no VF.
func (m *Machine) Namespace() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.boot.namespaces = true
}

// BootWithout makes the machine boot without these arguments, whatever the boot
// loader holds: somebody chooses another entry, or boots it in another way.
func (m *Machine) BootWithout(args ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.boot.deaf = args
}

// Reboots are the reasons for which the machine was asked to reboot.
func (m *Machine) Reboots() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.boot.asked)
}

// kill ends the process that uses the doors. m.mu is held.
func (m *Machine) kill() {
	m.trouble.budget = 0
	m.crashIfSpent()
}

// Killed reports whether the process that uses the doors is dead.
func (m *Machine) Killed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.trouble.down
}

// Reboot boots the machine with what its boot loader holds, and so ends the
// process that uses the doors. What is left of the old boot are the files in etc/:
// VFs are gone, and so is whatever the kernel was told.
func (m *Machine) Reboot() {
	m.mu.Lock()
	m.kill()
	for _, f := range m.functions {
		if f.held != nil {
			close(f.held)
			f.held = nil
		}
	}
	m.mu.Unlock()
	m.finishWork()
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.boot
	b.number++
	b.namespaces = false
	b.running = slices.DeleteFunc(slices.Clone(b.next), func(arg string) bool { return slices.Contains(b.deaf, arg) })
	fresh, err := New(b.description(m))
	if err != nil {
		panic(fmt.Sprintf("a machine that was, with less in it, cannot be: %v", err)) // a fault of the simulation
	}
	m.become(fresh)
	m.boot = b
}

// finishWork waits until the kernel has nothing left to do.
func (m *Machine) finishWork() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.trouble.busy > 0 {
		m.trouble.idle.Wait()
	}
}

// description is the machine as it begins its next boot. m.mu is held.
func (b boot) description(m *Machine) Description {
	desc := b.desc
	on := b.iommu(b.running)
	desc.IOMMU = &on
	desc.PFs = slices.Clone(desc.PFs)
	for i := range desc.PFs {
		pf := &desc.PFs[i]
		pf.NumVFs, pf.VFs, pf.Autoprobe = 0, nil, nil
		if pf.Eswitch != "" {
			pf.Eswitch = string(hw.EswitchLegacy)
		}
	}
	desc.Modules = slices.Concat(desc.Modules, listed(m.etc[hw.ModulesConfig].data, m.modules))
	if m.rdma != "" {
		desc.RDMA = string(hw.RDMAShared)
		words := append(strings.Fields(string(m.etc[hw.RDMAConfig].data)), b.running...)
		for _, word := range words {
			switch strings.TrimPrefix(word, "ib_core.") {
			case "netns_mode=0":
				desc.RDMA = string(hw.RDMAExclusive)
			case "netns_mode=1":
				desc.RDMA = string(hw.RDMAShared)
			}
		}
	}
	return desc
}

// listed are the modules of a file of modules-load.d(5) that are installed.
func listed(text []byte, modules map[string]moduleKind) []string {
	var out []string
	for line := range strings.Lines(string(text)) {
		name := strings.TrimSpace(line)
		if kind := modules[moduleName(name)]; kind == moduleThere || kind == moduleBlocked {
			out = append(out, name)
		}
	}
	return out
}

// become takes over everything of another machine that a boot makes anew.
func (m *Machine) become(o *Machine) {
	m.functions, m.buses, m.byAddr = o.functions, o.buses, o.byAddr
	m.netdevs, m.byName, m.rdmaDevs = o.netdevs, o.byName, o.rdmaDevs
	m.lastIndex, m.lastGroup, m.iommu = o.lastIndex, o.lastGroup, o.iommu
	m.drivers, m.modules, m.loaded = o.drivers, o.modules, o.loaded
	m.rdma, m.routes, m.subnets = o.rdma, o.routes, o.subnets
	m.rescan, m.rtnl = o.rescan, o.rtnl
	// What shows a function shows it as the machine that made it knows it.
	for _, f := range m.functions {
		f.tree = nil
	}
	for _, nd := range m.netdevs {
		nd.tree = nil
	}
}

// misc is sys/class/misc, as far as modules put something there.
func (m *Machine) misc() entry {
	return lazy("misc", func() []entry {
		var out []entry
		for _, d := range []struct{ module, device string }{{"tun", "tun"}, {"vhost_net", "vhost-net"}} {
			if m.loaded[d.module] {
				out = append(out, folderOf(d.device))
			}
		}
		return out
	})
}

// powerFolder is the function's runtime power management. vfio-pci lets a device
// sleep that nobody has open (drivers/vfio/pci/vfio_pci_core.c,
// vfio_pci_core_register_device and vfio_pci_core_enable).
func (f *function) powerFolder() entry {
	return folderOf("power", text("control", "auto"), says("runtime_status", func() string {
		if f.driver == vfioPCI && f.held == nil {
			return "suspended"
		}
		return "active"
	}))
}
