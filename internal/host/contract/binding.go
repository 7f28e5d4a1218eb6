// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"syscall"
	"time"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// vfio is the driver that hands a function to userspace.
const vfio = "vfio-pci"

// binding are the clauses about drivers.
func binding() []test {
	return []test{
		{name: "with autoprobe off VFs come unbound", run: comesUnbound},
		{name: "with autoprobe off a VF binds only by an override", run: bindsByOverrideOnly},
		{name: "an unbound VF is bound by drivers_probe", run: rebinds},
		{name: "a VF that is bound is bound no second time", run: bindsOnce},
		{name: "an override excludes every other driver until it is cleared", run: overrides},
		{name: "an unknown function cannot be bound or probed", run: bindsNothingUnknown},
		{name: "a VF goes to vfio-pci and back", run: vfioAndBack, needs: hasVFIO},
		{name: "a new VF goes to vfio-pci without the kernel's driver in between", run: vfioFirst, needs: hasVFIO},
		{name: "without an IOMMU vfio-pci takes no VF", run: vfioNeedsIOMMU, needs: func(pf PF) bool { return pf.NoIOMMU }},
		{name: "a VF that a program holds is removed when the program is done", run: removesHeld, needs: func(pf PF) bool { return pf.HasVFIO && pf.Hold != nil }},
		{name: "of a VF on vfio-pci it can be seen whether a program has it open", run: showsHeld, needs: func(pf PF) bool { return pf.HasVFIO && pf.Hold != nil }},
		{name: "a VF whose netdev is in another network namespace is bound and has no netdev", run: hidesTaken, needs: func(pf PF) bool { return pf.Take != nil }},
		{name: "a VF whose driver is not loaded is bound once it is", run: loadsLater, needs: func(pf PF) bool { return pf.UnloadVFDriver != nil }},
		{name: "a module is loaded once and an unknown one never", run: loadsModules},
		{name: "a PF without a driver makes no VFs", run: unboundPF, needs: func(pf PF) bool { return !pf.HasEswitch }},
		{name: "an attribute is never made by writing", run: writesOnlyWhatIs},
	}
}

func comesUnbound(c check) {
	c.write(c.attr("sriov_drivers_autoprobe"), "0")
	if v, err := host.ReadInt(c.Files, c.attr("sriov_drivers_autoprobe")); err != nil || v != 0 {
		c.Errorf("sriov_drivers_autoprobe is %d, %v", v, err)
	}
	c.setNumVFs(2)
	for _, vf := range c.vfs(2) {
		if got := c.driver(vf); got != "" {
			c.Errorf("VF %s has driver %q", vf, got)
		}
	}
}

func bindsByOverrideOnly(c check) {
	c.load(c.pf.VFModule)
	c.write(c.attr("sriov_drivers_autoprobe"), "0")
	c.setNumVFs(1)
	vf := c.vfs(1)[0]
	c.probe(vf)
	if got := c.driver(vf); got != "" {
		c.Errorf("drivers_probe bound it to %q", got)
	}
	c.refused(path.Join("sys/bus/pci/drivers", c.pf.VFDriver, "bind"), vf.String(), syscall.ENODEV)
	c.write(host.Attr(vf, "driver_override"), c.pf.VFDriver)
	c.probe(vf)
	c.awaitDriver(vf, c.pf.VFDriver)
}

func rebinds(c check) {
	vf := c.makeVFs(1)[0]
	first := c.awaitNetdev(vf)
	c.unbind(vf)
	if got := c.driver(vf); got != "" {
		c.Fatalf("unbind returned and it has driver %q", got)
	}
	if names, err := host.Netdevs(c.Files, vf); err != nil || len(names) != 0 {
		c.Errorf("unbind returned and it has netdevs %v, %v", names, err)
	}
	c.probe(vf)
	c.awaitDriver(vf, c.pf.VFDriver)
	if second := c.awaitNetdev(vf); second.Index == first.Index {
		c.Errorf("the new netdev has the old index %d", first.Index)
	}
}

func bindsOnce(c check) {
	vf := c.makeVFs(1)[0]
	before := c.awaitNetdev(vf)
	c.probe(vf)
	c.refused(path.Join("sys/bus/pci/drivers", c.pf.VFDriver, "bind"), vf.String(), syscall.EBUSY)
	if after := c.awaitNetdev(vf); after.Index != before.Index {
		c.Errorf("the netdev was made anew: index %d, then %d", before.Index, after.Index)
	}
}

func overrides(c check) {
	vf := c.makeVFs(1)[0]
	attr := host.Attr(vf, "driver_override")
	c.write(attr, "no-such-driver")
	if got, err := host.ReadAttr(c.Files, attr); err != nil || got != "no-such-driver" {
		c.Errorf("driver_override is %q, %v", got, err)
	}
	if got := c.driver(vf); got != c.pf.VFDriver {
		c.Errorf("the override alone changed the driver to %q", got)
	}
	c.unbind(vf)
	c.probe(vf)
	if got := c.driver(vf); got != "" {
		c.Errorf("it has driver %q in spite of the override", got)
	}
	c.refused(path.Join("sys/bus/pci/drivers", c.pf.VFDriver, "bind"), vf.String(), syscall.ENODEV)
	c.write(attr, "\n")
	if got, err := host.ReadAttr(c.Files, attr); err != nil || got != "(null)" {
		c.Errorf("the cleared driver_override is %q, %v", got, err)
	}
	c.probe(vf)
	c.awaitDriver(vf, c.pf.VFDriver)
}

func bindsNothingUnknown(c check) {
	vf := c.makeVFs(1)[0]
	c.setNumVFs(0)
	for _, name := range []string{"sys/bus/pci/drivers_probe", path.Join("sys/bus/pci/drivers", c.pf.VFDriver, "bind"), path.Join("sys/bus/pci/drivers", c.pf.VFDriver, "unbind")} {
		c.refused(name, vf.String(), syscall.ENODEV)
	}
}

func vfioAndBack(c check) {
	c.load(vfio)
	vfs := c.makeVFs(2)
	vf, other := vfs[0], c.awaitNetdev(vfs[1])
	c.refused(path.Join("sys/bus/pci/drivers", vfio, "unbind"), vf.String(), syscall.ENODEV)
	c.refused(path.Join("sys/bus/pci/drivers", vfio, "bind"), vf.String(), syscall.ENODEV)
	c.write(host.Attr(vf, "driver_override"), vfio)
	c.unbind(vf)
	c.probe(vf)
	c.awaitDriver(vf, vfio)
	c.write(host.Attr(vf, "driver_override"), "\n")
	if got := c.driver(vf); got != vfio {
		c.Errorf("clearing the override changed the driver to %q", got)
	}
	group, err := host.LinkBase(c.Files, host.Attr(vf, "iommu_group"))
	if err != nil || group == "" {
		c.Errorf("its IOMMU group is %q, %v", group, err)
	}
	if names, err := host.Netdevs(c.Files, vf); err != nil || len(names) != 0 {
		c.Errorf("on vfio-pci it has netdevs %v, %v", names, err)
	}
	c.unbind(vf)
	c.probe(vf)
	c.awaitDriver(vf, c.pf.VFDriver)
	c.awaitNetdev(vf)
	if after := c.awaitNetdev(vfs[1]); after.Index != other.Index {
		c.Errorf("the other VF's netdev was made anew")
	}
}

func vfioFirst(c check) {
	c.load(vfio)
	vf := c.makeUnboundVFs(1)[0]
	c.write(host.Attr(vf, "driver_override"), vfio)
	c.probe(vf)
	c.awaitDriver(vf, vfio)
	c.write(host.Attr(vf, "driver_override"), "\n")
	c.setNumVFs(0)
	c.makeVFs(1) // the next VF remembers nothing
}

func vfioNeedsIOMMU(c check) {
	c.load(vfio)
	vf := c.makeUnboundVFs(1)[0]
	if group, err := host.LinkBase(c.Files, host.Attr(vf, "iommu_group")); err != nil || group != "" {
		c.Errorf("its IOMMU group is %q, %v", group, err)
	}
	c.write(host.Attr(vf, "driver_override"), vfio)
	c.probe(vf)
	if got := c.driver(vf); got != "" {
		c.Errorf("it has driver %q", got)
	}
	c.refused(path.Join("sys/bus/pci/drivers", vfio, "bind"), vf.String(), syscall.EINVAL)
}

func removesHeld(c check) {
	c.load(vfio)
	vf := c.makeUnboundVFs(1)[0]
	c.write(host.Attr(vf, "driver_override"), vfio)
	c.probe(vf)
	c.awaitDriver(vf, vfio)
	undo := c.pf.Hold(c.T, hw.VFRef{PF: c.pf.Addr, Index: 0})
	ctx, cancel := context.WithTimeout(c.Context(), 100*time.Millisecond)
	defer cancel()
	if err := c.Attrs.WriteAttr(ctx, c.attr("sriov_numvfs"), "0"); !errors.Is(err, context.DeadlineExceeded) {
		c.Errorf("the write answered %v while a program held the VF", err)
	}
	if _, err := c.Files.Lstat(host.Attr(vf, "vendor")); err != nil {
		c.Errorf("the VF is gone while a program held it: %v", err)
	}
	undo()
	c.await("the VF is gone", func() bool {
		_, err := c.Files.Lstat(c.attr("virtfn0"))
		return errors.Is(err, fs.ErrNotExist)
	})
	if n := c.numVFs(); n != 0 {
		c.Errorf("sriov_numvfs is %d", n)
	}
}

func showsHeld(c check) {
	c.load(vfio)
	vf := c.makeUnboundVFs(1)[0]
	c.write(host.Attr(vf, "driver_override"), vfio)
	c.probe(vf)
	c.awaitDriver(vf, vfio)
	opened := func() bool { return host.OpenedByUser(c.Files, vf) }
	c.settles("nobody has it open", func() bool { return !opened() })
	undo := c.pf.Hold(c.T, hw.VFRef{PF: c.pf.Addr, Index: 0})
	if !opened() {
		c.Error("a program has it open and nothing shows that")
	}
	undo()
	c.settles("nobody has it open any more", func() bool { return !opened() })
}

// settles waits for what the kernel does by itself and tells nobody.
func (c check) settles(what string, holds func() bool) {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), patience)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			c.Fatalf("waited %s and this did not come true: %s", patience, what)
		case <-again.C:
		}
	}
}

func hidesTaken(c check) {
	vf := c.makeVFs(1)[0]
	link := c.awaitNetdev(vf)
	undo := c.pf.Take(c.T, hw.VFRef{PF: c.pf.Addr, Index: 0})
	c.await("the netdev is away", func() bool {
		names, err := host.Netdevs(c.Files, vf)
		_, listed := c.findLink(link.Name)
		return err == nil && len(names) == 0 && !listed
	})
	if got := c.driver(vf); got != c.pf.VFDriver {
		c.Errorf("its driver is %q", got)
	}
	undo()
	c.awaitNetdev(vf)
}

func loadsLater(c check) {
	c.pf.UnloadVFDriver(c.T)
	if _, err := c.Files.Lstat(path.Join("sys/bus/pci/drivers", c.pf.VFDriver)); !errors.Is(err, fs.ErrNotExist) {
		c.Fatalf("the driver is still registered: %v", err)
	}
	c.setNumVFs(2)
	c.load(c.pf.VFModule)
	for _, vf := range c.vfs(2) {
		c.probe(vf)
		c.awaitDriver(vf, c.pf.VFDriver)
		c.awaitNetdev(vf)
	}
}

func loadsModules(c check) {
	for range 2 {
		if err := c.Modules.Load(c.Context(), c.pf.VFModule); err != nil {
			c.Error(err)
		}
	}
	if _, err := c.Files.Lstat(path.Join("sys/bus/pci/drivers", c.pf.VFDriver)); err != nil {
		c.Error(err)
	}
	if err := c.Modules.Load(c.Context(), "no_such_module_for_sure"); err == nil {
		c.Error("an unknown module was loaded")
	}
}

func unboundPF(c check) {
	own := c.driver(c.pf.Addr)
	c.unbind(c.pf.Addr)
	// drivers/pci/iov.c, sriov_numvfs_store: no driver, or one without a hook.
	c.refused(c.attr("sriov_numvfs"), "1", syscall.ENOENT)
	c.setNumVFs(0)
	c.probe(c.pf.Addr)
	c.awaitDriver(c.pf.Addr, own)
	c.awaitNetdev(c.pf.Addr)
	// It appears by the kernel's name, and what comes next finds it by its name.
	if err := c.Udev.Settle(c.Context()); err != nil {
		c.Fatal(err)
	}
}

func writesOnlyWhatIs(c check) {
	c.refused(c.attr("no_such_attribute"), "1", fs.ErrNotExist)
	// An implementation may take names below sys/ only.
	if err := c.Attrs.WriteAttr(c.Context(), "etc/sriov-contract-none", "1"); err == nil {
		c.Error("a missing file of etc was written")
	}
	if _, err := c.Files.Lstat("etc/sriov-contract-none"); !errors.Is(err, fs.ErrNotExist) {
		c.Errorf("the file was made: %v", err)
	}
	c.refused(c.attr("vendor"), "0x1234", syscall.EACCES)
	gone := hw.VFRef{PF: c.pf.Addr, Index: 0}
	if _, err := host.VFAddr(c.Files, gone); !errors.Is(err, fs.ErrNotExist) {
		c.Errorf("VF 0 of a clean PF: %v", err)
	}
}
