// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"fmt"
	"hash/fnv"
	"time"
)

// Rule says which requests a fault strikes.
type Rule struct {
	// Match selects requests; nil selects all.
	Match func(Request) bool
	// After spares the first so many that match.
	After int
	// Times is how many of those that are left are struck; 0 is no limit.
	Times int
	// Chance is the part of those that is struck, by the proxy's seed; 0 is all.
	Chance float64
	// Fault is what happens to them.
	Fault Fault
}

// script applies rules to one request after the other.
type script struct {
	seed  uint64
	rules []Rule
	seen  []int              // how many requests matched each rule
	hits  []int              // how many each struck
	same  map[occurrence]int // how often a rule saw the like of a request
}

// occurrence is a kind of request that a rule saw. The user agent is not part of
// it: it carries a version.
type occurrence struct {
	rule                                              int
	verb, group, resource, subresource, space, object string
}

func newScript(seed uint64, rules []Rule) *script {
	return &script{seed: seed, rules: rules, seen: make([]int, len(rules)), hits: make([]int, len(rules)), same: map[occurrence]int{}}
}

// strike returns the fault of the first rule that strikes a request, or nil.
func (s *script) strike(r Request) Fault {
	for i, rule := range s.rules {
		if rule.Match != nil && !rule.Match(r) {
			continue
		}
		s.seen[i]++
		if s.seen[i] <= rule.After || (rule.Times > 0 && s.hits[i] >= rule.Times) || !s.lot(i, rule, r) {
			continue
		}
		s.hits[i]++
		return rule.Fault
	}
	return nil
}

// lot draws for a request. The outcome depends on the seed, the rule and on how
// often the same was asked before, not on what other clients do meanwhile.
func (s *script) lot(index int, rule Rule, r Request) bool {
	if rule.Chance == 0 {
		return true
	}
	o := occurrence{index, r.Verb, r.Group, r.Resource, r.Subresource, r.Namespace, r.Name}
	s.same[o]++
	nth := s.same[o]
	o.space = "" // tests take namespaces with random names
	h := fnv.New64a()
	// The number comes first: what differs in the last byte alone hardly differs in the hash, and a client that
	// tries again would meet the same fault ten times in a row.
	_, _ = fmt.Fprintf(h, "%d %d %#v", nth, s.seed, o) // a hash takes all
	// The hash's low bits vary most evenly.
	const outcomes = 1 << 20
	return float64(h.Sum64()%outcomes) < rule.Chance*outcomes
}

// Storm returns rules for everything that can go wrong at once: about a tenth
// of the reads and a fifth of the writes do not succeed, though some of those
// take effect, and most watches are late, broken, expired or repetitive. Every
// client that tries again gets through.
func Storm() []Rule {
	const soon = 50 * time.Millisecond
	return []Rule{
		{Match: Watches, Chance: 0.15, Fault: Drop{Events: 3}},
		{Match: Watches, Chance: 0.15, Fault: Expire{Events: 5}},
		{Match: Watches, Chance: 0.15, Fault: End{Events: 2}},
		{Match: Watches, Chance: 0.2, Fault: Delay{By: 4 * soon}},
		{Match: Watches, Chance: 0.5, Fault: Repeat{}},
		{Match: Writes, Chance: 0.04, Fault: Answer{Code: 409}},
		{Match: Writes, Chance: 0.04, Fault: Answer{Code: 500}},
		{Match: Writes, Chance: 0.04, Fault: Answer{Code: 429, RetryAfter: time.Second}},
		{Match: Writes, Chance: 0.04, Fault: Cut{}},
		{Match: Writes, Chance: 0.02, Fault: Drop{}},
		{Match: Writes, Chance: 0.1, Fault: Delay{By: soon}},
		{Match: Reads, Chance: 0.03, Fault: Answer{Code: 500}},
		{Match: Reads, Chance: 0.03, Fault: Answer{Code: 429, RetryAfter: time.Second}},
		{Match: Reads, Chance: 0.03, Fault: Cut{Bytes: 100}},
		{Match: Reads, Chance: 0.1, Fault: Delay{By: soon}},
	}
}
