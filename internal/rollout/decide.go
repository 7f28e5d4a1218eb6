// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// changes is how many times longer than a drain the change of a node may take before it
// counts as overdue: a big server needs a quarter of an hour to restart.
const changes = 3

// Decide says what becomes of every node now. A drain that takes longer than patience
// gives its turn back when another node could go instead. The order of pools and nodes
// means nothing; names must differ. A pool that a node names and that is not among the
// pools counts as none.
func Decide(pools []Pool, nodes []Node, now time.Time, patience time.Duration) Rollout {
	d := newDecision(pools, nodes, now, patience)
	d.settle()
	d.admit()
	d.revoke()
	return d.result()
}

// decision is a rollout as it is made.
type decision struct {
	now      time.Time
	patience time.Duration
	nodes    []*member
	pools    map[string]*ring
}

// member is a node with its pools.
type member struct {
	Node
	rings []*ring
	out   bool
	Verdict
}

// ring is a pool with its nodes.
type ring struct {
	Pool
	members []*member
	limit   int
	limited bool
	// out is how many nodes are out, and slots how many have a slot.
	out, slots int
}

func newDecision(pools []Pool, nodes []Node, now time.Time, patience time.Duration) *decision {
	d := &decision{now: now, patience: patience, pools: map[string]*ring{BuiltIn: {Pool: Pool{Name: BuiltIn, Limit: Count(1)}}}}
	for _, p := range pools {
		d.pools[p.Name] = &ring{Pool: p}
	}
	for _, n := range nodes {
		m := &member{Node: n, Verdict: Verdict{Node: n.Name}}
		for _, name := range n.Pools {
			if r, ok := d.pools[name]; ok {
				m.rings = append(m.rings, r)
			}
		}
		if len(m.rings) == 0 {
			m.rings = []*ring{d.pools[BuiltIn]}
		}
		slices.SortFunc(m.rings, func(a, b *ring) int { return cmp.Compare(a.Name, b.Name) })
		m.rings = slices.Compact(m.rings)
		m.Pool = m.rings[0].Name
		for _, r := range m.rings {
			r.members = append(r.members, m)
		}
		d.nodes = append(d.nodes, m)
	}
	for _, r := range d.pools {
		r.limit, r.limited = r.Limit.Of(len(r.members))
	}
	// Who waits longest goes first.
	slices.SortFunc(d.nodes, func(a, b *member) int {
		return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.Name, b.Name))
	})
	return d
}

// settle says what does not depend on other nodes, and counts who is out.
func (d *decision) settle() {
	for _, m := range d.nodes {
		m.Move, m.Cause = settled(m)
		m.out = m.Move.HasSlot() || m.External && m.Held != Idle || m.Health != Ready || m.Cordoned
		for _, r := range m.rings {
			if m.out {
				r.out++
			}
			if m.Move.HasSlot() || m.External && m.Held != Idle {
				r.slots++
			}
		}
	}
}

// settled is the move of a node as far as it depends on the node alone. One that waits
// without a cause may go when there is a slot.
func settled(m *member) (Move, Cause) {
	switch {
	case m.External:
		return Leave, NoCause
	case !m.Asks && (m.Held != Idle || m.Slot):
		return Finish, NoCause
	case !m.Asks:
		return Rest, NoCause
	case m.Held != Idle || m.Slot:
		return Keep, NoCause
	case len(m.rings) > 1:
		return Wait, TwoPools
	case m.Health == Lost:
		return Wait, Silent
	}
	return Wait, NoCause
}

// admit lets nodes go while there are slots, in the order in which they wait.
func (d *decision) admit() {
	for _, m := range d.nodes {
		if m.Move != Wait || m.Cause != NoCause {
			continue
		}
		r := m.rings[0]
		if m.Cause = r.obstacle(m); m.Cause != NoCause {
			continue
		}
		m.Move = Go
		r.slots++
		if !m.out {
			m.out = true
			r.out++
		}
	}
}

// obstacle is why a node of the pool cannot go now. Taking a node that is out already
// makes no more nodes out; it needs a slot all the same, because who keeps it out now
// may end that at any time.
func (r *ring) obstacle(m *member) Cause {
	switch {
	case !r.limited:
		return NoCause
	case r.limit == 0:
		return Closed
	case r.slots >= r.limit, !m.out && r.out >= r.limit:
		return Full
	}
	return NoCause
}

// revoke takes turns back from drains that do not end, as many as let others go.
func (d *decision) revoke() {
	for _, r := range d.pools {
		if r.limited && r.limit > 0 {
			d.revokeIn(r)
		}
	}
}

// revokeIn takes turns back in one pool. A node that waits and is out already needs a
// slot, which any drain can give; one in service needs another back in service, too, and
// a node that is out for other reasons as well would not be.
func (d *decision) revokeIn(r *ring) {
	var out, in int
	var stuck, serving []*member
	for _, m := range d.nodes { // the longest drain first
		switch {
		case m.rings[0] != r || len(m.rings) > 1:
		case m.Move == Wait && m.Cause == Full && m.out:
			out++
		case m.Move == Wait && m.Cause == Full:
			in++
		case m.Move == Keep && m.Held == Draining && d.overdue(m):
			stuck = append(stuck, m)
			if m.Health == Ready && !m.Cordoned {
				serving = append(serving, m)
			}
		}
	}
	over := r.slots - r.limit
	if takeBack(serving, r.out-r.limit, in) > 0 {
		over = r.slots - r.out // what made up for nodes that are out without a slot is a slot
	}
	takeBack(slices.DeleteFunc(stuck, func(m *member) bool { return m.Move == Yield }), over, out)
}

// takeBack takes turns from the first of the drains for so many nodes that wait, and
// returns how many. What is over the limit must be made up for before it helps anybody.
func takeBack(stuck []*member, over, waiting int) int {
	if waiting == 0 || len(stuck) <= over {
		return 0
	}
	n := max(0, min(len(stuck), over+waiting))
	for _, m := range stuck[:n] {
		m.Move = Yield
	}
	return n
}

// due is when a node that has its turn has kept it for longer than it should.
func (d *decision) due(m *member) time.Time {
	if m.Held == Drained {
		return m.Since.Add(changes * d.patience)
	}
	return m.Since.Add(d.patience)
}

func (d *decision) overdue(m *member) bool {
	return m.Held != Idle && !m.External && !d.due(m).After(d.now)
}

// result is the decision as its readers want it.
func (d *decision) result() Rollout {
	var out Rollout
	for _, m := range d.nodes {
		out.Verdicts = append(out.Verdicts, m.Verdict)
		if m.Move != Keep || m.Held == Idle || d.overdue(m) {
			continue
		}
		if end := d.due(m); out.Again.IsZero() || end.Before(out.Again) {
			out.Again = end
		}
	}
	slices.SortFunc(out.Verdicts, func(a, b Verdict) int { return strings.Compare(a.Node, b.Node) })
	for _, r := range d.pools {
		out.Reports = append(out.Reports, d.report(r))
	}
	slices.SortFunc(out.Reports, func(a, b Report) int { return strings.Compare(a.Pool.Name, b.Pool.Name) })
	return out
}

// report is what becomes of a pool.
func (d *decision) report(r *ring) Report {
	out := Report{Pool: r.Pool, Nodes: len(r.members), Limit: r.limit, Limited: r.limited}
	for _, m := range d.nodes {
		if !slices.Contains(m.rings, r) {
			continue
		}
		if m.Move == Wait {
			out.Waiting = append(out.Waiting, m.Name)
		}
		if m.out {
			out.Out = append(out.Out, d.outage(m))
		}
		if len(m.rings) > 1 {
			s := Shared{Node: m.Name}
			for _, other := range m.rings {
				s.Pools = append(s.Pools, other.Name)
			}
			out.Shared = append(out.Shared, s)
		}
	}
	slices.SortFunc(out.Out, func(a, b Outage) int { return strings.Compare(a.Node, b.Node) })
	slices.SortFunc(out.Shared, func(a, b Shared) int { return strings.Compare(a.Node, b.Node) })
	return out
}

func (d *decision) outage(m *member) Outage {
	o := Outage{Node: m.Name, Why: IsCordoned}
	switch {
	case m.Held == Drained:
		o.Why, o.Since, o.Overdue = IsChanged, m.Since, d.overdue(m)
	case m.Held == Draining || m.Move.HasSlot():
		o.Why, o.Since = IsDraining, m.Since
		o.Overdue = d.overdue(m)
	case m.Health != Ready:
		o.Why = IsNotReady
	}
	return o
}
