// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package deviceplugin

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// indices is a set of VF indices as ranges that are sorted and neither overlap nor
// touch. The PF itself, as a device, is the index that no VF has.
type indices []hw.VFRange

// itself is the index of a device that is no VF.
const itself = -1

// newIndices makes a set of ranges in any order.
func newIndices(ranges ...hw.VFRange) indices {
	slices.SortFunc(ranges, func(a, b hw.VFRange) int { return cmp.Compare(a.First, b.First) })
	out := indices(ranges[:0])
	for _, r := range ranges {
		// The PF itself does not touch VF 0.
		if n := len(out); n > 0 && r.First <= out[n-1].Last+1 && out[n-1].First >= 0 {
			out[n-1].Last = max(out[n-1].Last, r.Last)
			continue
		} else if n > 0 && r == out[n-1] {
			continue
		}
		out = append(out, r)
	}
	return out
}

// without reports whether the set has an index that o has not.
func (s indices) without(o indices) bool {
	return slices.ContainsFunc(s, func(r hw.VFRange) bool {
		return !slices.ContainsFunc(o, func(c hw.VFRange) bool { return c.First <= r.First && r.Last <= c.Last })
	})
}

// and is the part of the set that lies in the range.
func (s indices) and(r hw.VFRange) indices {
	var out indices
	for _, c := range s {
		if c.Overlaps(r) {
			out = append(out, hw.VFRange{First: max(c.First, r.First), Last: min(c.Last, r.Last)})
		}
	}
	return out
}

// or is the set of what is in either.
func (s indices) or(o indices) indices {
	if len(s) == 0 {
		return o
	}
	return newIndices(slices.Concat(s, o)...)
}

// String is the set as the plugin reads it after '#', "0-3,6-6".
func (s indices) String() string {
	parts := make([]string, len(s))
	for i, r := range s {
		parts[i] = r.String()
	}
	return strings.Join(parts, ",")
}

// oneEntryPerPF makes one entry of all ranges of a PF, because the plugin reads
// only the first entry for a PF. A PF that has one entry keeps it as it is, and so
// does an entry that cannot be read.
func oneEntryPerPF(entries []string) []string {
	var out []string
	for i, entry := range entries {
		name, _, _ := strings.Cut(entry, "#")
		if slices.ContainsFunc(entries[:i], func(e string) bool { return pfOf(e) == name }) {
			continue
		}
		rest := slices.DeleteFunc(slices.Clone(entries[i+1:]), func(e string) bool { return pfOf(e) != name || e == entry })
		out = append(out, joined(entry, rest))
	}
	return out
}

// joined is an entry that selects what the entry and others for the same PF do.
func joined(entry string, others []string) string {
	if len(others) == 0 {
		return entry
	}
	var all []hw.VFRange
	name, _, _ := strings.Cut(entry, "#")
	for _, e := range append(others, entry) {
		_, text, ranged := strings.Cut(e, "#")
		if !ranged {
			return name
		}
		for part := range strings.SplitSeq(text, ",") {
			if r, err := hw.ParseVFRange(part); err == nil {
				all = append(all, r)
			}
		}
	}
	if len(all) == 0 {
		return entry
	}
	return name + "#" + newIndices(all...).String()
}

// pfOf is the PF that an entry of pfNames or rootDevices names.
func pfOf(entry string) string {
	name, _, _ := strings.Cut(entry, "#")
	return name
}
