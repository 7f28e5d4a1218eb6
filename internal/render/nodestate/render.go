// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodestate

import (
	"slices"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

// Node is what policies select nodes by.
type Node struct {
	Name   string
	Labels map[string]string
	// LabelsUnknown says that the labels are not known, as without a cluster;
	// every node selector is then taken to match.
	LabelsUnknown bool
}

// Input is everything that one node is rendered from.
type Input struct {
	Policies []sriovv1.SriovNetworkNodePolicy
	Node     Node
	// Inventory is what the node has.
	Inventory hw.Inventory
	// NodeSelector chooses the nodes that the daemon runs on; empty is the
	// default.
	NodeSelector map[string]string
	// RDMAMode is the mode of the node's pool; empty leaves it alone.
	RDMAMode hw.RDMAMode
	Catalog  catalog.Table
}

// Result is what a node should be, and why.
type Result struct {
	Desired desired.Node
	Trace   Trace
}

// Render renders one node. For many nodes, Compile once and ask Compiled.
func Render(in Input) Result {
	c := Compile(in.Policies, Options{NodeSelector: in.NodeSelector, Catalog: in.Catalog})
	return c.Render(in.Node, in.Inventory, in.RDMAMode)
}

// Render renders one node. It cannot fail: what cannot be done is in the trace.
func (c Compiled) Render(node Node, inv hw.Inventory, rdma hw.RDMAMode) Result {
	trace := Trace{Node: node.Name, Policies: make([]PolicyTrace, len(c.policies))}
	selected := make([]int, 0, len(c.policies))
	for i := range c.policies {
		p := &c.policies[i]
		trace.Policies[i] = c.selects(p, node)
		if trace.Policies[i].Reason == "" {
			selected = append(selected, i)
		}
	}
	var pfs []desired.PF
	if len(selected) > 0 {
		trace.PFs, pfs = c.renderPFs(selected, inv, trace.Policies)
	}
	want, rejected := desired.New(pfs, rdma)
	for _, r := range rejected {
		trace.reject(r)
	}
	for _, i := range selected {
		if trace.Policies[i].SelectedPFs == 0 {
			trace.Policies[i].Reason = reason.NoPFMatches
		}
	}
	return Result{Desired: want, Trace: trace}
}

// selects says whether a policy counts on a node; the reason is empty when it
// does.
func (c Compiled) selects(p *policy, node Node) PolicyTrace {
	t := PolicyTrace{Policy: p.name, Source: p.source, Priority: p.priority, Problems: p.problems, Reason: p.out}
	if p.out != "" || node.LabelsUnknown {
		return t
	}
	if missing, ok := p.nodes.Missing(node.Labels); ok {
		t.Reason, t.Label, t.Got = reason.NodeNotSelected, missing, node.Labels[missing.Key]
	} else if missing, ok := c.nodes.Missing(node.Labels); ok {
		t.Reason, t.Label, t.Got = reason.NodeNotListed, missing, node.Labels[missing.Key]
	}
	return t
}

// renderPFs renders every PF that a policy selects, in the order of addresses.
func (c Compiled) renderPFs(selected []int, inv hw.Inventory, policies []PolicyTrace) ([]PFTrace, []desired.PF) {
	var traces []PFTrace
	var pfs []desired.PF
	var shares []share
	var groups, spare []group
	var buffer []hw.VFRange
	for _, pf := range sorted(inv.PFs) {
		shares, buffer = shares[:0], buffer[:0]
		for _, i := range selected {
			p := &c.policies[i]
			if !p.nics.PF(pf) && !p.nics.Guards(pf) {
				continue
			}
			policies[i].SelectedPFs++
			var s share
			s, buffer = c.share(p, pf, buffer)
			s.index = i
			shares = append(shares, s)
		}
		if len(shares) == 0 {
			continue
		}
		m := merge{pf: pf, shares: shares, groups: groups[:0], spare: spare, trace: PFTrace{PF: pf.Addr, Name: pf.Netdev}}
		if want, ok := m.run(c.nics); ok {
			pfs = append(pfs, want)
		}
		groups, spare = m.groups, m.spare
		for i, o := range m.trace.Outcomes {
			policies[shares[i].index].note(o.Reason)
		}
		traces = append(traces, m.trace)
	}
	return traces, pfs
}

// note takes into account what became of the policy on one more PF.
func (p *PolicyTrace) note(on reason.Reason) {
	switch {
	case on == reason.Won || on == reason.Merged:
		p.Reason = reason.Won
	case p.Reason == "":
		p.Reason = on
	}
}

// sorted are pointers to the PFs in the order of addresses.
func sorted(pfs []hw.PF) []*hw.PF {
	out := make([]*hw.PF, len(pfs))
	for i := range pfs {
		out[i] = &pfs[i]
	}
	slices.SortStableFunc(out, func(a, b *hw.PF) int { return a.Addr.Compare(b.Addr) })
	return out
}

// share is a policy's claim on one PF.
type share struct {
	policy *policy
	// index is the policy's place in the order of processing.
	index int
	// ranges are what the policy asks for; none when out says why.
	ranges []hw.VFRange
	out    reason.Why
	// numVFs and mtu are what the policy counts for: its own, or more, after it
	// won over a policy of equal priority. numVFsBy and mtuBy are the shares that
	// asked for them.
	numVFs, mtu     int
	numVFsBy, mtuBy int
	// standing is how many of its groups stand; lostTo is the share that took
	// the last one.
	standing int
	lostTo   int
	lostWhy  reason.Reason
}

// share makes the claim of a policy that selects the PF. The ranges are appended
// to buffer.
func (c Compiled) share(p *policy, pf *hw.PF, buffer []hw.VFRange) (share, []hw.VFRange) {
	s := share{policy: p, numVFs: p.numVFs, mtu: p.mtu}
	if pf.Virtual {
		s.numVFs, s.mtu = 1, 0
	}
	switch {
	case p.nics.Guards(pf):
		s.out = reason.Because(reason.NICTypeDiffers, "nicType is %s, and the NIC is %s", p.nics.Type().Name, c.model(pf))
		return s, buffer
	case !p.allowUnlisted && !c.nics.Listed(pf.VendorID, pf.DeviceID) && !c.nics.ListedVF(pf.VendorID, pf.DeviceID):
		s.out = reason.Why{Reason: reason.NotListed}
		return s, buffer
	case s.numVFs == 0:
		s.out = reason.Why{Reason: reason.NoVFsAsked}
		return s, buffer
	}
	start := len(buffer)
	buffer = p.nics.Ranges(buffer, pf, s.numVFs)
	if pf.Virtual {
		// The device is VF 0, and there is no other.
		if !slices.ContainsFunc(buffer[start:], func(r hw.VFRange) bool { return r.Contains(0) }) {
			s.out = reason.Because(reason.RangeUnreachable, "in a virtual machine there is VF 0 alone, and the range begins with %d", buffer[start].First)
			return s, buffer[:start]
		}
		buffer = append(buffer[:start], hw.VFRange{})
	}
	s.ranges = buffer[start:len(buffer):len(buffer)]
	s.standing = len(s.ranges)
	return s, buffer
}

// model names what a PF is for people: its ids, and the list's name for them.
func (c Compiled) model(pf *hw.PF) string {
	ids := string(pf.VendorID) + ":" + string(pf.DeviceID)
	if name := c.nics.Name(pf.VendorID, pf.DeviceID); name != "" {
		return name + " (" + ids + ")"
	}
	return ids
}

// reject notes a PF whose merged wish contradicts itself.
func (t *Trace) reject(r desired.Rejected) {
	for i := range t.PFs {
		pf := &t.PFs[i]
		if pf.PF != r.PF.Addr || pf.Rejected != "" {
			continue
		}
		pf.Rejected = r.Err.Error()
		for j := range pf.Outcomes {
			if o := &pf.Outcomes[j]; o.Reason == reason.Won || o.Reason == reason.Merged {
				o.Reason, o.Detail = reason.BadPolicy, pf.Rejected
			}
		}
		t.noteAgain()
		return
	}
}

// noteAgain takes all PFs into account anew.
func (t *Trace) noteAgain() {
	for i := range t.Policies {
		p := &t.Policies[i]
		if p.SelectedPFs == 0 {
			continue
		}
		p.Reason = ""
		for _, pf := range t.PFs {
			for _, o := range pf.Outcomes {
				if o.Policy == p.Policy {
					p.note(o.Reason)
				}
			}
		}
	}
}
