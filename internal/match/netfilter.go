// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package match

import "strings"

// NetFilter is a network of a virtual deployment, "openstack/NetworkID:<uuid>":
// a key and a value. The zero NetFilter matches nothing.
type NetFilter struct{ Key, Value string }

// blanks are what separates words here: what \s means in Go's regular
// expressions, which the format was first defined by.
const blanks = " \t\n\f\r"

// ParseNetFilter reads the first line that begins with "key:value"; blanks around
// key, colon and value do not count, and what follows the value does not either.
// Where a word holds several colons, the last one that a value follows divides
// key and value.
func ParseNetFilter(s string) (NetFilter, bool) {
	for {
		if f, ok := leadingPair(strings.TrimLeft(s, blanks)); ok {
			return f, true
		}
		_, rest, ok := strings.Cut(s, "\n")
		if !ok {
			return NetFilter{}, false
		}
		s = rest
	}
}

// leadingPair reads the pair that the text, which has no leading blanks, begins
// with.
func leadingPair(s string) (NetFilter, bool) {
	word, rest := cutWord(s)
	next, _ := cutWord(strings.TrimLeft(rest, blanks))
	// "key : value" and "key :value".
	if value, ok := strings.CutPrefix(next, ":"); ok && word != "" {
		if value == "" {
			_, after := cutWord(strings.TrimLeft(rest, blanks))
			value, _ = cutWord(strings.TrimLeft(after, blanks))
		}
		if value != "" {
			return NetFilter{Key: word, Value: value}, true
		}
	}
	// "key:value" and "key: value".
	for i := strings.LastIndexByte(word, ':'); i > 0; i = strings.LastIndexByte(word[:i], ':') {
		if value := word[i+1:]; value != "" {
			return NetFilter{Key: word[:i], Value: value}, true
		}
		if next != "" {
			return NetFilter{Key: word[:i], Value: next}, true
		}
	}
	return NetFilter{}, false
}

// cutWord divides the text after its first word.
func cutWord(s string) (word, rest string) {
	if i := strings.IndexAny(s, blanks); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}
