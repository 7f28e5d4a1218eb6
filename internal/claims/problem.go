// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package claims

import (
	"fmt"
	"strings"
)

// Problem is why a key is broken.
type Problem struct {
	ConfigMap string `json:"configMap"`
	Key       string `json:"key"`
	// Line and Column are a place in the key's text, from 1; 0 when not known.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Field is the path in the text, as it is spelt there: "interfaces[1].vfs".
	// It is empty when the problem is about the whole text.
	Field string `json:"field,omitempty"`
	// Cause is what is wrong, with the value, as a phrase.
	Cause string `json:"cause"`
	// Fix is what to write instead, as a phrase; empty when Cause says it.
	Fix string `json:"fix,omitempty"`
}

// String is everything in one line.
func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "ConfigMap %s, key %s", p.ConfigMap, p.Key)
	if p.Line > 0 {
		fmt.Fprintf(&b, ", line %d", p.Line)
	}
	if p.Column > 0 {
		fmt.Fprintf(&b, ", column %d", p.Column)
	}
	for _, part := range []string{p.Field, p.Cause} {
		if part != "" {
			b.WriteString(": " + part)
		}
	}
	if p.Fix != "" {
		b.WriteString("; " + p.Fix)
	}
	return b.String()
}
