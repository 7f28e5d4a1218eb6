// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package drain

import (
	"sync"
	"time"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/rollout"
)

// board is what the work items know of each other.
type board struct {
	mu    sync.Mutex
	turns map[string]turn
	views map[string]view
	// asked is when a node was first seen asking, until the node says so itself.
	asked map[string]time.Time
	// released are nodes whose turn has ended, until the cache shows it.
	released map[string]bool
	// blocked says why a node's drain does not go on, or did not when it lost its turn.
	blocked map[string]string
}

// turn is what was decided about a node, and what carrying it out depends on.
type turn struct {
	rollout.Verdict
	// held is how far the node was, as far as was known.
	held rollout.Held
	// since is when the node began to wait.
	since time.Time
	// waits says for people why the node waits.
	waits    string
	scope    sriovv1.DisruptionScope
	only     bool
	settings settings
}

// view is what the status of a pool is made from.
type view struct {
	rollout.Report
	bad error
}

func newBoard() *board {
	return &board{
		turns: map[string]turn{}, views: map[string]view{}, asked: map[string]time.Time{},
		released: map[string]bool{}, blocked: map[string]string{},
	}
}

// complete adds to the nodes of a picture what only the board knows: since when they
// ask, and whose turn has ended.
func (b *board) complete(nodes []rollout.Node, slots map[string]string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range nodes {
		n := &nodes[i]
		_, n.Slot = slots[n.Name]
		n.Slot = n.Slot && !b.released[n.Name]
		switch {
		case !n.Asks:
			delete(b.asked, n.Name)
		case n.Since.IsZero():
			if _, ok := b.asked[n.Name]; !ok {
				b.asked[n.Name] = now
			}
			n.Since = b.asked[n.Name]
		}
	}
}

// publish replaces what was decided, and returns the nodes and pools about which
// something else was decided than before.
func (b *board) publish(turns map[string]turn, views map[string]view, changed func(a, b view) bool) (nodes, pools []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, t := range turns {
		if was, ok := b.turns[name]; !ok || was != t {
			nodes = append(nodes, name)
		}
		if t.Move == rollout.Go || !t.Move.HasSlot() {
			delete(b.released, name)
		}
	}
	for name := range b.turns {
		if _, ok := turns[name]; !ok {
			nodes = append(nodes, name)
			delete(b.released, name)
			delete(b.blocked, name)
			delete(b.asked, name)
		}
	}
	for name, v := range views {
		if was, ok := b.views[name]; !ok || changed(was, v) {
			pools = append(pools, name)
		}
	}
	b.turns, b.views = turns, views
	return nodes, pools
}

// turn is what was decided about a node, and false before the first decision.
func (b *board) turn(node string) (turn, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t, ok := b.turns[node]
	return t, ok
}

// release notes that a node's turn has ended.
func (b *board) release(node string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.released[node] = true
}

func (b *board) isReleased(node string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.released[node]
}

// block notes why a node's drain does not go on, and reports whether that is news. Empty
// is that nothing is in its way.
func (b *board) block(node, why string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.blocked[node] == why {
		return false
	}
	if why == "" {
		delete(b.blocked, node)
	} else {
		b.blocked[node] = why
	}
	return true
}

// obstacle is why a node's drain does not go on; empty when nothing is in its way.
func (b *board) obstacle(node string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.blocked[node]
}

// view is what a pool's status is made from, with the obstacles of its nodes.
func (b *board) view(pool string) (v view, obstacles map[string]string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	v, ok = b.views[pool]
	obstacles = map[string]string{}
	for _, o := range v.Out {
		if why := b.blocked[o.Node]; why != "" && o.Overdue {
			obstacles[o.Node] = why
		}
	}
	for _, node := range v.Waiting {
		if why := b.blocked[node]; why != "" {
			obstacles[node] = why
		}
	}
	return v, obstacles, ok
}

// counts are how many nodes wait, drain and are being changed.
func (b *board) counts() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[string]int{nodesWaiting: 0, nodesDraining: 0, nodesChanging: 0, nodesBlocked: len(b.blocked)}
	seen := map[string]bool{}
	for _, v := range b.views {
		for _, node := range v.Waiting {
			out[nodesWaiting] += once(seen, node)
		}
		for _, o := range v.Out {
			switch o.Why {
			case rollout.IsDraining:
				out[nodesDraining] += once(seen, o.Node)
			case rollout.IsChanged:
				out[nodesChanging] += once(seen, o.Node)
			case rollout.IsNotReady, rollout.IsCordoned:
			}
		}
	}
	return out
}

// once is 1 for a name that was not seen before: a node in two pools counts once.
func once(seen map[string]bool, name string) int {
	if seen[name] {
		return 0
	}
	seen[name] = true
	return 1
}
