// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package claims

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/match"
)

// ConfigMap is as much of a ConfigMap as counts here. All are of one namespace.
type ConfigMap struct {
	Name string
	// Data is a text for each key: a node's name, or "default".
	Data map[string]string
	// Binary are the keys whose values are no text. They claim their nodes and
	// cannot be read.
	Binary []string
}

// Selects reports whether a ConfigMap with this name and these labels is read.
func Selects(name string, labels map[string]string) bool {
	return name == sriovv1.ConfigMapSriovConfig || labels[sriovv1.LabelSriovConfigMap] == sriovv1.LabelSriovConfigMapTrue
}

// Standing says how the entries of a node came about.
type Standing int

// The standings.
const (
	// Unclaimed: no key is about the node, so it has no entries.
	Unclaimed Standing = iota
	// Current: the entries are those of the key as it is now.
	Current
	// Kept: the key is broken now, and the entries are those that were in force
	// before it broke.
	Kept
	// Unknown: the key is broken, and what was in force before was never seen.
	// What is rendered for the node already must stay as it is.
	Unknown
)

// String is the standing in one word.
func (s Standing) String() string {
	switch s {
	case Unclaimed:
		return "unclaimed"
	case Current:
		return "current"
	case Kept:
		return "kept"
	case Unknown:
		return "unknown"
	}
	return fmt.Sprintf("Standing(%d)", int(s))
}

// Entry is one item of a key's interfaces, as a policy.
type Entry struct {
	match.Entry
	// Line is where the item begins in the key's text, from 1.
	Line int
}

// Claim is what holds for a node.
type Claim struct {
	// Key is the key that the entries are of: the node's name or "default". With
	// Kept it is the key whose entries are kept.
	Key string
	// ConfigMap is the name of the ConfigMap that Key was read from; empty with
	// Unclaimed and Unknown.
	ConfigMap string
	Standing  Standing
	// Entries are in the order of the text.
	Entries []Entry
}

// Policies are the claim's entries for package render/nodestate.
func (c Claim) Policies() []match.Entry {
	out := make([]match.Entry, 0, len(c.Entries))
	for _, e := range c.Entries {
		out = append(out, e.Entry)
	}
	return out
}

// Claims are what all ConfigMaps claim. It is never changed after Merge and may be
// used from several goroutines. The zero Claims have seen no ConfigMap yet.
type Claims struct {
	byKey map[string]Claim
	// read are the keys that were read, good or bad, so that a text that did not
	// change is not read again.
	read map[place]reading
	nics []catalog.NIC
	seen bool
}

// place is a key of a ConfigMap.
type place struct{ configMap, key string }

// reading is what came of a value.
type reading struct {
	value    value
	entries  []Entry
	problems []Problem
}

// Of is what holds for a node: the claim of its own key, or that of the key
// "default". A node whose own key is broken does not fall back to "default".
func (c Claims) Of(node string) Claim {
	if own, ok := c.byKey[node]; ok {
		return own
	}
	if common, ok := c.byKey[sriovv1.ConfigMapSriovConfigDefaultKey]; ok {
		return common
	}
	return Claim{}
}

// Keys are the keys that claim something, sorted: names of nodes, which may not
// exist, and perhaps "default".
func (c Claims) Keys() []string { return slices.Sorted(maps.Keys(c.byKey)) }

// Merge reads all ConfigMaps that there are now. A key that is broken, or that two
// ConfigMaps have, keeps what last had in force for its node and touches no other;
// without anything to keep it is Unknown. The problems are sorted by key. Neither
// they nor the claims depend on the order of the ConfigMaps.
func Merge(last Claims, now []ConfigMap, nics catalog.Table) (Claims, []Problem) {
	c := Claims{byKey: map[string]Claim{}, read: map[place]reading{}, nics: nics.NICs(), seen: true}
	if !slices.Equal(last.nics, c.nics) {
		last.read = nil // a NIC type may mean something else now
	}
	known := newKinds(nics)
	var problems []Problem
	all := valuesByKey(now)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		values := all[key]
		if !nodeName(key) {
			problems = append(problems, badKeys(key, values)...)
			continue
		}
		found := twice(key, values)
		for _, v := range values {
			at := place{v.configMap, key}
			r, ok := last.read[at]
			if !ok || r.value != v {
				r = read(key, v, known)
			}
			c.read[at] = r
			found = append(found, r.problems...)
		}
		if len(found) == 0 {
			c.byKey[key] = Claim{Key: key, ConfigMap: values[0].configMap, Standing: Current, Entries: c.read[place{values[0].configMap, key}].entries}
		} else {
			c.byKey[key] = last.keep(key)
		}
		problems = append(problems, found...)
	}
	return c, problems
}

// keep is what stays in force for the node of a key that is broken now.
func (c Claims) keep(key string) Claim {
	was := c.Of(key)
	switch {
	case !c.seen || was.Standing == Unknown:
		return Claim{Key: key, Standing: Unknown}
	case was.Standing == Unclaimed:
		was.Key = key
	}
	was.Standing = Kept
	return was
}

// value is what one ConfigMap has for a key.
type value struct {
	configMap string
	text      string
	binary    bool
}

// valuesByKey are the values for each key, sorted by the names of their ConfigMaps.
func valuesByKey(now []ConfigMap) map[string][]value {
	out := map[string][]value{}
	for _, cm := range now {
		for key, text := range cm.Data {
			out[key] = append(out[key], value{configMap: cm.Name, text: text})
		}
		for _, key := range cm.Binary {
			out[key] = append(out[key], value{configMap: cm.Name, binary: true})
		}
	}
	for _, values := range out {
		slices.SortStableFunc(values, func(a, b value) int { return strings.Compare(a.configMap, b.configMap) })
	}
	return out
}

// nodeName reports whether a key can be a node's name. "default" can.
func nodeName(key string) bool { return len(validation.IsDNS1123Subdomain(key)) == 0 }

func badKeys(key string, values []value) []Problem {
	var out []Problem
	for _, v := range values {
		out = append(out, Problem{
			ConfigMap: v.configMap, Key: key,
			Cause: "no node can have this name", Fix: "name the key like the node, or " + sriovv1.ConfigMapSriovConfigDefaultKey,
		})
	}
	return out
}

// twice refuses a key that several ConfigMaps have, in each of them: to choose one
// of them would change a node because of a mistake elsewhere.
func twice(key string, values []value) []Problem {
	if len(values) < 2 {
		return nil
	}
	names := make([]string, 0, len(values))
	for _, v := range values {
		names = append(names, v.configMap)
	}
	var out []Problem
	for i, name := range names {
		others := slices.Delete(slices.Clone(names), i, i+1)
		out = append(out, Problem{
			ConfigMap: name, Key: key,
			Cause: "the key is also in ConfigMap " + strings.Join(others, " and ") + ", and none of them counts", Fix: "keep it in one of them",
		})
	}
	return out
}

// Changed are the keys whose nodes may have to be rendered again, sorted. With
// "default" among them these are all nodes without a key of their own.
func Changed(before, after Claims) []string {
	var out []string
	for _, key := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(before.Keys(), after.Keys())))) {
		was, had := before.byKey[key]
		is, has := after.byKey[key]
		if had != has || !alike(was, is) {
			out = append(out, key)
		}
	}
	return out
}

// alike reports whether two claims render the same. On what lines their entries
// stand does not matter.
func alike(a, b Claim) bool {
	if len(a.Entries) > 0 && len(a.Entries) == len(b.Entries) && &a.Entries[0] == &b.Entries[0] {
		return true // they were read once
	}
	return (a.Standing == Unknown) == (b.Standing == Unknown) && slices.EqualFunc(a.Entries, b.Entries, func(x, y Entry) bool {
		return reflect.DeepEqual(x.Entry, y.Entry)
	})
}
