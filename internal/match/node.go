// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package match

import (
	"cmp"
	"slices"
)

// Label is a label that a node must have, with this value.
type Label struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Labels is a node selector: every label must be equal. It is sorted by key; the
// empty one selects every node.
type Labels []Label

// NewLabels makes a node selector.
func NewLabels(selector map[string]string) Labels {
	labels := make(Labels, 0, len(selector))
	for k, v := range selector {
		labels = append(labels, Label{Key: k, Value: v})
	}
	slices.SortFunc(labels, func(a, b Label) int { return cmp.Compare(a.Key, b.Key) })
	return labels
}

// Missing is the first label that a node with these labels does not have, and
// false when it has them all.
func (l Labels) Missing(node map[string]string) (Label, bool) {
	for _, want := range l {
		if got, ok := node[want.Key]; !ok || got != want.Value {
			return want, true
		}
	}
	return Label{}, false
}
