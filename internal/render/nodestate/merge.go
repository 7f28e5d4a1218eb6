// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodestate

import (
	"slices"

	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

// merge merges the shares of one PF, which are in the order of processing.
type merge struct {
	pf     *hw.PF
	shares []share
	// groups are those that stand, the newest first; spare is where the next
	// ones are put together.
	groups, spare []group
	trace         PFTrace
}

// group is a VF group that stands, and the share that asked for it.
type group struct {
	by int
	r  hw.VFRange
}

// run is what the PF should be; false when no policy counts.
func (m *merge) run(nics catalog.Table) (desired.PF, bool) {
	last := -1
	for i := range m.shares {
		if m.shares[i].standing > 0 {
			m.add(i)
			last = i
		}
	}
	if last < 0 {
		m.outcomes()
		return desired.PF{}, false
	}
	m.dropUnfit(last)
	want := m.want(last)
	m.fieldLosses(&want, last)
	m.outcomes()
	m.notices(nics)
	return want, true
}

// add lets a share claim its groups. Each group that stands is judged by itself:
// it stays unless it overlaps with one of the new groups. Of equal priorities,
// the loser's number of VFs and MTU still count.
func (m *merge) add(by int) {
	s := &m.shares[by]
	s.numVFsBy, s.mtuBy = by, by
	groups := m.spare[:0]
	for _, r := range s.ranges {
		groups = append(groups, group{by: by, r: r})
	}
	for _, old := range m.groups {
		i := slices.IndexFunc(s.ranges, old.r.Overlaps)
		if i < 0 {
			groups = append(groups, old)
			continue
		}
		loser := &m.shares[old.by]
		why := decidedBy(loser.policy, s.policy.priority, s.policy.source)
		if why != reason.LostToPriority {
			s.absorb(loser)
		}
		m.drop(old, by, why)
		m.lose(old.by, FieldGroup, vfRange(old.r), by, vfRange(s.ranges[i]), why)
	}
	m.groups, m.spare = groups, m.groups
}

// decidedBy says what decides between a policy and the one that stands over it.
func decidedBy(loser *policy, priority int, source Source) reason.Reason {
	switch {
	case loser.priority != priority:
		return reason.LostToPriority
	case loser.source != source:
		return reason.LostToObject
	}
	return reason.LostToName
}

// absorb makes the share count for what a loser of equal priority counted for.
func (s *share) absorb(loser *share) {
	if loser.numVFs > s.numVFs {
		s.numVFs, s.numVFsBy = loser.numVFs, loser.numVFsBy
	}
	if loser.mtu > s.mtu {
		s.mtu, s.mtuBy = loser.mtu, loser.mtuBy
	}
}

// drop takes a group from its share.
func (m *merge) drop(g group, to int, why reason.Reason) {
	loser := &m.shares[g.by]
	loser.standing--
	loser.lostTo, loser.lostWhy = to, why
}

// dropUnfit drops the groups that cannot be in the eSwitch mode that the last
// share decides on, so that they do not take the whole PF with them.
func (m *merge) dropUnfit(last int) {
	mode := m.shares[last].policy.eswitch
	if mode == hw.EswitchSwitchdev {
		return
	}
	kept := m.groups[:0]
	for _, g := range m.groups {
		if m.shares[g.by].policy.vdpa == hw.VDPANone {
			kept = append(kept, g)
			continue
		}
		m.drop(g, last, reason.GroupNeedsSwitchdev)
		m.trace.Losses = append(m.losses(), Loss{
			Wish:   m.wish(g.by, FieldGroup, vfRange(g.r)),
			Stands: m.wish(last, FieldEswitchMode, word(eswitch(mode))),
			Reason: reason.GroupNeedsSwitchdev,
		})
	}
	m.groups = kept
}

// want puts together what stands.
func (m *merge) want(last int) desired.PF {
	decider := m.shares[last].policy
	pf := desired.PF{
		Addr: m.pf.Addr, Name: m.pf.Netdev,
		Eswitch:           eswitch(decider.eswitch),
		LinkType:          decider.linkType,
		ExternallyManaged: decider.external,
		AllowInUse:        decider.allowInUse,
		AllowUnlisted:     decider.allowUnlisted,
		Groups:            make([]desired.Group, 0, len(m.groups)),
	}
	// From the last to the first, so that of equal values the last one's counts.
	numVFsBy, mtuBy := last, last
	for i := len(m.shares) - 1; i >= 0; i-- {
		s := &m.shares[i]
		if s.standing <= 0 {
			continue
		}
		if s.numVFs > pf.NumVFs {
			pf.NumVFs, numVFsBy = s.numVFs, s.numVFsBy
		}
		if s.mtu > pf.MTU {
			pf.MTU, mtuBy = s.mtu, s.mtuBy
		}
	}
	m.stand(&pf, numVFsBy, mtuBy, last)
	for _, g := range m.groups {
		p := m.shares[g.by].policy
		mtu := p.mtu
		if m.pf.Virtual {
			mtu = 0
		}
		pf.Groups = append(pf.Groups, desired.Group{
			Policy: p.name, Resource: p.resource, Range: g.r, Driver: p.driver,
			MTU: mtu, RDMA: p.rdma, VDPA: p.vdpa, VhostNet: p.vhostNet,
		})
	}
	return pf
}

// The places of the fields in Stands; mtu, if any, is last.
const (
	standsNumVFs = iota
	standsEswitch
	standsLinkType
	standsExternal
	standsInUse
	standsMTU
)

// stand notes who asked for what stands.
func (m *merge) stand(pf *desired.PF, numVFsBy, mtuBy, last int) {
	stands := make([]Wish, 0, standsMTU+1+len(m.groups))
	stands = append(stands,
		m.wish(numVFsBy, FieldNumVFs, number(pf.NumVFs)),
		m.wish(last, FieldEswitchMode, word(pf.Eswitch)),
		m.wish(last, FieldLinkType, word(pf.LinkType)),
		m.wish(last, FieldExternallyManaged, yes(pf.ExternallyManaged)),
		m.wish(last, FieldAllowInUse, yes(pf.AllowInUse)),
		m.wish(mtuBy, FieldMTU, size(pf.MTU)),
	)
	for _, g := range m.groups {
		stands = append(stands, m.wish(g.by, FieldGroup, vfRange(g.r)))
	}
	m.trace.Stands = stands
}

// size is an MTU; zero is unset.
func size(mtu int) Value {
	if mtu == 0 {
		return word("")
	}
	return number(mtu)
}

// fieldLosses notes the values that policies set and that do not stand.
func (m *merge) fieldLosses(pf *desired.PF, last int) {
	for i := range m.shares {
		if len(m.shares[i].ranges) == 0 {
			continue
		}
		if !m.pf.Virtual {
			m.numberLosses(i, pf)
		}
		if i != last {
			m.wordLosses(i, pf)
		}
	}
}

// numberLosses is about the fields of which the largest stands.
func (m *merge) numberLosses(by int, pf *desired.PF) {
	p := m.shares[by].policy
	m.compareMost(by, standsNumVFs, p.numVFs, pf.NumVFs)
	if p.mtu > 0 {
		m.compareMost(by, standsMTU, p.mtu, pf.MTU)
	}
}

// wordLosses is about the fields that the last share decides on.
func (m *merge) wordLosses(by int, pf *desired.PF) {
	p := m.shares[by].policy
	if p.eswitch != "" && p.eswitch != pf.Eswitch {
		m.loseField(by, standsEswitch, word(p.eswitch))
	}
	if p.linkType != "" && p.linkType != pf.LinkType {
		m.loseField(by, standsLinkType, word(p.linkType))
	}
	if p.external != pf.ExternallyManaged {
		m.loseField(by, standsExternal, yes(p.external))
	}
	if p.allowInUse && !pf.AllowInUse {
		m.loseField(by, standsInUse, yes(true))
	}
}

// compareMost notes a number that is not the one that stands. Less than what
// stands is told only while the policy has VFs there.
func (m *merge) compareMost(by, place, asked, stands int) {
	switch {
	case asked > stands:
		m.loseField(by, place, number(asked))
	case asked < stands && m.shares[by].standing > 0:
		m.trace.Losses = append(m.losses(), Loss{
			Wish:   m.wish(by, m.trace.Stands[place].Field, number(asked)),
			Stands: m.trace.Stands[place], Reason: reason.RaisedByOther,
		})
	}
}

// loseField notes a field that another share decided on.
func (m *merge) loseField(by, place int, asked Value) {
	stands := m.trace.Stands[place]
	why := decidedBy(m.shares[by].policy, stands.Priority, stands.Source)
	m.trace.Losses = append(m.losses(), Loss{Wish: m.wish(by, stands.Field, asked), Stands: stands, Reason: why})
}

// losses is where one more loss goes. Most PFs have none; one that has any often
// has one for each policy.
func (m *merge) losses() []Loss {
	if m.trace.Losses == nil {
		return make([]Loss, 0, len(m.shares))
	}
	return m.trace.Losses
}

// lose notes a wish that lost to another.
func (m *merge) lose(by int, f Field, asked Value, to int, stands Value, why reason.Reason) {
	m.trace.Losses = append(m.losses(), Loss{Wish: m.wish(by, f, asked), Stands: m.wish(to, f, stands), Reason: why})
}

func (m *merge) wish(by int, f Field, v Value) Wish {
	p := m.shares[by].policy
	return Wish{Policy: p.name, Source: p.source, Priority: p.priority, Field: f, Value: v}
}

// outcomes notes what became of each share.
func (m *merge) outcomes() {
	standing := 0
	for i := range m.shares {
		if m.shares[i].standing > 0 {
			standing++
		}
	}
	m.trace.Outcomes = make([]Outcome, 0, len(m.shares))
	for i := range m.shares {
		s := &m.shares[i]
		o := Outcome{Policy: s.policy.name, Priority: s.policy.priority, Reason: reason.Won}
		switch {
		case s.out.Reason != "":
			o.Reason, o.Detail = s.out.Reason, s.out.Detail
		case s.standing <= 0:
			o.Reason, o.To = s.lostWhy, m.shares[s.lostTo].policy.name
		case standing > 1:
			o.Reason = reason.Merged
		}
		m.trace.Outcomes = append(m.trace.Outcomes, o)
	}
}

// notices notes what a policy that stands asks for and cannot have here.
func (m *merge) notices(nics catalog.Table) {
	for i := range m.shares {
		s := &m.shares[i]
		if s.standing <= 0 {
			continue
		}
		p := s.policy
		note := func(r reason.Reason, format string, args ...any) {
			m.trace.Notices = append(m.trace.Notices, Notice{Policy: p.name, Why: reason.Because(r, format, args...)})
		}
		if p.bridge {
			note(reason.BridgesNotConfigured, "the bridge is not configured by this version; VFs and representors are ready for it")
		}
		if !m.pf.Virtual {
			continue
		}
		if p.numVFs != 1 {
			note(reason.VirtualCount, "numVfs %d counts as 1: in a virtual machine the VF is the device", p.numVFs)
		}
		if p.mtu > 0 {
			note(reason.VirtualMTU, "mtu %d is left alone: the platform sets it", p.mtu)
		}
		if p.driver == desired.VFIO && nics.Bifurcated(m.pf.VendorID) {
			note(reason.VirtualUserspace, "this NIC serves userspace with its kernel driver; deviceType netdevice is enough for DPDK")
		}
	}
}

// eswitch is the mode that a policy means.
func eswitch(m hw.EswitchMode) hw.EswitchMode {
	if m == "" {
		return hw.EswitchLegacy
	}
	return m
}
