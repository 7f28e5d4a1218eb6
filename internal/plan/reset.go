// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

// reset plans how a PF that was configured goes back to what it was, as far as
// that is known, because no policy asks for it any more.
func reset(p *pfPlan) *pfPlan {
	release := Step{Do: Release{PF: p.saw.Addr}, Why: reason.Because(reason.PolicyGone, "no policy asks for %s any more", p.saw.Netdev)}
	switch {
	case p.saw.Virtual:
		p.giveBack()
	case !p.record.ExternallyManaged:
		if p.saw.Eswitch.Unknown != "" {
			p.block(reason.EswitchUnreadable, "%s: %s", p.saw.Netdev, p.saw.Eswitch.Unknown)
			return p
		}
		p.undo()
		p.removeRules()
	}
	// Nobody asks for the PF any more; who did last has the last word.
	p.guardHostTraffic(p.record.AllowInUse)
	if len(p.blocked) == 0 {
		p.steps = append(p.steps, release)
	}
	return p
}

// giveBack binds the device of a virtual machine to the kernel's driver again.
func (p *pfPlan) giveBack() {
	if len(p.saw.VFs) == 1 && !hw.KernelDriver(p.saw.VFs[0].Driver) {
		p.take([]int{0}, BindVFs{PF: p.saw.Addr, VFs: []int{0}}, reason.PolicyGone, "no policy asks for %s any more", p.saw.Addr)
	}
}

func (p *pfPlan) undo() {
	mode, back := p.saw.Eswitch.Value, hw.EswitchLegacy
	if p.record.Initial != nil && p.record.Initial.Eswitch != "" {
		back = p.record.Initial.Eswitch
	}
	keep := p.record.Initial != nil && !p.record.MadeVFs && mode == back
	if p.saw.NumVFs > 0 && !keep {
		if p.traits.CountNeedsUp {
			p.up()
		}
		p.count(p.saw.NumVFs, 0, reason.PolicyGone, "no policy asks for the VFs of %s any more", p.saw.Netdev)
	}
	if mode != back {
		p.cut(SetEswitchMode{PF: p.saw.Addr, From: mode, To: back}, reason.PolicyGone, "eSwitch mode was %s before", back)
	}
	if present, ok := p.saw.MTU.Get(); ok {
		if was := resetMTU(p.saw, present, p.record); was != present {
			p.cut(SetMTU{PF: p.saw.Addr, From: present, To: was}, reason.PolicyGone, "MTU was %d before", was)
		}
	}
	if !p.saw.Autoprobe {
		p.autoprobe(false, true)
	}
	if keep {
		p.giveVFsBack()
	}
}

// giveVFsBack returns VFs that others made to the kernel's driver.
func (p *pfPlan) giveVFsBack() {
	var vfs []int
	for _, vf := range p.saw.VFs {
		if vf.Driver != "" && !hw.KernelDriver(vf.Driver) {
			vfs = append(vfs, vf.Index)
		}
	}
	if len(vfs) > 0 {
		p.take(vfs, BindVFs{PF: p.saw.Addr, VFs: vfs}, reason.PolicyGone, "no policy asks for a userspace driver any more")
	}
}

// removeRules removes the PF's udev rules, before the record that they are ours.
func (p *pfPlan) removeRules() {
	for _, path := range rulePaths(p.saw.Addr) {
		if _, ok := p.files[path]; ok {
			p.step(RemoveFile{Path: path}, reason.PolicyGone, "no policy asks for %s any more", p.saw.Netdev)
		}
	}
}
