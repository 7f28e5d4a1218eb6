// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kubeovn/sriov-network-operator/internal/rollout"
)

// fleet is a cluster as it goes on: nodes ask, drain, are changed, fail and come back, in
// any order, and verdicts are carried out late.
type fleet struct {
	pools   []rollout.Pool
	nodes   []rollout.Node
	now     time.Time
	pending map[string]rollout.Move
	// stuck are the nodes whose pods never leave.
	stuck map[string]bool
}

func drawFleet(t *rapid.T) *fleet {
	f := &fleet{now: noon(), pending: map[string]rollout.Move{}, stuck: map[string]bool{}}
	var names []string
	for i := range rapid.IntRange(0, 3).Draw(t, "pools") {
		name := fmt.Sprintf("pool-%d", i)
		names = append(names, name)
		limit := rapid.SampledFrom([]rollout.Limit{
			rollout.Unlimited(), rollout.Count(0), rollout.Count(1), rollout.Count(3), rollout.Percent(1), rollout.Percent(40),
		}).Draw(t, "limit")
		f.pools = append(f.pools, rollout.Pool{Name: name, Limit: limit})
	}
	for i := range rapid.IntRange(1, 12).Draw(t, "nodes") {
		n := rollout.Node{Name: fmt.Sprintf("node-%02d", i)}
		if len(names) > 0 {
			n.Pools = rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, min(2, len(names)), rapid.ID).Draw(t, "pools of a node")
		}
		f.nodes = append(f.nodes, n)
	}
	return f
}

func (f *fleet) decide() rollout.Rollout { return rollout.Decide(f.pools, f.nodes, f.now, patience) }

func (f *fleet) node(name string) *rollout.Node {
	i := slices.IndexFunc(f.nodes, func(n rollout.Node) bool { return n.Name == name })
	return &f.nodes[i]
}

// obey notes the slots, at once, as the controller does, and what else is to be done.
func (f *fleet) obey(r rollout.Rollout) {
	for _, v := range r.Verdicts {
		f.node(v.Node).Slot = v.Move.HasSlot()
		f.pending[v.Node] = v.Move
	}
}

// carry does what the last verdict about a node asks for.
func (f *fleet) carry(name string) {
	n := f.node(name)
	switch f.pending[name] {
	case rollout.Go, rollout.Keep:
		if n.Held == rollout.Idle && n.Slot {
			n.Held, n.Since = rollout.Draining, f.now
		}
	case rollout.Yield:
		n.Held, n.Since, n.Slot = rollout.Idle, f.now, false
	case rollout.Finish:
		n.Held, n.Since, n.Slot = rollout.Idle, time.Time{}, false
	case rollout.Rest, rollout.Wait, rollout.Leave:
	}
	delete(f.pending, name)
}

// happen lets one thing happen to a node.
func (f *fleet) happen(t *rapid.T, n *rollout.Node) {
	switch rapid.SampledFrom([]string{"carry", "carry", "ask", "ask", "drained", "done", "health", "cordon", "time", "stuck"}).Draw(t, "event") {
	case "carry":
		f.carry(n.Name)
	case "ask":
		if !n.Asks && n.Held == rollout.Idle {
			n.Asks, n.Since = true, f.now
		}
	case "drained":
		if n.Held == rollout.Draining && !f.stuck[n.Name] {
			n.Held = rollout.Drained
		}
	case "done":
		n.Asks = n.Asks && n.Held != rollout.Drained
	case "health":
		n.Health = rapid.SampledFrom([]rollout.Health{rollout.Ready, rollout.NotReady, rollout.Lost}).Draw(t, "health")
	case "cordon":
		n.Cordoned = !n.Cordoned
	case "stuck":
		f.stuck[n.Name] = !f.stuck[n.Name]
	}
	f.now = f.now.Add(time.Duration(rapid.IntRange(0, 400).Draw(t, "seconds")) * time.Second)
}

// members are the nodes of a pool.
func (f *fleet) members(pool rollout.Pool) []rollout.Node {
	var out []rollout.Node
	for _, n := range f.nodes {
		if slices.Contains(n.Pools, pool.Name) || len(n.Pools) == 0 && pool.Name == rollout.BuiltIn {
			out = append(out, n)
		}
	}
	return out
}

func (f *fleet) all() []rollout.Pool {
	return append([]rollout.Pool{{Name: rollout.BuiltIn, Limit: rollout.Count(1)}}, f.pools...)
}

func outOfItself(n rollout.Node) bool { return n.Health != rollout.Ready || n.Cordoned }

// check says which law a decision breaks.
func (f *fleet) check(r rollout.Rollout) error {
	moves := map[string]rollout.Verdict{}
	for _, v := range r.Verdicts {
		moves[v.Node] = v
	}
	for _, pool := range f.all() {
		members := f.members(pool)
		limit, limited := pool.Limit.Of(len(members))
		out, slots, gone := 0, 0, 0
		for _, n := range members {
			has := moves[n.Name].Move.HasSlot()
			if has {
				slots++
			}
			if has || outOfItself(n) {
				out++
			}
			if moves[n.Name].Move == rollout.Go {
				gone++
				if limited && outOfItself(n) {
					out-- // makes no more nodes out, whatever the count
				}
			}
		}
		if limited && gone > 0 && slots > limit {
			return fmt.Errorf("pool %q: %d have a slot, of %d", pool.Name, slots, limit)
		}
		if err := f.checkQueue(pool, members, moves, limited, limit); err != nil {
			return err
		}
		if err := f.checkStuck(pool, members, moves, limit); err != nil {
			return err
		}
		newly := slices.ContainsFunc(members, func(n rollout.Node) bool { return moves[n.Name].Move == rollout.Go && !outOfItself(n) })
		if limited && newly && out > limit {
			return fmt.Errorf("pool %q: a node was taken out and %d are out, of %d", pool.Name, out, limit)
		}
	}
	for _, n := range f.nodes {
		if n.Held == rollout.Drained && n.Asks && moves[n.Name].Move != rollout.Keep {
			return fmt.Errorf("%s is being changed and is told to %v", n.Name, moves[n.Name].Move)
		}
		if move := moves[n.Name].Move; n.Slot && n.Asks && move != rollout.Keep && move != rollout.Yield {
			return fmt.Errorf("%s was given a slot and is told to %v", n.Name, move)
		}
	}
	return nil
}

// checkQueue: no slot stays free while a node waits that may have it, and nobody who
// waits is overtaken by who began to wait later and takes up room for it.
func (f *fleet) checkQueue(pool rollout.Pool, members []rollout.Node, moves map[string]rollout.Verdict, limited bool, limit int) error {
	out, slots := 0, 0
	for _, n := range members {
		if moves[n.Name].Move.HasSlot() {
			slots++
		}
		if moves[n.Name].Move.HasSlot() || outOfItself(n) {
			out++
		}
	}
	for _, n := range members {
		v := moves[n.Name]
		if v.Move != rollout.Wait || len(n.Pools) > 1 || n.Health == rollout.Lost {
			continue
		}
		if !limited || slots < limit && (out < limit || outOfItself(n)) {
			return fmt.Errorf("pool %q: %s waits (%v) and there is a slot: %d out, %d slots, of %d", pool.Name, n.Name, v.Cause, out, slots, limit)
		}
		for _, other := range members {
			if moves[other.Name].Move == rollout.Go && other.Since.After(n.Since) && !outOfItself(other) {
				return fmt.Errorf("pool %q: %s overtakes %s", pool.Name, other.Name, n.Name)
			}
		}
	}
	return nil
}

// checkStuck: no drain that takes too long keeps a turn which another node could have.
func (f *fleet) checkStuck(pool rollout.Pool, members []rollout.Node, moves map[string]rollout.Verdict, limit int) error {
	out, slots := 0, 0
	for _, n := range members {
		switch has := moves[n.Name].Move.HasSlot(); {
		case moves[n.Name].Move == rollout.Yield:
			return nil // somebody makes room
		case has:
			slots, out = slots+1, out+1
		case outOfItself(n):
			out++
		}
	}
	for _, holder := range members {
		late := holder.Held == rollout.Draining && moves[holder.Name].Move == rollout.Keep && !holder.Since.Add(patience).After(f.now)
		if !late || len(holder.Pools) > 1 {
			continue
		}
		left := out - 1
		if outOfItself(holder) {
			left = out
		}
		for _, n := range members {
			v := moves[n.Name]
			if v.Move == rollout.Wait && v.Cause == rollout.Full && len(n.Pools) <= 1 && slots-1 < limit && (left < limit || outOfItself(n)) {
				return fmt.Errorf("pool %q: %s drains for too long and keeps a turn that %s could have", pool.Name, holder.Name, n.Name)
			}
		}
	}
	return nil
}

func TestLawNoIdleSlotAndNeverOneTooMany(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFleet(t)
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			f.happen(t, &f.nodes[rapid.IntRange(0, len(f.nodes)-1).Draw(t, "node")])
			r := f.decide()
			if err := f.check(r); err != nil {
				t.Fatalf("%v\nnodes: %+v\npools: %v\nsaid: %s", err, f.nodes, f.pools, said(r))
			}
			f.obey(r)
		}
	})
}

func TestLawTheOrderOfTheInputMeansNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFleet(t)
		for range rapid.IntRange(1, 20).Draw(t, "events") {
			f.happen(t, &f.nodes[rapid.IntRange(0, len(f.nodes)-1).Draw(t, "node")])
			f.obey(f.decide())
		}
		want := f.decide()
		lots := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		lots.Shuffle(len(f.nodes), func(i, j int) { f.nodes[i], f.nodes[j] = f.nodes[j], f.nodes[i] })
		lots.Shuffle(len(f.pools), func(i, j int) { f.pools[i], f.pools[j] = f.pools[j], f.pools[i] })
		for _, n := range f.nodes {
			slices.Reverse(n.Pools)
		}
		if diff := cmp.Diff(want, f.decide(), cmp.AllowUnexported(rollout.Limit{})); diff != "" {
			t.Fatalf("in another order (-want +got):\n%s", diff)
		}
	})
}

func TestLawEveryoneGetsATurnAlthoughSomeDrainsNeverEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFleet(t)
		for i := range f.pools {
			if n, limited := f.pools[i].Limit.Of(1); limited && n == 0 {
				f.pools[i].Limit = rollout.Count(1)
			}
		}
		turns := map[string]bool{}
		for i := range f.nodes {
			n := &f.nodes[i]
			n.Pools = n.Pools[:min(1, len(n.Pools))]
			n.Asks, n.Since = true, f.now
			f.stuck[n.Name] = rapid.Bool().Draw(t, "stuck")
		}
		// Each round lasts as long as a drain may, so every stuck node makes room in time.
		for range 2 * len(f.nodes) {
			f.obey(f.decide())
			for i := range f.nodes {
				n := &f.nodes[i]
				f.carry(n.Name)
				turns[n.Name] = turns[n.Name] || n.Held == rollout.Draining
				if n.Held == rollout.Draining && !f.stuck[n.Name] {
					n.Held, n.Asks = rollout.Drained, false
				}
			}
			f.now = f.now.Add(patience)
		}
		for _, n := range f.nodes {
			if !turns[n.Name] {
				t.Fatalf("%s never got a turn; stuck: %v", n.Name, f.stuck)
			}
		}
	})
}

// BenchmarkDecide is one decision about a thousand nodes that all wait.
func BenchmarkDecide(b *testing.B) {
	f := fleet{pools: []rollout.Pool{{Name: "p", Limit: rollout.Count(10)}}, now: noon()}
	for i := range 1000 {
		f.nodes = append(f.nodes, rollout.Node{Name: fmt.Sprintf("node-%04d", i), Pools: []string{"p"}, Asks: true})
	}
	for b.Loop() {
		f.decide()
	}
}
