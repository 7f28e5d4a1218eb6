// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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
	for _, pf := range want.PFs() {
		found, ok := saw.PF(pf.Addr)
		if !ok {
			p.Blocked = append(p.Blocked, Blocker{PF: pf.Addr, Name: pf.Name,
				Why: reason.Because(reason.PFMissing, "%s: no PF has this address, or it has no driver", pf.Addr)})
			continue
		}
		p.add(configure(newPFPlan(pf, found, last, nics, saw)))
	}
	for _, addr := range forgotten(want, last) {
		if found, ok := saw.PF(addr); ok {
			p.add(reset(newPFPlan(desired.PF{Addr: addr}, found, last, nics, saw)))
		}
	}
	p.node(want, saw)
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
	if len(pf.steps) > 0 {
		p.Lanes = append(p.Lanes, Lane{PF: pf.saw.Addr, Name: pf.saw.Netdev, Steps: pf.steps, Basis: pf.basis()})
	}
}

// node finishes what concerns the node: each module once, udev's reload after the
// last rule.
func (p *Plan) node(want desired.Node, saw hw.Inventory) {
	p.Before = once(p.Before)
	if changesRules(p.Before) {
		p.Before = append(p.Before, reloadUdev())
	}
	for _, l := range p.Lanes {
		if changesRules(l.Steps) {
			p.After = []Step{reloadUdev()}
		}
	}
	if mode := want.RDMAMode(); mode != "" {
		if have, known := saw.RDMA.Get(); !known || have != mode {
			p.Blocked = append(p.Blocked, Blocker{Why: reason.Because(reason.RDMAModeDiffers,
				"RDMA namespace mode is %s, asked for %s", describe(saw.RDMA), mode)})
		}
	}
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
	for _, s := range steps {
		switch s.Do.(type) {
		case WriteFile, RemoveFile:
			return true
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
