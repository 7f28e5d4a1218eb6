// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"
	"strings"

	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/disruption"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

// vfioDriver hands a PCI function to userspace.
const vfioDriver = "vfio-pci"

// modules loads what the PF's VFs need and the machine does not have: nothing is
// loaded because it might be of use.
func (p *pfPlan) modules() {
	if p.want.NumVFs == 0 && !p.saw.Virtual {
		return
	}
	kernel, vfio := !p.saw.Virtual && len(p.want.Groups) == 0, false
	for _, g := range p.want.Groups {
		kernel = kernel || g.Driver == desired.Kernel
		vfio = vfio || g.Driver == desired.VFIO
		p.vdpaModule(g)
		if g.VhostNet {
			p.miscModule("vhost_net", "vhost-net", g)
			p.miscModule("tun", "tun", g)
		}
	}
	kernel = kernel || covered(p.want) < p.want.NumVFs
	if module := p.traits.VFModule; kernel && module != "" {
		p.module(module, p.traits.VFDriver, "VFs of "+p.saw.Driver)
	}
	switch {
	case vfio && p.iommu:
		p.module("vfio_pci", vfioDriver, "deviceType vfio-pci")
	case vfio && p.vfio == nextBoot:
		p.loaded = append(p.loaded, "vfio_pci")
	}
}

// covered is the number of VFs that are in a group.
func covered(pf desired.PF) int {
	n := 0
	for _, g := range pf.Groups {
		n += g.Range.Len()
	}
	return n
}

func (p *pfPlan) module(module, driver, whose string) {
	if driver != p.saw.Driver || p.saw.Virtual { // else the PF itself loads it
		p.loaded = append(p.loaded, module)
	}
	if !slices.Contains(p.drivers, driver) {
		p.before = append(p.before, Step{Do: LoadModule{Module: module},
			Why: reason.Because(reason.ModuleMissing, "%s: driver %s is not loaded", whose, driver)})
	}
}

// miscModule loads what makes a device of the kernel that pods are given with VFs.
func (p *pfPlan) miscModule(module, device string, g desired.Group) {
	p.loaded = append(p.loaded, module)
	if !slices.Contains(p.misc, device) {
		p.before = append(p.before, Step{Do: LoadModule{Module: module},
			Why: reason.Because(reason.ModuleMissing, "policy %s needs %s: module %s is not loaded", g.Policy, device, module)})
	}
}

func (p *pfPlan) vdpaModule(g desired.Group) {
	driver := vdpaDriver(g.VDPA)
	if driver == "" {
		return
	}
	p.loaded = append(p.loaded, driver)
	if p.traits.VDPAModule != "" {
		p.loaded = append(p.loaded, p.traits.VDPAModule)
	}
	if !slices.Contains(p.vdpa, driver) {
		p.before = append(p.before, Step{Do: LoadModule{Module: driver},
			Why: reason.Because(reason.ModuleMissing, "vdpaType %s: driver %s is not loaded", g.VDPA, driver)})
	}
}

func vdpaDriver(t hw.VDPAType) string {
	switch t {
	case hw.VDPAVhost:
		return "vhost_vdpa"
	case hw.VDPAVirtio:
		return "virtio_vdpa"
	case hw.VDPANone:
	}
	return ""
}

// port brings the PF's own netdev into shape.
func (p *pfPlan) port() {
	saw, want := p.saw, p.want
	if !p.upAfterCount() {
		p.up()
	}
	p.mtu()
	if want.Eswitch == hw.EswitchSwitchdev && saw.TCOffload == hw.FeatureOff {
		p.step(EnableTCOffload{PF: saw.Addr}, reason.OffloadOff, "hw-tc-offload of %s is off and switchdev needs it", saw.Netdev)
	}
}

// upAfterCount reports whether the PF's netdev is better set up when the VFs are
// there: a driver that resets the PF for a new number of VFs closes and opens a
// netdev that is up, which takes igb as long again as the VFs do (igb_main.c,
// igb_sriov_reinit).
func (p *pfPlan) upAfterCount() bool {
	return p.traits.CountDisturbsLink && !p.traits.CountNeedsUp && !p.traits.OrderAssumed
}

// up sets the PF's netdev up, if it is not. A VF keeps its admin MAC over a rebind
// only if the PF was up when the VF was probed (igb), so it is up before VFs are
// bound.
func (p *pfPlan) up() {
	if !p.saw.AdminUp {
		p.step(SetLinkUp{PF: p.saw.Addr}, reason.LinkDown, "%s is down", p.saw.Netdev)
		p.saw.AdminUp = true
	}
}

func (p *pfPlan) mtu() {
	present, ok := p.saw.MTU.Get()
	if !ok {
		if p.want.MTU > 0 {
			p.block(reason.MTUUnreadable, "%s: %s", p.saw.Netdev, p.saw.MTU.Unknown)
		}
		return
	}
	target := mtuTarget(p.want.MTU, present, p.record)
	if p.saw.MaxMTU > 0 && target > p.saw.MaxMTU {
		p.block(reason.MTUTooLarge, "%s: asked for MTU %d, driver %s takes at most %d", p.saw.Netdev, target, p.saw.Driver, p.saw.MaxMTU)
		p.mostMTU = p.saw.MaxMTU
		return
	}
	if p.want.MTU > 0 && target > p.want.MTU {
		p.notice(reason.MTUKept, "%s: asked for MTU %d, its owner set %d", p.saw.Netdev, p.want.MTU, target)
	}
	if target != present {
		p.cut(SetMTU{PF: p.saw.Addr, From: present, To: target}, reason.MTUDiffers, "MTU is %d, asked for %d", present, target)
	}
}

// functions makes the number of VFs and the eSwitch's mode right, in the order
// that the driver needs.
func (p *pfPlan) functions() {
	mode := p.saw.Eswitch.Value
	count, change := p.saw.NumVFs != p.want.NumVFs, mode != p.want.Eswitch
	if change && p.traits.OrderAssumed {
		p.notice(reason.OrderingAssumed, "driver %s", p.saw.Driver)
	}
	switch {
	case !count && !change:
		p.autoprobe(p.saw.Autoprobe, p.want.NumVFs > 0)
	case p.traits.Order == catalog.ModeThenVFs && change:
		p.modeWithoutVFs()
	case count && mode == hw.EswitchSwitchdev && p.traits.RemadeInLegacy:
		p.remakeThroughLegacy()
	case count:
		p.resize(p.saw.NumVFs)
		if change {
			p.mode(mode, p.want.Eswitch, reason.EswitchModeDiffers)
		}
	default:
		p.modeWithVFs()
	}
}

// modeWithoutVFs changes the mode of an eSwitch that allows it only without VFs
// (drivers/net/ethernet/intel/ice/ice_eswitch.c, ice_eswitch_mode_set).
func (p *pfPlan) modeWithoutVFs() {
	from := p.saw.NumVFs
	if from > 0 {
		p.count(from, 0, reason.EswitchNeedsNoVFs, "driver %s changes its eSwitch mode only without VFs", p.saw.Driver)
	}
	p.mode(p.saw.Eswitch.Value, p.want.Eswitch, reason.EswitchModeDiffers)
	p.resize(0)
}

// remakeThroughLegacy changes the number of VFs of an eSwitch in switchdev mode.
func (p *pfPlan) remakeThroughLegacy() {
	if p.saw.NumVFs > 0 {
		p.count(p.saw.NumVFs, 0, reason.CountNeedsZero, "numVfs is %d, asked for %d", p.saw.NumVFs, p.want.NumVFs)
	}
	p.mode(hw.EswitchSwitchdev, hw.EswitchLegacy, reason.EswitchNeedsLegacy)
	p.resize(0)
	if p.want.Eswitch == hw.EswitchSwitchdev {
		p.mode(hw.EswitchLegacy, hw.EswitchSwitchdev, reason.EswitchModeDiffers)
	}
}

// modeWithVFs changes the mode and keeps the VFs, which must have no driver
// meanwhile (drivers/net/ethernet/mellanox/mlx5/core/eswitch_offloads.c).
func (p *pfPlan) modeWithVFs() {
	var bound []int
	for _, vf := range p.saw.VFs {
		if vf.VDPA != hw.VDPANone {
			p.take([]int{vf.Index}, DeleteVDPA{PF: p.saw.Addr, VFs: []int{vf.Index}}, reason.EswitchNeedsIdle, "the eSwitch mode changes")
		}
		if vf.Driver != "" {
			bound = append(bound, vf.Index)
		}
	}
	if len(bound) > 0 {
		p.take(bound, UnbindVFs{PF: p.saw.Addr, VFs: bound}, reason.EswitchNeedsIdle,
			"driver %s changes its eSwitch mode only while no VF has a driver", p.saw.Driver)
	}
	p.mode(p.saw.Eswitch.Value, p.want.Eswitch, reason.EswitchModeDiffers)
	p.autoprobe(p.saw.Autoprobe, p.want.NumVFs > 0)
	for i := range p.saw.VFs {
		p.saw.VFs[i].Driver, p.saw.VFs[i].VDPA = "", hw.VDPANone
	}
}

// resize makes the wanted number of VFs, through zero, without any of them
// probing a driver by itself. So it stays until they have their addresses, and
// those for userspace their driver: udev loads the kernel's driver for new VFs
// whenever it comes to it, and that would take every VF that it may probe.
func (p *pfPlan) resize(from int) {
	to := p.want.NumVFs
	auto := p.saw.Autoprobe
	if from > 0 {
		p.count(from, 0, reason.CountNeedsZero, "numVfs is %d, asked for %d", from, to)
	}
	p.fresh = true
	if to == 0 {
		p.autoprobe(auto, false)
		return
	}
	if auto {
		p.step(SetAutoprobe{PF: p.saw.Addr, On: false}, reason.BindOnce, "new VFs are bound once, to the driver they keep")
	}
	p.count(0, to, reason.CountDiffers, "asked for %d VFs", to)
	p.unprobed = true
}

// probe lets VFs probe drivers by themselves again.
func (p *pfPlan) probe() {
	if p.unprobed {
		p.step(SetAutoprobe{PF: p.saw.Addr, On: true}, reason.AutoprobeOff, "VFs that others make get a driver by themselves")
		p.unprobed = false
	}
}

// autoprobe restores what an interrupted run may have left off.
func (p *pfPlan) autoprobe(on, wanted bool) {
	if !on && (wanted || p.known) {
		p.step(SetAutoprobe{PF: p.saw.Addr, On: true}, reason.AutoprobeOff, "sriov_drivers_autoprobe is off")
	}
}

// count writes sriov_numvfs once.
func (p *pfPlan) count(from, to int, r reason.Reason, format string, args ...any) {
	s := Step{Do: SetNumVFs{PF: p.saw.Addr, From: from, To: to}, Why: reason.Because(r, format, args...)}
	if p.traits.CountDisturbsLink {
		s.Class, s.CutsLink = disruption.Link, true
	}
	if from > 0 {
		s.Class = disruption.Pods
		s.Takes = indices(from)
	}
	p.steps = append(p.steps, s)
}

// mode changes the eSwitch's mode, and the steering with it, which can be chosen
// in legacy mode only.
func (p *pfPlan) mode(from, to hw.EswitchMode, r reason.Reason) {
	if to == hw.EswitchSwitchdev && p.saw.SteeringMode != "" && p.traits.Steering.Name == hw.SteeringParam && p.saw.SteeringMode != p.traits.Steering.Value {
		p.step(SetSteering{PF: p.saw.Addr, Mode: p.traits.Steering.Value}, reason.SteeringDiffers,
			"%s is %s, switchdev is best with %s", hw.SteeringParam, p.saw.SteeringMode, p.traits.Steering.Value)
	}
	p.cut(SetEswitchMode{PF: p.saw.Addr, From: from, To: to}, r, "eSwitch mode is %s, asked for %s", from, to)
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func join(words []string) string { return strings.Join(words, ", ") }
