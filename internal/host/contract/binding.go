// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"syscall"
	"testing"
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
		{name: "a VF whose netdev is in another network namespace is bound and has no netdev", run: hidesTaken, needs: func(pf PF) bool { return pf.Take != nil }},
		{name: "a VF whose driver is not loaded is bound once it is", run: loadsLater, needs: func(pf PF) bool { return pf.UnloadVFDriver != nil }},
		{name: "a module is loaded once and an unknown one never", run: loadsModules},
		{name: "an attribute is never made by writing", run: writesOnlyWhatIs},
	}
}

func comesUnbound(t *testing.T, c check) {
	c.write(t, c.attr("sriov_drivers_autoprobe"), "0")
	if v, err := host.ReadInt(c.Files, c.attr("sriov_drivers_autoprobe")); err != nil || v != 0 {
		t.Errorf("sriov_drivers_autoprobe is %d, %v", v, err)
	}
	c.setNumVFs(t, 2)
	for _, vf := range c.vfs(t, 2) {
		if got := c.driver(t, vf); got != "" {
			t.Errorf("VF %s has driver %q", vf, got)
		}
	}
}

func bindsByOverrideOnly(t *testing.T, c check) {
	c.load(t, c.pf.VFModule)
	c.write(t, c.attr("sriov_drivers_autoprobe"), "0")
	c.setNumVFs(t, 1)
	vf := c.vfs(t, 1)[0]
	c.probe(t, vf)
	if got := c.driver(t, vf); got != "" {
		t.Errorf("drivers_probe bound it to %q", got)
	}
	c.refused(t, path.Join("sys/bus/pci/drivers", c.pf.VFDriver, "bind"), vf.String(), syscall.ENODEV)
	c.write(t, host.Attr(vf, "driver_override"), c.pf.VFDriver)
	c.probe(t, vf)
	c.awaitDriver(t, vf, c.pf.VFDriver)
}

func rebinds(t *testing.T, c check) {
	vf := c.makeVFs(t, 1)[0]
	first := c.awaitNetdev(t, vf)
	c.unbind(t, vf)
	if got := c.driver(t, vf); got != "" {
		t.Fatalf("unbind returned and it has driver %q", got)
	}
	if names, err := host.Netdevs(c.Files, vf); err != nil || len(names) != 0 {
		t.Errorf("unbind returned and it has netdevs %v, %v", names, err)
	}
	c.probe(t, vf)
	c.awaitDriver(t, vf, c.pf.VFDriver)
	if second := c.awaitNetdev(t, vf); second.Index == first.Index {
		t.Errorf("the new netdev has the old index %d", first.Index)
	}
}

func bindsOnce(t *testing.T, c check) {
	vf := c.makeVFs(t, 1)[0]
	before := c.awaitNetdev(t, vf)
	c.probe(t, vf)
	c.refused(t, path.Join("sys/bus/pci/drivers", c.pf.VFDriver, "bind"), vf.String(), syscall.EBUSY)
	if after := c.awaitNetdev(t, vf); after.Index != before.Index {
		t.Errorf("the netdev was made anew: index %d, then %d", before.Index, after.Index)
	}
}

func overrides(t *testing.T, c check) {
	vf := c.makeVFs(t, 1)[0]
	attr := host.Attr(vf, "driver_override")
	c.write(t, attr, "no-such-driver")
	if got, err := host.ReadAttr(c.Files, attr); err != nil || got != "no-such-driver" {
		t.Errorf("driver_override is %q, %v", got, err)
	}
	if got := c.driver(t, vf); got != c.pf.VFDriver {
		t.Errorf("the override alone changed the driver to %q", got)
	}
	c.unbind(t, vf)
	c.probe(t, vf)
	if got := c.driver(t, vf); got != "" {
		t.Errorf("it has driver %q in spite of the override", got)
	}
	c.refused(t, path.Join("sys/bus/pci/drivers", c.pf.VFDriver, "bind"), vf.String(), syscall.ENODEV)
	c.write(t, attr, "\n")
	if got, err := host.ReadAttr(c.Files, attr); err != nil || got != "(null)" {
		t.Errorf("the cleared driver_override is %q, %v", got, err)
	}
	c.probe(t, vf)
	c.awaitDriver(t, vf, c.pf.VFDriver)
}

func bindsNothingUnknown(t *testing.T, c check) {
	vf := c.makeVFs(t, 1)[0]
	c.setNumVFs(t, 0)
	for _, name := range []string{"sys/bus/pci/drivers_probe", path.Join("sys/bus/pci/drivers", c.pf.VFDriver, "bind"), path.Join("sys/bus/pci/drivers", c.pf.VFDriver, "unbind")} {
		c.refused(t, name, vf.String(), syscall.ENODEV)
	}
}

func vfioAndBack(t *testing.T, c check) {
	c.load(t, vfio)
	vfs := c.makeVFs(t, 2)
	vf, other := vfs[0], c.awaitNetdev(t, vfs[1])
	c.refused(t, path.Join("sys/bus/pci/drivers", vfio, "unbind"), vf.String(), syscall.ENODEV)
	c.refused(t, path.Join("sys/bus/pci/drivers", vfio, "bind"), vf.String(), syscall.ENODEV)
	c.write(t, host.Attr(vf, "driver_override"), vfio)
	c.unbind(t, vf)
	c.probe(t, vf)
	c.awaitDriver(t, vf, vfio)
	c.write(t, host.Attr(vf, "driver_override"), "\n")
	if got := c.driver(t, vf); got != vfio {
		t.Errorf("clearing the override changed the driver to %q", got)
	}
	group, err := host.LinkBase(c.Files, host.Attr(vf, "iommu_group"))
	if err != nil || group == "" {
		t.Errorf("its IOMMU group is %q, %v", group, err)
	}
	if names, err := host.Netdevs(c.Files, vf); err != nil || len(names) != 0 {
		t.Errorf("on vfio-pci it has netdevs %v, %v", names, err)
	}
	c.unbind(t, vf)
	c.probe(t, vf)
	c.awaitDriver(t, vf, c.pf.VFDriver)
	c.awaitNetdev(t, vf)
	if after := c.awaitNetdev(t, vfs[1]); after.Index != other.Index {
		t.Errorf("the other VF's netdev was made anew")
	}
}

func vfioFirst(t *testing.T, c check) {
	c.load(t, vfio)
	vf := c.makeUnboundVFs(t, 1)[0]
	c.write(t, host.Attr(vf, "driver_override"), vfio)
	c.probe(t, vf)
	c.awaitDriver(t, vf, vfio)
	c.write(t, host.Attr(vf, "driver_override"), "\n")
	c.setNumVFs(t, 0)
	c.makeVFs(t, 1) // the next VF remembers nothing
}

func vfioNeedsIOMMU(t *testing.T, c check) {
	c.load(t, vfio)
	vf := c.makeUnboundVFs(t, 1)[0]
	if group, err := host.LinkBase(c.Files, host.Attr(vf, "iommu_group")); err != nil || group != "" {
		t.Errorf("its IOMMU group is %q, %v", group, err)
	}
	c.write(t, host.Attr(vf, "driver_override"), vfio)
	c.probe(t, vf)
	if got := c.driver(t, vf); got != "" {
		t.Errorf("it has driver %q", got)
	}
	c.refused(t, path.Join("sys/bus/pci/drivers", vfio, "bind"), vf.String(), syscall.EINVAL)
}

func removesHeld(t *testing.T, c check) {
	c.load(t, vfio)
	vf := c.makeUnboundVFs(t, 1)[0]
	c.write(t, host.Attr(vf, "driver_override"), vfio)
	c.probe(t, vf)
	c.awaitDriver(t, vf, vfio)
	undo := c.pf.Hold(t, hw.VFRef{PF: c.pf.Addr, Index: 0})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := c.Attrs.WriteAttr(ctx, c.attr("sriov_numvfs"), "0"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the write answered %v while a program held the VF", err)
	}
	if _, err := c.Files.Lstat(host.Attr(vf, "vendor")); err != nil {
		t.Errorf("the VF is gone while a program held it: %v", err)
	}
	undo()
	c.await(t, "the VF is gone", func() bool {
		_, err := c.Files.Lstat(c.attr("virtfn0"))
		return errors.Is(err, fs.ErrNotExist)
	})
	if n := c.numVFs(t); n != 0 {
		t.Errorf("sriov_numvfs is %d", n)
	}
}

func hidesTaken(t *testing.T, c check) {
	vf := c.makeVFs(t, 1)[0]
	link := c.awaitNetdev(t, vf)
	undo := c.pf.Take(t, hw.VFRef{PF: c.pf.Addr, Index: 0})
	c.await(t, "the netdev is away", func() bool {
		names, err := host.Netdevs(c.Files, vf)
		_, listed := c.findLink(t, link.Name)
		return err == nil && len(names) == 0 && !listed
	})
	if got := c.driver(t, vf); got != c.pf.VFDriver {
		t.Errorf("its driver is %q", got)
	}
	undo()
	c.awaitNetdev(t, vf)
}

func loadsLater(t *testing.T, c check) {
	c.pf.UnloadVFDriver(t)
	if _, err := c.Files.Lstat(path.Join("sys/bus/pci/drivers", c.pf.VFDriver)); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the driver is still registered: %v", err)
	}
	c.setNumVFs(t, 2)
	c.load(t, c.pf.VFModule)
	for _, vf := range c.vfs(t, 2) {
		c.probe(t, vf)
		c.awaitDriver(t, vf, c.pf.VFDriver)
		c.awaitNetdev(t, vf)
	}
}

func loadsModules(t *testing.T, c check) {
	for range 2 {
		if err := c.Modules.Load(t.Context(), c.pf.VFModule); err != nil {
			t.Error(err)
		}
	}
	if _, err := c.Files.Lstat(path.Join("sys/bus/pci/drivers", c.pf.VFDriver)); err != nil {
		t.Error(err)
	}
	if err := c.Modules.Load(t.Context(), "no_such_module_for_sure"); err == nil {
		t.Error("an unknown module was loaded")
	}
}

func writesOnlyWhatIs(t *testing.T, c check) {
	c.refused(t, c.attr("no_such_attribute"), "1", fs.ErrNotExist)
	// An implementation may take names below sys/ only.
	if err := c.Attrs.WriteAttr(t.Context(), "etc/sriov-contract-none", "1"); err == nil {
		t.Error("a missing file of etc was written")
	}
	if _, err := c.Files.Lstat("etc/sriov-contract-none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file was made: %v", err)
	}
	c.refused(t, c.attr("vendor"), "0x1234", syscall.EACCES)
	gone := hw.VFRef{PF: c.pf.Addr, Index: 0}
	if _, err := host.VFAddr(c.Files, gone); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("VF 0 of a clean PF: %v", err)
	}
}
