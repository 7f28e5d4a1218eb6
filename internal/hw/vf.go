// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package hw

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// VFRef names a VF by its role, so that a plan can speak of VFs that do not
// exist yet.
type VFRef struct {
	PF    PCIAddr `json:"pf"`
	Index int     `json:"index"`
}

// String is the PF's address and the index, "0000:5f:00.0#3".
func (r VFRef) String() string { return fmt.Sprintf("%s#%d", r.PF, r.Index) }

// VFRange is a run of VF indices, both ends included.
type VFRange struct {
	First int
	Last  int
}

// ParseVFRange reads "a-b" with 0 <= a <= b.
func ParseVFRange(s string) (VFRange, error) {
	first, last, ok := strings.Cut(s, "-")
	if !ok {
		return VFRange{}, fmt.Errorf("VF range %q: it needs a first and a last index, like 2-5", s)
	}
	a, errA := parseIndex(first)
	b, errB := parseIndex(last)
	if errA != nil || errB != nil {
		return VFRange{}, fmt.Errorf("VF range %q: both ends must be whole numbers from 0, like 2-5", s)
	}
	if b < a {
		return VFRange{}, fmt.Errorf("VF range %q: it ends before it starts", s)
	}
	return VFRange{First: a, Last: b}, nil
}

// maxVFIndex bounds what is read from people: PCI numbers VFs with 16 bits.
const maxVFIndex = 0xffff

func parseIndex(s string) (int, error) {
	// ParseUint takes no sign, no blank and no underscore in base 10.
	v, err := strconv.ParseUint(s, 10, 16)
	if err != nil || v > maxVFIndex {
		return 0, fmt.Errorf("index %q", s)
	}
	return int(v), nil
}

// String is "a-b".
func (r VFRange) String() string { return fmt.Sprintf("%d-%d", r.First, r.Last) }

// Contains reports whether the index is in the range.
func (r VFRange) Contains(i int) bool { return r.First <= i && i <= r.Last }

// Overlaps reports whether the ranges share an index.
func (r VFRange) Overlaps(o VFRange) bool { return r.First <= o.Last && o.First <= r.Last }

// Len is the number of indices.
func (r VFRange) Len() int { return r.Last - r.First + 1 }

// MarshalText makes the range a string in JSON and YAML.
func (r VFRange) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is ParseVFRange.
func (r *VFRange) UnmarshalText(text []byte) error {
	v, err := ParseVFRange(string(text))
	if err != nil {
		return err
	}
	*r = v
	return nil
}

// FormatIndices writes VF indices for people: "0-3,6". The order given does not
// matter and an index that is given twice is written once.
func FormatIndices(indices []int) string {
	sorted := slices.Clone(indices)
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)
	var out []string
	for i := 0; i < len(sorted); {
		j := i
		for j+1 < len(sorted) && sorted[j+1] == sorted[j]+1 {
			j++
		}
		if i == j {
			out = append(out, strconv.Itoa(sorted[i]))
		} else {
			out = append(out, fmt.Sprintf("%d-%d", sorted[i], sorted[j]))
		}
		i = j + 1
	}
	return strings.Join(out, ",")
}
