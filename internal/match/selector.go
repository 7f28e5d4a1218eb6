// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package match

import (
	"fmt"
	"slices"
	"strconv"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

// Problem is what is wrong with one field of a policy.
type Problem struct {
	// Field is the path under spec: "nicSelector.pfNames[1]".
	Field  string        `json:"field"`
	Reason reason.Reason `json:"reason"`
	// Cause is what is wrong, with the value, as a phrase without a full stop.
	Cause string `json:"cause"`
	// Fix is what to write instead, as a phrase; empty when Cause says it.
	Fix string `json:"fix,omitempty"`
}

// String is field, cause and fix in one line.
func (p Problem) String() string {
	s := p.Field + ": " + p.Cause
	if p.Fix != "" {
		s += "; " + p.Fix
	}
	return s
}

// Selector is a NIC selector, parsed. A PF is selected when it matches every
// field that is set; the zero Selector selects nothing.
type Selector struct {
	vendor, device hw.ID
	roots          []hw.PCIAddr
	byRoot         bool
	names          []PFName
	filter         NetFilter
	byFilter       bool
	nicType        NICType
	byType         bool
}

// NewSelector parses a NIC selector. A selector with problems selects nothing.
// A rootDevices entry that is no PCI address can name no PF; it is left out and
// is no problem for the others, see BadRootDevices.
func NewSelector(nics sriovv1.SriovNetworkNicSelector) (Selector, []Problem) {
	s := Selector{byRoot: len(nics.RootDevices) > 0, byFilter: nics.NetFilter != ""}
	var problems []Problem
	id := func(field, text string) hw.ID {
		if text == "" {
			return ""
		}
		v, err := hw.ParseID(text)
		if err != nil {
			problems = append(problems, bad(field, err.Error(), ""))
		}
		return v
	}
	s.vendor = id("nicSelector.vendor", nics.Vendor)
	s.device = id("nicSelector.deviceID", nics.DeviceID)
	for _, text := range nics.RootDevices {
		if addr, err := hw.ParsePCIAddr(text); err == nil {
			s.roots = append(s.roots, addr)
		}
	}
	for i, text := range nics.PfNames {
		name, err := ParsePFName(text)
		if err != nil {
			problems = append(problems, bad(indexed("nicSelector.pfNames", i),
				fmt.Sprintf("%q: %v", text, err), "write ens1f0, or ens1f0#2-5 for VFs 2 to 5 alone"))
			continue
		}
		s.names = append(s.names, name)
	}
	// A filter without key and value matches nothing, also when it is alone.
	s.filter, _ = ParseNetFilter(nics.NetFilter)
	if len(problems) > 0 {
		return Selector{}, problems
	}
	return s, nil
}

// BadRootDevices are the entries of rootDevices that are no PCI address.
func BadRootDevices(nics sriovv1.SriovNetworkNicSelector) []Problem {
	var problems []Problem
	for i, text := range nics.RootDevices {
		if _, err := hw.ParsePCIAddr(text); err != nil {
			problems = append(problems, bad(indexed("nicSelector.rootDevices", i), err.Error(), "the entry matches nothing"))
		}
	}
	return problems
}

func bad(field, cause, fix string) Problem {
	return Problem{Field: field, Reason: reason.BadPolicy, Cause: cause, Fix: fix}
}

func indexed(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }

// Empty reports whether no field is set.
func (s Selector) Empty() bool {
	return s.unset() && !s.byType
}

// unset reports whether no field but the NIC type is set.
func (s *Selector) unset() bool {
	return s.vendor == "" && s.device == "" && !s.byRoot && len(s.names) == 0 && !s.byFilter
}

// OfType is the selector that selects only PFs of the type. Where nothing else is
// set, the type alone selects. The zero type changes nothing.
func (s Selector) OfType(t NICType) Selector {
	s.nicType, s.byType = t, !t.IsZero()
	return s
}

// Guards reports whether the PF is the one that is meant, by name or address, and
// yet is not selected because it is of another type.
func (s *Selector) Guards(pf *hw.PF) bool {
	return s.byType && !s.unset() && s.matches(pf) && !s.nicType.Has(pf)
}

// Type is the NIC type that the selector asks for; zero when it asks for none.
func (s Selector) Type() NICType { return s.nicType }

// Names are the parsed entries of pfNames.
func (s Selector) Names() []PFName { return slices.Clone(s.names) }

// PF reports whether the PF is selected. It takes a pointer because it is asked
// for every policy on every PF of a cluster, and changes nothing.
func (s *Selector) PF(pf *hw.PF) bool {
	return !s.Empty() && s.matches(pf) && (!s.byType || s.nicType.Has(pf))
}

// matches reports whether the PF matches every field that is set; the NIC type is
// not looked at.
func (s *Selector) matches(pf *hw.PF) bool {
	return (s.vendor == "" || s.vendor == pf.VendorID) &&
		(s.device == "" || s.device == pf.DeviceID) &&
		(!s.byRoot || slices.Contains(s.roots, pf.Addr)) &&
		(len(s.names) == 0 || s.named(pf)) &&
		(!s.byFilter || s.filtered(pf))
}

func (s *Selector) named(pf *hw.PF) bool {
	for i := range s.names {
		if called(pf, s.names[i].Name) {
			return true
		}
	}
	return false
}

// called is pf.Named without a copy of the PF.
func called(pf *hw.PF, name string) bool {
	return name != "" && (pf.Netdev == name || slices.Contains(pf.AltNames, name))
}

func (s *Selector) filtered(pf *hw.PF) bool {
	f, ok := ParseNetFilter(pf.NetFilter)
	return ok && f == s.filter
}

// Ranges appends to dst the VF ranges of a selected PF that the policy is about,
// sorted: those that pfNames give it, by any of the PF's names, where ranges that
// overlap count as one; or all VFs, when an entry, or the lack of any, says so.
func (s *Selector) Ranges(dst []hw.VFRange, pf *hw.PF, numVFs int) []hw.VFRange {
	start, all := len(dst), hw.VFRange{First: 0, Last: numVFs - 1}
	for i := range s.names {
		name := &s.names[i]
		switch {
		case !called(pf, name.Name):
		case !name.HasRange:
			return append(dst[:start], all)
		default:
			dst = append(dst, name.Range)
		}
	}
	if len(dst) == start {
		return append(dst, all)
	}
	return dst[:start+united(dst[start:])]
}

// united sorts ranges, makes those that overlap one, and says how many there are
// then. Ranges that only touch stay two.
func united(ranges []hw.VFRange) int {
	slices.SortFunc(ranges, func(a, b hw.VFRange) int { return a.First - b.First })
	n := 1
	for _, r := range ranges[1:] {
		if last := &ranges[n-1]; r.Overlaps(*last) {
			last.Last = max(last.Last, r.Last)
			continue
		}
		ranges[n] = r
		n++
	}
	return n
}
