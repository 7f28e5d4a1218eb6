// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodepolicy

import (
	"cmp"
	"reflect"
	"slices"
	"sync"
)

// board holds what became of every node, for the status of policies. It may be used
// from several goroutines.
type board struct {
	mu sync.Mutex
	// basis is the number of the basis that is being worked off, and open are the
	// nodes that were not yet rendered from it.
	basis uint64
	open  map[string]struct{}
	nodes map[string]summary
	// ready is what was last told of each policy.
	ready map[string]verdict
}

// change is what a node's summary means to others.
type change struct {
	// policies are those whose status may differ now.
	policies []string
	// complete says that this node was the last one of the basis.
	complete bool
}

func newBoard() *board {
	return &board{open: map[string]struct{}{}, nodes: map[string]summary{}, ready: map[string]verdict{}}
}

// begin starts a basis with the nodes that are rendered from it.
func (b *board) begin(basis uint64, nodes []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.basis = basis
	b.open = make(map[string]struct{}, len(nodes))
	for _, n := range nodes {
		b.open[n] = struct{}{}
	}
}

// busy reports whether nodes are still to be rendered from the basis.
func (b *board) busy() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.open) > 0
}

// put notes what became of a node with a basis.
func (b *board) put(node string, basis uint64, s summary) change {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.nodes[node]
	b.nodes[node] = s
	return b.close(node, basis, was, s)
}

// drop forgets a node that is not looked after.
func (b *board) drop(node string, basis uint64) change {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.nodes[node]
	delete(b.nodes, node)
	return b.close(node, basis, was, summary{})
}

func (b *board) close(node string, basis uint64, was, is summary) change {
	var c change
	if _, open := b.open[node]; open && basis == b.basis {
		delete(b.open, node)
		c.complete = len(b.open) == 0
	}
	if reflect.DeepEqual(was, is) {
		return c
	}
	for name := range was.shares {
		c.policies = append(c.policies, name)
	}
	for name := range is.shares {
		if _, had := was.shares[name]; !had {
			c.policies = append(c.policies, name)
		}
	}
	slices.Sort(c.policies)
	return c
}

// tally is what became of one policy on all nodes.
type tally struct {
	nodes, pfs, synced, failed int
	// idle are the nodes on which no PF matches, and lost those on which the policy
	// selects PFs and nothing of it stands.
	idle, lost int
	// losses is how many of its wishes do not stand, and sentences tell the first.
	losses    int
	sentences []string
	// failure tells of the first failed node, and lostTo why nothing stands on the
	// first of the lost; empty when there is none.
	failure string
	lostTo  string
}

// count adds up a policy over all nodes, in the order of their names. It is false
// while nodes are still to be rendered from the basis.
func (b *board) count(policy string, basis uint64) (tally, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var t tally
	if len(b.open) > 0 || basis != b.basis {
		return t, false
	}
	type told struct {
		node string
		s    summary
		p    share
	}
	var remarkable []told
	for node, s := range b.nodes {
		p, ok := s.shares[policy]
		if !ok {
			continue
		}
		t.add(s.standing, p)
		if s.standing == failed || p.losses > 0 || p.overruled() {
			remarkable = append(remarkable, told{node, s, p})
		}
	}
	slices.SortFunc(remarkable, func(a, b told) int { return cmp.Compare(a.node, b.node) })
	for _, r := range remarkable {
		if r.s.standing == failed && t.failure == "" {
			t.failure = "node " + r.node + ": " + cmp.Or(r.s.cause, "its daemon gives no reason")
		}
		if r.p.overruled() && t.lostTo == "" {
			t.lostTo = "node " + r.node + ": " + r.p.reason.Sentence()
		}
		t.sentences = append(t.sentences, r.p.sentences[:min(len(r.p.sentences), maxSentences-len(t.sentences))]...)
	}
	return t, true
}

func (t *tally) add(s standing, p share) {
	t.nodes++
	t.pfs += p.pfs
	t.losses += p.losses
	switch s {
	case synced:
		t.synced++
	case failed:
		t.failed++
	case pending:
	}
	switch {
	case p.pfs == 0:
		t.idle++
	case p.overruled():
		t.lost++
	}
}

// tell notes what a policy's status says; nil forgets the policy.
func (b *board) tell(policy string, v *verdict) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if v == nil {
		delete(b.ready, policy)
		return
	}
	b.ready[policy] = *v
}

// totals are the numbers for metrics.
type totals struct {
	nodes     map[standing]int
	ready     map[bool]int
	conflicts int
	// broken are what cannot be read of ConfigMaps.
	broken int
}

func (b *board) totals() totals {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := totals{nodes: map[standing]int{pending: 0, synced: 0, failed: 0}, ready: map[bool]int{true: 0, false: 0}}
	for _, s := range b.nodes {
		t.nodes[s.standing]++
	}
	for _, v := range b.ready {
		t.ready[v.ready()]++
		t.conflicts += v.losses
	}
	return t
}
