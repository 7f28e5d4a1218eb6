// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"path"
	"slices"

	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/disruption"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

// Compute plans how the observed machine becomes the desired node. It cannot
// fail: what cannot be done is in Plan.Blocked.
func Compute(want desired.Node, saw hw.Inventory, last Memory, nics catalog.Table) Plan {
	var p Plan
	boot, waits := newBootPlan(want, saw), false
	for _, pf := range want.PFs() {
		found, ok := saw.PF(pf.Addr)
		if !ok {
			p.Blocked = append(p.Blocked, Blocker{PF: pf.Addr, Name: pf.Name,
				Why: reason.Because(reason.PFMissing, "%s: no PF has this address, or it has no driver", pf.Addr)})
			continue
		}
		lane := newPFPlan(pf, found, last, nics, saw)
		lane.vfio, lane.hitch = boot.vfio, boot.hitch
		p.add(configure(lane))
		boot.modules, waits = append(boot.modules, lane.loaded...), waits || lane.waits
	}
	if waits {
		boot.awaitIOMMU()
	}
	for _, addr := range forgotten(want, last) {
		if found, ok := saw.PF(addr); ok {
			p.add(reset(newPFPlan(desired.PF{Addr: addr}, found, last, nics, saw)))
		}
	}
	p.node(want, saw, last, boot)
	slices.SortFunc(p.Lanes, func(a, b Lane) int { return a.PF.Compare(b.PF) })
	return p
}

// forgotten are the PFs that were configured and that nobody asks for any more,
// sorted. No other PF is ever touched.
func forgotten(want desired.Node, last Memory) []hw.PCIAddr {
	var out []hw.PCIAddr
	for addr := range last {
		if _, ok := want.PF(addr); !ok {
			out = append(out, addr)
		}
	}
	slices.SortFunc(out, hw.PCIAddr.Compare)
	return out
}

// add takes over what was planned for one PF.
func (p *Plan) add(pf *pfPlan) {
	p.Blocked = append(p.Blocked, pf.blocked...)
	p.Notices = append(p.Notices, pf.notices...)
	p.Before = append(p.Before, pf.before...)
	for i, s := range pf.steps {
		pf.steps[i].AfterNode = needsNode(s.Do)
	}
	if len(pf.steps) > 0 {
		p.Lanes = append(p.Lanes, Lane{PF: pf.saw.Addr, Name: pf.saw.Netdev, Steps: pf.steps, Basis: pf.basis()})
	}
}

// needsNode reports whether an action makes devices appear that the node's rules
// name or its modules drive.
func needsNode(a Action) bool {
	switch a.(type) {
	case BindVFs, SetEswitchMode, CreateVDPA:
		return true
	default:
		return false
	}
}

// node finishes what concerns the node: each module once, udev's reload after the
// last rule.
func (p *Plan) node(want desired.Node, saw hw.Inventory, last Memory, boot *bootPlan) {
	p.Before = once(p.Before)
	p.After = orphans(want, saw, last)
	if changesRules(p.Before) {
		p.Before = append(p.Before, reloadUdev())
	}
	reload := changesRules(p.After)
	for _, l := range p.Lanes {
		reload = reload || changesRules(l.Steps)
	}
	if reload {
		p.After = append(p.After, reloadUdev())
	}
	if len(want.PFs()) == 0 && want.RDMAMode() == "" {
		boot.giveBack(p)
		return
	}
	boot.finish(p, want.RDMAMode())
}

// orphans removes rules of PFs that are neither asked for nor remembered: a crash
// came between a rule and the record that would have told of it.
func orphans(want desired.Node, saw hw.Inventory, last Memory) []Step {
	var out []Step
	for _, file := range slices.Sorted(maps.Keys(saw.OwnedFiles)) {
		pf, ours := hw.OwnedRule(path.Base(file))
		_, asked := want.PF(pf)
		_, known := last[pf]
		if ours && !asked && !known {
			out = append(out, Step{Do: RemoveFile{Path: file}, Why: reason.Because(reason.PolicyGone, "no policy asks for %s", pf)})
		}
	}
	return out
}

func describe[T ~string](r hw.Reading[T]) string {
	if v, ok := r.Get(); ok {
		return string(v)
	}
	return "unknown (" + r.Unknown + ")"
}

// once keeps the first of equal module loads.
func once(steps []Step) []Step {
	seen := map[LoadModule]bool{}
	return slices.DeleteFunc(steps, func(s Step) bool {
		m, ok := s.Do.(LoadModule)
		if !ok {
			return false
		}
		was := seen[m]
		seen[m] = true
		return was
	})
}

// changesRules reports whether the steps change udev's rules.
func changesRules(steps []Step) bool {
	rule := func(name string) bool { return path.Dir(name) == hw.UdevRules }
	for _, s := range steps {
		switch do := s.Do.(type) {
		case WriteFile:
			if rule(do.Path) {
				return true
			}
		case RemoveFile:
			if rule(do.Path) {
				return true
			}
		default:
		}
	}
	return false
}

func reloadUdev() Step {
	return Step{Do: ReloadUdev{}, Why: reason.Because(reason.FileDiffers, "udev rules changed"), Class: disruption.None}
}

// basis is the fingerprint of everything that the lane was planned from.
func (p *pfPlan) basis() string {
	text, err := json.Marshal(struct {
		Want  desired.PF
		Saw   hw.PF
		Last  Record
		IOMMU bool
	}{p.want, p.looked, p.record, p.iommu})
	if err != nil {
		// Plain data of our own types always encodes; a basis that equals no
		// other is the safe answer if that ever changes.
		return "unencodable: " + err.Error()
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
