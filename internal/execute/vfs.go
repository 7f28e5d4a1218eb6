// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package execute

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
)

func (h hands) setAdminMACs(a plan.SetAdminMACs) deed {
	return deed{do: func(ctx context.Context) error {
		dev, err := h.await(ctx, h.pf(a.PF))
		if err != nil {
			return err
		}
		return h.assignMACs(ctx, dev, a.MACs)
	}}
}

// assignMACs sets one MAC after another: each holds the kernel's one lock for
// netdevs anyway. It does not look before: some PFs list the address that a VF
// chose for itself as if they had assigned it.
func (h hands) assignMACs(ctx context.Context, dev netdev, macs []plan.VFMAC) error {
	for _, m := range macs {
		if err := h.host.LinkCtl.SetVFMAC(ctx, dev.index, m.VF, m.MAC); err != nil {
			return fmt.Errorf("set the admin MAC of VF %d to %s: %w", m.VF, m.MAC, err)
		}
	}
	return h.bell.until(ctx, func() (holds, error) {
		missing, err := h.missingMACs(ctx, dev.index, macs)
		if errors.Is(err, host.ErrUnsupported) {
			return holds{yes: true}, nil // a PF with very many VFs cannot tell
		}
		return holds{
			yes:  len(missing) == 0,
			view: fmt.Sprintf("%d of %d VFs have another admin MAC", len(missing), len(macs)),
		}, err
	})
}

// missingMACs are those that the PF does not have yet.
func (h hands) missingMACs(ctx context.Context, pfIndex int, macs []plan.VFMAC) ([]plan.VFMAC, error) {
	have, err := h.host.Links.VFs(ctx, pfIndex)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(macs), func(m plan.VFMAC) bool {
		return slices.Contains(have, host.VFLink{Index: m.VF, AdminMAC: m.MAC})
	}), nil
}

func (h hands) setGUIDs(a plan.SetGUIDs) deed {
	// The kernel shows a VF's GUID only once its RDMA device exists.
	return deed{do: func(ctx context.Context) error {
		dev, err := h.await(ctx, h.pf(a.PF))
		if err != nil {
			return err
		}
		for _, g := range a.GUIDs {
			if err := h.host.LinkCtl.SetVFGUID(ctx, dev.index, g.VF, g.GUID); err != nil {
				return fmt.Errorf("set the GUIDs of VF %d to %s: %w", g.VF, g.GUID, err)
			}
		}
		return nil
	}}
}

// vfDrivers looks at the drivers of VFs until all of them are right.
func (h hands) vfDrivers(pf hw.PCIAddr, vfs []int, right func(driver string) bool) func() (holds, error) {
	return func() (holds, error) {
		var wrong []int
		seen := ""
		for _, i := range vfs {
			driver, err := h.vfDriver(hw.VFRef{PF: pf, Index: i})
			if err != nil {
				return holds{}, err
			}
			if !right(driver) {
				wrong, seen = append(wrong, i), driver
			}
		}
		if seen == "" {
			seen = "no driver"
		}
		return holds{yes: len(wrong) == 0, view: fmt.Sprintf("VFs %s have %s", hw.FormatIndices(wrong), seen)}, nil
	}
}

func (h hands) vfDriver(vf hw.VFRef) (string, error) {
	addr, err := host.VFAddr(h.host.Files, vf)
	if err != nil {
		return "", err
	}
	return host.Driver(h.host.Files, addr)
}

func (h hands) unbindVFs(a plan.UnbindVFs) deed {
	return deed{
		look: h.vfDrivers(a.PF, a.VFs, func(driver string) bool { return driver == "" }),
		do: func(ctx context.Context) error {
			return each(a.VFs, func(i int) error {
				addr, err := host.VFAddr(h.host.Files, hw.VFRef{PF: a.PF, Index: i})
				if err != nil {
					return err
				}
				return h.unbind(ctx, i, addr)
			})
		},
	}
}

func (h hands) unbind(ctx context.Context, index int, addr hw.PCIAddr) error {
	driver, err := host.Driver(h.host.Files, addr)
	if err != nil || driver == "" {
		return err
	}
	if err := h.host.Attrs.WriteAttr(ctx, path.Join("sys/bus/pci/drivers", driver, "unbind"), addr.String()); err != nil {
		return fmt.Errorf("take VF %d (%s) from %s: %w", index, addr, driver, err)
	}
	return nil
}

func (h hands) bindVFs(a plan.BindVFs) deed {
	right := hw.KernelDriver
	if a.Driver != "" {
		right = func(driver string) bool { return driver == a.Driver }
	}
	return deed{
		look:     h.vfDrivers(a.PF, a.VFs, right),
		patience: probing,
		do: func(ctx context.Context) error {
			return each(a.VFs, func(i int) error { return h.bind(ctx, hw.VFRef{PF: a.PF, Index: i}, a.Driver, right) })
		},
	}
}

// probing is how long VFs may be without a driver after the kernel was told to look for
// one. It probes before the write returns (drivers/base/bus.c, drivers_probe_store), so only
// a module can be on its way.
const probing = time.Minute

// noOverride clears a driver_override: the kernel drops a lone newline
// (drivers/base/driver.c, driver_set_override).
const noOverride = "\n"

func (h hands) bind(ctx context.Context, vf hw.VFRef, driver string, right func(string) bool) error {
	addr, err := host.VFAddr(h.host.Files, vf)
	if err != nil {
		return err
	}
	have, err := host.Driver(h.host.Files, addr)
	if err != nil || right(have) {
		return err
	}
	if err := h.registered(driver); err != nil {
		return fmt.Errorf("bind VF %d (%s): %w", vf.Index, addr, err)
	}
	if err := h.override(ctx, addr, driver); err != nil {
		return err
	}
	if err := h.unbind(ctx, vf.Index, addr); err != nil {
		return err
	}
	if err := h.host.Attrs.WriteAttr(ctx, "sys/bus/pci/drivers_probe", addr.String()); err != nil {
		return fmt.Errorf("probe a driver for VF %d (%s): %w", vf.Index, addr, err)
	}
	return nil
}

// registered wants a driver that is asked for by name to be there. The steps that load
// modules are over by now: to wait for one would be in vain.
func (h hands) registered(driver string) error {
	if driver == "" {
		return nil
	}
	if _, err := h.host.Files.Lstat(path.Join("sys/bus/pci/drivers", driver)); err != nil {
		return fmt.Errorf("the kernel has no driver %s, see why its module is not loaded: %w", driver, err)
	}
	return nil
}

// override chooses the driver that may probe a function; the empty one leaves the
// choice to the kernel.
func (h hands) override(ctx context.Context, addr hw.PCIAddr, driver string) error {
	attr := host.Attr(addr, "driver_override")
	have, err := host.ReadAttr(h.host.Files, attr)
	if err != nil {
		return err
	}
	if have == "(null)" {
		have = ""
	}
	if have == driver {
		return nil
	}
	value := driver
	if value == "" {
		value = noOverride
	}
	if err := h.host.Attrs.WriteAttr(ctx, attr, value); err != nil {
		return fmt.Errorf("choose driver %q for %s: %w", driver, addr, err)
	}
	return nil
}

func (h hands) setVFMTU(a plan.SetVFMTU) deed {
	ones := make([]deed, 0, len(a.VFs))
	for _, i := range a.VFs {
		ones = append(ones, h.setOneVFMTU(hw.VFRef{PF: a.PF, Index: i}, a.MTU))
	}
	return deed{
		look: func() (holds, error) {
			for _, one := range ones {
				if is, err := one.look(); err != nil || !is.yes {
					return is, err
				}
			}
			return holds{yes: true}, nil
		},
		do: func(ctx context.Context) error {
			for _, one := range ones {
				if err := one.do(ctx); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (h hands) setOneVFMTU(ref hw.VFRef, mtu int) deed {
	return h.on(h.vf(ref),
		func(dev netdev) (holds, error) { return h.mtuIs(dev, mtu) },
		func(ctx context.Context, dev netdev) error {
			if err := h.host.LinkCtl.SetMTU(ctx, dev.index, mtu); err != nil {
				return fmt.Errorf("set the MTU of VF %d (%s) to %d: %w", ref.Index, dev.name, mtu, err)
			}
			return nil
		},
	)
}

func (h hands) createVDPA(a plan.CreateVDPA) deed {
	return deed{
		look: h.vdpaDevices(a.PF, a.VFs, func(vf hw.PCIAddr) (bool, error) {
			driver, err := host.VDPADriver(h.host.Files, vf)
			return driver == string(a.Type)+"_vdpa", err
		}),
		do: func(ctx context.Context) error {
			return h.eachAddr(a.PF, a.VFs, func(vf hw.PCIAddr) error { return h.host.VDPA.Create(ctx, vf, a.Type) })
		},
	}
}

func (h hands) deleteVDPA(a plan.DeleteVDPA) deed {
	return deed{
		look: h.vdpaDevices(a.PF, a.VFs, func(vf hw.PCIAddr) (bool, error) {
			_, err := h.host.Files.Lstat(host.VDPADevice(vf))
			if errors.Is(err, fs.ErrNotExist) {
				return true, nil
			}
			return false, err
		}),
		do: func(ctx context.Context) error {
			return h.eachAddr(a.PF, a.VFs, func(vf hw.PCIAddr) error { return h.host.VDPA.Delete(ctx, vf) })
		},
	}
}

// vdpaDevices looks at the vDPA devices of VFs until all of them are right.
func (h hands) vdpaDevices(pf hw.PCIAddr, vfs []int, right func(hw.PCIAddr) (bool, error)) func() (holds, error) {
	return func() (holds, error) {
		var wrong []int
		for _, i := range vfs {
			vf, err := host.VFAddr(h.host.Files, hw.VFRef{PF: pf, Index: i})
			if err != nil {
				return holds{}, err
			}
			yes, err := right(vf)
			if err != nil {
				return holds{}, err
			}
			if !yes {
				wrong = append(wrong, i)
			}
		}
		return holds{yes: len(wrong) == 0, view: fmt.Sprintf("the vDPA devices of VFs %s are not as asked", hw.FormatIndices(wrong))}, nil
	}
}

// eachAddr is each with the VFs' addresses of now.
func (h hands) eachAddr(pf hw.PCIAddr, vfs []int, do func(hw.PCIAddr) error) error {
	return each(vfs, func(i int) error {
		vf, err := host.VFAddr(h.host.Files, hw.VFRef{PF: pf, Index: i})
		if err != nil {
			return err
		}
		return do(vf)
	})
}
