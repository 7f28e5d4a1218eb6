// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodestate

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/match"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

// Trace says what became of every policy on one node. It is plain data, the same
// for the same inputs.
type Trace struct {
	Node string `json:"node,omitempty"`
	// Policies are in the order of processing: the last one has the last word.
	Policies []PolicyTrace `json:"policies"`
	// PFs are those that a policy selects, sorted by address.
	PFs []PFTrace `json:"pfs"`
}

// PolicyTrace is what became of one policy on a node.
type PolicyTrace struct {
	Policy   string `json:"policy"`
	Source   Source `json:"source,omitzero"`
	Priority int    `json:"priority"`
	// Reason is Won when some wish of the policy stands on some PF; else why
	// none does.
	Reason reason.Reason `json:"reason"`
	// Label is the label that the node lacks, and Got what it has instead, with
	// the reasons NodeNotSelected and NodeNotListed.
	Label match.Label `json:"label,omitzero"`
	Got   string      `json:"got,omitempty"`
	// SelectedPFs is how many PFs of the node the policy selects.
	SelectedPFs int `json:"selectedPFs"`
	// Problems are what is wrong with the policy's fields. With the reason
	// BadPolicy it was left out for them.
	Problems []match.Problem `json:"problems,omitempty"`
}

// PFTrace is what became of the policies that select one PF.
type PFTrace struct {
	PF   hw.PCIAddr `json:"pf"`
	Name string     `json:"name,omitempty"`
	// Outcomes are the policies that select the PF, in the order of processing.
	Outcomes []Outcome `json:"outcomes"`
	// Stands is what stands and who asked for it: the fields, then the VF groups
	// as they were rendered. Empty when no policy counts here.
	Stands []Wish `json:"stands,omitempty"`
	// Losses are the wishes that do not stand as they were asked for.
	Losses []Loss `json:"losses,omitempty"`
	// Notices are what may surprise, in the order of processing.
	Notices []Notice `json:"notices,omitempty"`
	// Rejected says why the PF is left out although policies ask for it; empty
	// when it is not.
	Rejected string `json:"rejected,omitempty"`
}

// Held are the PFs on which nothing stands because they are of another type than
// an entry says, sorted. They are to be left as they are: neither configured nor
// given back, since the entry may be what is wrong.
func (t Trace) Held() []hw.PCIAddr {
	var out []hw.PCIAddr
	for _, pf := range t.PFs {
		guarded := slices.ContainsFunc(pf.Outcomes, func(o Outcome) bool { return o.Reason == reason.NICTypeDiffers })
		if guarded && len(pf.Stands) == 0 {
			out = append(out, pf.PF)
		}
	}
	return out
}

// Outcome is what became of one policy on one PF.
type Outcome struct {
	Policy   string `json:"policy"`
	Priority int    `json:"priority"`
	// Reason is Won when the policy's VF groups are the only ones, Merged when
	// they stand beside others; else why none of them stands.
	Reason reason.Reason `json:"reason"`
	// To is the policy that stands instead, with LostToPriority, LostToName and
	// LostToObject.
	To string `json:"to,omitempty"`
	// Detail is more about the reason, for people.
	Detail string `json:"detail,omitempty"`
}

// Wish is one value that a policy asks for on a PF.
type Wish struct {
	Policy   string `json:"policy"`
	Source   Source `json:"source,omitzero"`
	Priority int    `json:"priority"`
	Field    Field  `json:"field"`
	Value    Value  `json:"value"`
}

// Loss is a wish that does not stand as it was asked for, and what stands
// instead.
type Loss struct {
	Wish
	Stands Wish `json:"stands"`
	// Reason is LostToPriority, LostToName, LostToObject, RaisedByOther or
	// GroupNeedsSwitchdev.
	Reason reason.Reason `json:"reason"`
}

// Notice is something about a policy on a PF that may surprise.
type Notice struct {
	Policy string `json:"policy"`
	reason.Why
}

// Field is what policies can compete for on a PF.
type Field uint8

// The fields.
const (
	FieldNumVFs Field = iota
	FieldMTU
	FieldEswitchMode
	FieldLinkType
	FieldExternallyManaged
	FieldAllowInUse
	FieldGroup
)

// String is the field's name in a policy.
func (f Field) String() string {
	switch f {
	case FieldNumVFs:
		return "numVfs"
	case FieldMTU:
		return "mtu"
	case FieldEswitchMode:
		return "eSwitchMode"
	case FieldLinkType:
		return "linkType"
	case FieldExternallyManaged:
		return "externallyManaged"
	case FieldAllowInUse:
		return "allowInUse"
	case FieldGroup:
		return "VF group"
	}
	return fmt.Sprintf("Field(%d)", uint8(f))
}

// MarshalText makes the field a word in JSON.
func (f Field) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// Value is a field's value: a number, a word, yes or no, or a VF range. It
// becomes text only when somebody reads it, because a large cluster has many.
type Value struct {
	kind  valueKind
	first int32
	last  int32
	word  string
}

type valueKind uint8

const (
	wordValue valueKind = iota
	numberValue
	rangeValue
	boolValue
)

func number(n int) Value { return Value{kind: numberValue, first: clamp(n)} }

// clamp keeps what people write within 32 bits; the API's schema allows more,
// and no such number can stand.
func clamp(n int) int32 { return int32(min(max(n, -1<<31), 1<<31-1)) }

func word[T ~string](s T) Value { return Value{kind: wordValue, word: string(s)} }

func yes(b bool) Value {
	if b {
		return Value{kind: boolValue, first: 1}
	}
	return Value{kind: boolValue}
}

func vfRange(r hw.VFRange) Value {
	return Value{kind: rangeValue, first: clamp(r.First), last: clamp(r.Last)}
}

// String is the value as a policy spells it; an unset word is "unset".
func (v Value) String() string {
	switch v.kind {
	case numberValue:
		return strconv.Itoa(int(v.first))
	case rangeValue:
		return strconv.Itoa(int(v.first)) + "-" + strconv.Itoa(int(v.last))
	case boolValue:
		return strconv.FormatBool(v.first == 1)
	case wordValue:
		if v.unset() {
			return "unset"
		}
	}
	return v.word
}

// unset reports whether the value is a word that nobody gave.
func (v Value) unset() bool { return v.kind == wordValue && v.word == "" }

// MarshalText makes the value a string in JSON.
func (v Value) MarshalText() ([]byte, error) { return []byte(v.String()), nil }
