// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// steeringParam is the devlink parameter of mlx5 that chooses who manages flow
// steering.
const steeringParam = "flow_steering_mode"

// devlink is the door to devlink, RDMA and vDPA.
type devlink struct{ m *Machine }

var (
	_ host.DevlinkReader  = devlink{}
	_ host.DevlinkControl = devlink{}
	_ host.RDMAReader     = devlink{}
	_ host.VDPAControl    = devlink{}
)

// NetnsMode implements host.RDMAReader.
func (d devlink) NetnsMode(ctx context.Context) (hw.RDMAMode, error) {
	if err := d.m.lookCtx(ctx, "rdma"); err != nil {
		return "", fmt.Errorf("read the RDMA namespace mode: %w", err)
	}
	defer d.m.mu.Unlock()
	if d.m.rdma == "" {
		return "", fmt.Errorf("read the RDMA namespace mode: %w", host.ErrUnsupported)
	}
	return d.m.rdma, nil
}

// EswitchMode implements host.DevlinkReader.
func (d devlink) EswitchMode(ctx context.Context, dev hw.PCIAddr) (hw.EswitchMode, error) {
	if err := d.m.lookCtx(ctx, "devlink:"+dev.String()+"/eswitch"); err != nil {
		return "", fmt.Errorf("read the eSwitch mode of %s: %w", dev, err)
	}
	defer d.m.mu.Unlock()
	f := d.m.functions[dev]
	if !offersEswitch(f) {
		return "", fmt.Errorf("read the eSwitch mode of %s: %w", dev, host.ErrUnsupported)
	}
	return f.sriov.eswitch, nil
}

// offersEswitch: a PF of the right model, bound to its driver, on Ethernet
// (mlx5/core/eswitch.c, mlx5_eswitch_check).
func offersEswitch(f *function) bool {
	return f != nil && f.sriov != nil && f.driver == f.model.driver && f.driver != "" &&
		f.model.eswitch != eswitchAbsent && f.sriov.linkType == hw.LinkEthernet
}

// Param implements host.DevlinkReader.
func (d devlink) Param(ctx context.Context, dev hw.PCIAddr, name string) (string, error) {
	if err := d.m.lookCtx(ctx, "devlink:"+dev.String()+"/param/"+name); err != nil {
		return "", fmt.Errorf("read the devlink parameter %s of %s: %w", name, dev, err)
	}
	defer d.m.mu.Unlock()
	f := d.m.functions[dev]
	if !offersEswitch(f) || f.sriov.steering == "" || name != steeringParam {
		return "", fmt.Errorf("read the devlink parameter %s of %s: %w", name, dev, host.ErrUnsupported)
	}
	return f.sriov.steering, nil
}

// SetEswitchMode implements host.DevlinkControl.
func (d devlink) SetEswitchMode(ctx context.Context, dev hw.PCIAddr, mode hw.EswitchMode) error {
	err := d.m.change(ctx, func(c *clock) error { return d.m.setEswitch(c, dev, mode) }, "devlink:"+dev.String()+"/eswitch")
	if err != nil {
		return fmt.Errorf("set the eSwitch mode of %s to %s: %w", dev, mode, err)
	}
	return nil
}

func (m *Machine) setEswitch(c *clock, dev hw.PCIAddr, mode hw.EswitchMode) error {
	m.mu.Lock()
	f := m.functions[dev]
	ok := offersEswitch(f)
	m.mu.Unlock()
	if !ok {
		return host.ErrUnsupported
	}
	if mode != hw.EswitchLegacy && mode != hw.EswitchSwitchdev {
		return syscall.EINVAL
	}
	c.acquire(f.lock)
	defer c.release(f.lock)
	m.mu.Lock()
	same, refused, n := f.sriov.eswitch == mode, eswitchRefusal(f), f.sriov.num
	m.mu.Unlock()
	if same {
		return nil
	}
	if refused != nil {
		return refused
	}
	takes := m.takes()
	c.pass(takes.Eswitch + takes.EswitchVF*time.Duration(n))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dropRepresentors(f)
	f.sriov.eswitch = mode
	m.markSwitch(f)
	m.makeRepresentors(f)
	return nil
}

// eswitchRefusal is why the driver does not change its eSwitch's mode now; nil
// if it does.
func eswitchRefusal(f *function) error {
	switch f.model.eswitch {
	case eswitchAbsent:
		return host.ErrUnsupported
	case eswitchEmpty:
		// drivers/net/ethernet/intel/ice/ice_eswitch.c, ice_eswitch_mode_set:
		// "allowed only if there is no VFs created".
		if f.sriov.num > 0 {
			return syscall.EOPNOTSUPP
		}
	case eswitchIdle:
		// mlx5/core/eswitch_offloads.c: the firmware makes no switchdev tables
		// while a VF is initialized.
		if slices.ContainsFunc(f.sriov.vfs, func(vf *function) bool { return vf != nil && vf.driver != "" }) {
			return syscall.EBUSY
		}
	}
	return nil
}

// SetParam implements host.DevlinkControl.
func (d devlink) SetParam(ctx context.Context, dev hw.PCIAddr, name, value string) error {
	err := d.m.change(ctx, func(c *clock) error {
		c.pass(d.m.takes().Param)
		d.m.mu.Lock()
		defer d.m.mu.Unlock()
		f := d.m.functions[dev]
		switch {
		case !offersEswitch(f) || f.sriov.steering == "" || name != steeringParam:
			return host.ErrUnsupported
		case value != "dmfs" && value != "smfs":
			return syscall.EINVAL
		case f.sriov.eswitch == hw.EswitchSwitchdev:
			return syscall.EOPNOTSUPP // mlx5/core/fs_core.c, mlx5_fs_mode_validate
		}
		f.sriov.steering = value
		d.m.emit(host.Event{Source: host.FromDevlink, Action: "change", Subsystem: "devlink", Path: f.dir}, nil, nil)
		return nil
	}, "devlink:"+dev.String()+"/param/"+name)
	if err != nil {
		return fmt.Errorf("set the devlink parameter %s of %s to %s: %w", name, dev, value, err)
	}
	return nil
}

// markSwitch gives the PF's netdev the identity of its switch, which is there in
// switchdev mode only. m.mu is held.
func (m *Machine) markSwitch(pf *function) {
	if nd := m.netdevOf(pf); nd != nil {
		nd.switchID = switchID(pf)
	}
}

// switchID is one per PF and empty in legacy mode.
func switchID(pf *function) string {
	if pf.sriov.eswitch != hw.EswitchSwitchdev {
		return ""
	}
	a := pf.addr
	return fmt.Sprintf("e5%08x%02x%02x%02x", a.Domain, a.Bus, a.Device, a.Function)
}

// makeRepresentors makes a netdev per VF under the PF, in switchdev mode. Their
// port names are those of net/devlink/port.c. m.mu is held.
func (m *Machine) makeRepresentors(pf *function) {
	if pf.sriov.eswitch != hw.EswitchSwitchdev {
		return
	}
	for i := range pf.sriov.num {
		m.addNetdev(&netdev{
			Link:  host.Link{MAC: randomMAC(pf.sriov.vfs[i]), MTU: 1500, MaxMTU: pf.model.maxMTU, Encap: "ether"},
			owner: pf, rep: i, port: fmt.Sprintf("pf%dvf%d", pf.addr.Function, i), switchID: switchID(pf), tc: hw.FeatureOn,
		})
	}
}

func (m *Machine) dropRepresentors(pf *function) {
	for _, nd := range slices.Clone(pf.netdevs) {
		if nd.rep >= 0 {
			m.dropNetdev(nd)
		}
	}
}

// Create implements host.VDPAControl.
func (d devlink) Create(ctx context.Context, vf hw.PCIAddr, t hw.VDPAType) error {
	err := d.m.change(ctx, func(c *clock) error {
		c.pass(d.m.takes().VDPA)
		d.m.mu.Lock()
		defer d.m.mu.Unlock()
		f := d.m.functions[vf]
		driver := vdpaDriver(t)
		switch {
		case driver == "":
			return syscall.EINVAL
		case f == nil || f.vf == nil || f.driver != "mlx5_core" || !d.m.loaded[mlx5VDPA] || f.vf.pf.sriov.eswitch != hw.EswitchSwitchdev:
			return syscall.ENODEV // drivers/vdpa/vdpa.c: no such management device
		case !d.m.drivers[driver]:
			return syscall.ENOENT
		case f.vdpa == t:
			return nil
		}
		f.vdpa = t
		d.m.emit(host.Event{Source: host.FromKernel, Action: "add", Subsystem: "vdpa", Path: f.dir + "/vdpa:" + vf.String()}, nil, nil)
		return nil
	}, "vdpa:"+vf.String()+"/create")
	if err != nil {
		return fmt.Errorf("make the vDPA device of %s: %w", vf, err)
	}
	return nil
}

// Delete implements host.VDPAControl.
func (d devlink) Delete(ctx context.Context, vf hw.PCIAddr) error {
	err := d.m.change(ctx, func(c *clock) error {
		c.pass(d.m.takes().VDPA)
		d.m.mu.Lock()
		defer d.m.mu.Unlock()
		if f := d.m.functions[vf]; f != nil && f.vdpa != hw.VDPANone {
			f.vdpa = hw.VDPANone
			d.m.emit(host.Event{Source: host.FromKernel, Action: "remove", Subsystem: "vdpa", Path: f.dir + "/vdpa:" + vf.String()}, nil, nil)
		}
		return nil
	}, "vdpa:"+vf.String()+"/delete")
	if err != nil {
		return fmt.Errorf("remove the vDPA device of %s: %w", vf, err)
	}
	return nil
}

func vdpaDriver(t hw.VDPAType) string {
	switch t {
	case hw.VDPAVhost:
		return vhostVDPA
	case hw.VDPAVirtio:
		return virtioVDPA
	case hw.VDPANone:
	}
	return ""
}
