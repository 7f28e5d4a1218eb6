// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/disruption"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

// pfPlan is the plan for one PF while it is being made.
type pfPlan struct {
	want desired.PF
	// looked is what was observed; saw begins so and follows the steps planned.
	looked hw.PF
	saw    hw.PF
	record Record // what is remembered
	known  bool   // whether anything is
	claim  Record // what is to be remembered
	traits catalog.DriverTraits
	// bifurcated says that the NIC serves userspace through its kernel driver.
	bifurcated bool
	// drivers are those that the machine has registered; iommu says whether
	// vfio-pci could bind.
	drivers []string
	vdpa    []string
	misc    []string
	iommu   bool
	// vfio is what becomes of VFs for vfio-pci, and hitch why they cannot be had.
	vfio  prospect
	hitch reason.Why
	// waits says that the PF waits for the machine's next boot.
	waits bool
	// loaded are the modules that the PF's VFs need, loaded already or not.
	loaded []string
	files  map[string]string

	// fresh says that all VFs will be new: the count changes or passes zero.
	fresh bool
	// unprobed says that new VFs do not probe drivers by themselves until probe.
	unprobed bool
	// mostMTU is the most that the driver takes, when more was asked for.
	mostMTU int

	before, steps    []Step
	blocked, notices []Blocker
}

func newPFPlan(want desired.PF, saw hw.PF, last Memory, nics catalog.Table, inv hw.Inventory) *pfPlan {
	rec, known := last[saw.Addr]
	looked := saw
	saw.VFs = slices.Clone(saw.VFs) // planned states are written into it
	return &pfPlan{
		want: want, saw: saw, looked: looked, record: rec, known: known, claim: nextRecord(want, saw, rec, known),
		traits: nics.Driver(saw.Driver), bifurcated: nics.Bifurcated(saw.VendorID), drivers: inv.PCIDrivers, vdpa: inv.VDPADrivers, misc: inv.MiscDevices,
		iommu: inv.IOMMUGroups > 0, files: inv.OwnedFiles,
	}
}

// nextRecord is what will be remembered of a PF that is configured.
func nextRecord(want desired.PF, saw hw.PF, rec Record, known bool) Record {
	next := Record{
		PF: saw.Addr, Name: want.Name, NumVFs: want.NumVFs, MTU: want.MTU, Eswitch: want.Eswitch,
		LinkType: want.LinkType, ExternallyManaged: want.ExternallyManaged, AllowInUse: want.AllowInUse,
		SetMTU: rec.SetMTU, WasMTU: rec.WasMTU, MadeVFs: rec.MadeVFs, Initial: rec.Initial,
	}
	if !known {
		next.Initial = &Initial{MTU: saw.MTU.Value, NumVFs: saw.NumVFs, Eswitch: saw.Eswitch.Value}
	}
	return next
}

// configure plans a PF that is asked for.
func configure(p *pfPlan) *pfPlan {
	if p.refuse() {
		return p
	}
	switch {
	case p.saw.Virtual:
		p.virtual()
	case p.want.ExternallyManaged:
		p.external()
	default:
		p.rules()
		p.modules()
		p.port()
		p.functions()
		p.up()
	}
	p.vfs()
	if p.waits {
		// The boot takes the VFs away; what is done to them before it is done in vain.
		p.before, p.steps = nil, nil
		return p
	}
	p.guardHostTraffic(p.want.AllowInUse)
	p.remember()
	return p
}

// refuse finds what makes the whole wish impossible; nothing of the PF is then
// touched.
func (p *pfPlan) refuse() bool {
	saw, want := p.saw, p.want
	_, eswitchKnown := saw.Eswitch.Get()
	switch {
	case want.LinkType != hw.LinkUnknown && saw.LinkType != hw.LinkUnknown && want.LinkType != saw.LinkType:
		p.block(reason.LinkTypeDiffers, "%s speaks %s, asked for %s", saw.Netdev, saw.LinkType, want.LinkType)
	case saw.Virtual:
		return false
	case want.ExternallyManaged:
		return p.refuseExternal()
	case want.NumVFs > saw.TotalVFs:
		p.block(reason.TotalVFsExceeded, "%s: asked for %d VFs, the hardware offers %d", saw.Netdev, want.NumVFs, saw.TotalVFs)
	case !eswitchKnown:
		p.block(reason.EswitchUnreadable, "%s: %s", saw.Netdev, saw.Eswitch.Unknown)
	case want.Eswitch == hw.EswitchSwitchdev && saw.EswitchAbsent:
		p.block(reason.EswitchUnsupported, "%s: driver %s offers no eSwitch mode", saw.Netdev, saw.Driver)
	}
	return len(p.blocked) > 0
}

func (p *pfPlan) refuseExternal() bool {
	saw, want := p.saw, p.want
	if want.NumVFs > saw.NumVFs {
		p.block(reason.ExternalCountTooLow, "%s has %d VFs, asked for %d", saw.Netdev, saw.NumVFs, want.NumVFs)
	}
	if mode, ok := saw.Eswitch.Get(); ok && mode != want.Eswitch {
		p.block(reason.ExternalModeDiffers, "%s is in mode %s, asked for %s", saw.Netdev, mode, want.Eswitch)
	}
	if mtu, ok := saw.MTU.Get(); ok && want.MTU > mtu {
		p.block(reason.ExternalMTUTooLow, "%s has MTU %d, asked for %d", saw.Netdev, mtu, want.MTU)
	}
	return len(p.blocked) > 0
}

func (p *pfPlan) block(r reason.Reason, format string, args ...any) {
	p.blocked = append(p.blocked, Blocker{PF: p.saw.Addr, Name: p.saw.Netdev, Why: reason.Because(r, format, args...)})
}

func (p *pfPlan) notice(r reason.Reason, format string, args ...any) {
	p.notices = append(p.notices, Blocker{PF: p.saw.Addr, Name: p.saw.Netdev, Why: reason.Because(r, format, args...)})
}

// step adds a step that disturbs nobody.
func (p *pfPlan) step(do Action, r reason.Reason, format string, args ...any) {
	p.steps = append(p.steps, Step{Do: do, Why: reason.Because(r, format, args...)})
}

// cut adds a step that pauses the PF's own traffic.
func (p *pfPlan) cut(do Action, r reason.Reason, format string, args ...any) {
	p.steps = append(p.steps, Step{Do: do, Why: reason.Because(r, format, args...), Class: disruption.Link, CutsLink: true})
}

// take adds a step that takes existing VFs away, if there are any.
func (p *pfPlan) take(vfs []int, do Action, r reason.Reason, format string, args ...any) {
	s := Step{Do: do, Why: reason.Because(r, format, args...)}
	if len(vfs) > 0 {
		s.Class, s.Takes = disruption.Pods, vfs
	}
	p.steps = append(p.steps, s)
}

// virtual leaves everything but the one VF's driver alone.
func (p *pfPlan) virtual() {
	name := p.saw.Netdev
	if p.want.NumVFs > 1 {
		p.notice(reason.VirtualCount, "%s: asked for %d VFs", name, p.want.NumVFs)
	}
	if p.want.MTU > 0 {
		p.notice(reason.VirtualMTU, "%s: asked for MTU %d", name, p.want.MTU)
	}
	if g, ok := p.want.Group(0); ok && g.Driver == desired.VFIO && p.bifurcated {
		p.notice(reason.VirtualUserspace, "%s: driver %s", name, p.saw.Driver)
	}
	p.modules()
}

// external only uses what somebody else made.
func (p *pfPlan) external() { p.modules() }

// guardHostTraffic replaces the whole PF's plan by a blocker when a step would
// cut off what the host itself runs over the PF, unless that is allowed.
func (p *pfPlan) guardHostTraffic(allowed bool) {
	if allowed || len(p.saw.InUseBy) == 0 {
		return
	}
	i := slices.IndexFunc(p.steps, func(s Step) bool { return s.CutsLink })
	if i < 0 {
		return
	}
	p.block(reason.HostTraffic, "%s carries %s; %s would cut it off (%s)",
		p.saw.Netdev, join(p.saw.InUseBy), p.steps[i].Do.Does(), p.steps[i].Why)
	p.before, p.steps = nil, nil
	if !p.known {
		p.loaded = nil
	}
}

// remember puts the claim first, when it says something new.
func (p *pfPlan) remember() {
	for _, s := range p.steps {
		switch do := s.Do.(type) {
		case SetNumVFs:
			p.claim.MadeVFs = true
		case SetMTU:
			p.claim.SetMTU, p.claim.WasMTU = do.To, 0
			if p.record.set(do.From) {
				p.claim.WasMTU = do.From
			}
		default:
		}
	}
	if hostBlocked := len(p.blocked) > 0 && len(p.steps) == 0 && !p.known; hostBlocked {
		return // nothing of the PF is touched, so it is not ours
	}
	if p.known && p.claim.same(p.record) {
		return
	}
	why := reason.Because(reason.Claim, "first change of this PF")
	if p.known {
		why = reason.Because(reason.Claim, "the record says something else")
	}
	p.steps = slices.Insert(p.steps, 0, Step{Do: Claim{PF: p.saw.Addr, Record: p.claim}, Why: why})
}
