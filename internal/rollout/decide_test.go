// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeovn/sriov-network-operator/internal/rollout"
)

// noon is when the tests happen; patience is how long a drain may take in them.
func noon() time.Time { return time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC) }

const patience = 10 * time.Minute

// before is a time so many minutes ago.
func before(minutes int) time.Time { return noon().Add(-time.Duration(minutes) * time.Minute) }

// said is the verdicts in one line.
func said(r rollout.Rollout) string {
	var all []string
	for _, v := range r.Verdicts {
		text := v.Node + " " + v.Move.String()
		if v.Cause != rollout.NoCause {
			text += " (" + v.Cause.String() + ")"
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

func TestWhoGoes(t *testing.T) {
	in := func(pool string, n rollout.Node) rollout.Node {
		n.Pools = []string{pool}
		return n
	}
	two := []rollout.Pool{{Name: "p", Limit: rollout.Count(2)}}
	tests := map[string]struct {
		pools []rollout.Pool
		nodes []rollout.Node
		want  string
	}{
		"of nodes without a pool one goes at a time, who waits longest first": {
			nodes: []rollout.Node{{Name: "a", Asks: true, Since: before(1)}, {Name: "b", Asks: true, Since: before(2)}, {Name: "c"}},
			want:  "a wait (full), b go, c rest",
		},
		"of nodes that wait equally long the name decides": {
			nodes: []rollout.Node{{Name: "b", Asks: true}, {Name: "a", Asks: true}},
			want:  "a go, b wait (full)",
		},
		"a node that has its turn keeps it": {
			nodes: []rollout.Node{{Name: "a", Asks: true}, {Name: "b", Asks: true, Held: rollout.Draining, Since: before(1)}},
			want:  "a wait (full), b keep",
		},
		"a slot that shows nowhere else yet counts": {
			nodes: []rollout.Node{{Name: "a", Asks: true}, {Name: "b", Asks: true, Slot: true}},
			want:  "a wait (full), b keep",
		},
		"a slot is taken until it was given back, whatever else shows": {
			nodes: []rollout.Node{{Name: "a", Asks: true}, {Name: "b", Slot: true}},
			want:  "a wait (full), b finish",
		},
		"a node is out until it was put back": {
			nodes: []rollout.Node{{Name: "a", Asks: true}, {Name: "b", Held: rollout.Drained}},
			want:  "a wait (full), b finish",
		},
		"a node that is not ready is out": {
			nodes: []rollout.Node{{Name: "a", Asks: true}, {Name: "b", Health: rollout.NotReady}},
			want:  "a wait (full), b rest",
		},
		"a node that somebody else cordoned is out": {
			nodes: []rollout.Node{{Name: "a", Asks: true}, {Name: "b", Cordoned: true}},
			want:  "a wait (full), b rest",
		},
		"a node that is out already may go, since that takes nobody out": {
			nodes: []rollout.Node{{Name: "a", Asks: true, Since: before(1)}, {Name: "b", Asks: true, Cordoned: true}},
			want:  "a wait (full), b go",
		},
		"of nodes that are out already no more go than there are slots": {
			nodes: []rollout.Node{{Name: "a", Asks: true, Cordoned: true}, {Name: "b", Asks: true, Health: rollout.NotReady}},
			want:  "a go, b wait (full)",
		},
		"a node whose kubelet is silent waits and holds up nobody else's slot": {
			pools: two,
			nodes: []rollout.Node{
				in("p", rollout.Node{Name: "a", Asks: true, Health: rollout.Lost}), in("p", rollout.Node{Name: "b", Asks: true}),
			},
			want: "a wait (silent), b go",
		},
		"pools do not depend on each other": {
			pools: []rollout.Pool{{Name: "p", Limit: rollout.Count(1)}, {Name: "q", Limit: rollout.Count(1)}},
			nodes: []rollout.Node{
				in("p", rollout.Node{Name: "a", Asks: true}), in("q", rollout.Node{Name: "b", Asks: true}),
				{Name: "c", Asks: true}, in("q", rollout.Node{Name: "d", Asks: true}),
			},
			want: "a go, b go, c go, d wait (full)",
		},
		"a node in two pools waits, and the others go on": {
			pools: []rollout.Pool{{Name: "p", Limit: rollout.Count(1)}, {Name: "q", Limit: rollout.Count(1)}},
			nodes: []rollout.Node{
				{Name: "a", Asks: true, Pools: []string{"q", "p"}},
				in("p", rollout.Node{Name: "b", Asks: true}), in("q", rollout.Node{Name: "c", Asks: true}),
			},
			want: "a wait (two pools), b go, c go",
		},
		"a node that got into two pools during its turn keeps it and counts in both": {
			pools: []rollout.Pool{{Name: "p", Limit: rollout.Count(1)}, {Name: "q", Limit: rollout.Count(1)}},
			nodes: []rollout.Node{
				{Name: "a", Asks: true, Held: rollout.Drained, Pools: []string{"q", "p"}},
				in("p", rollout.Node{Name: "b", Asks: true}), in("q", rollout.Node{Name: "c", Asks: true}),
			},
			want: "a keep, b wait (full), c wait (full)",
		},
		"a limit of zero lets nobody go": {
			pools: []rollout.Pool{{Name: "p", Limit: rollout.Count(0)}},
			nodes: []rollout.Node{in("p", rollout.Node{Name: "a", Asks: true})},
			want:  "a wait (closed)",
		},
		"without a limit all go": {
			pools: []rollout.Pool{{Name: "p", Limit: rollout.Unlimited()}},
			nodes: []rollout.Node{in("p", rollout.Node{Name: "a", Asks: true}), in("p", rollout.Node{Name: "b", Asks: true})},
			want:  "a go, b go",
		},
		"a percentage lets at least one go": {
			pools: []rollout.Pool{{Name: "p", Limit: rollout.Percent(1)}},
			nodes: []rollout.Node{in("p", rollout.Node{Name: "a", Asks: true}), in("p", rollout.Node{Name: "b", Asks: true})},
			want:  "a go, b wait (full)",
		},
		"a node of other software's is left alone and counts": {
			nodes: []rollout.Node{{Name: "a", Asks: true}, {Name: "b", Asks: true, Held: rollout.Draining, External: true}},
			want:  "a wait (full), b leave",
		},
		"a node of other software's that waits does not count": {
			nodes: []rollout.Node{{Name: "a", Asks: true}, {Name: "b", Asks: true, External: true}},
			want:  "a go, b leave",
		},
		"a drain that takes too long gives its turn to one that waits": {
			nodes: []rollout.Node{{Name: "a", Asks: true}, {Name: "b", Asks: true, Held: rollout.Draining, Since: before(10)}},
			want:  "a wait (full), b yield",
		},
		"a drain that takes too long goes on while nobody waits": {
			nodes: []rollout.Node{{Name: "b", Asks: true, Held: rollout.Draining, Since: before(10)}},
			want:  "b keep",
		},
		"only as many drains give their turn back as others wait": {
			pools: two,
			nodes: []rollout.Node{
				in("p", rollout.Node{Name: "a", Asks: true}),
				in("p", rollout.Node{Name: "b", Asks: true, Held: rollout.Draining, Since: before(11)}),
				in("p", rollout.Node{Name: "c", Asks: true, Held: rollout.Draining, Since: before(12)}),
			},
			want: "a wait (full), b keep, c yield",
		},
		"a node that is being changed is never called back": {
			nodes: []rollout.Node{{Name: "a", Asks: true}, {Name: "b", Asks: true, Held: rollout.Drained, Since: before(100)}},
			want:  "a wait (full), b keep",
		},
		"a drain keeps its turn when giving it back would help nobody": {
			nodes: []rollout.Node{
				{Name: "a", Asks: true}, {Name: "b", Asks: true, Held: rollout.Draining, Since: before(10)}, {Name: "c", Cordoned: true},
			},
			want: "a wait (full), b keep, c rest",
		},
		"a drain gives its turn to a node that is out already": {
			nodes: []rollout.Node{
				{Name: "a", Asks: true, Cordoned: true}, {Name: "b", Asks: true, Held: rollout.Draining, Since: before(10)}, {Name: "c", Cordoned: true},
			},
			want: "a wait (full), b yield, c rest",
		},
		"a drain on a node that is out anyway keeps its turn": {
			nodes: []rollout.Node{{Name: "a", Asks: true}, {Name: "b", Asks: true, Held: rollout.Draining, Cordoned: true, Since: before(10)}},
			want:  "a wait (full), b keep",
		},
		"a drain on a node that is out anyway gives its turn to one that is out already": {
			nodes: []rollout.Node{
				{Name: "a", Asks: true, Cordoned: true}, {Name: "b", Asks: true, Held: rollout.Draining, Health: rollout.Lost, Since: before(10)},
			},
			want: "a wait (full), b yield",
		},
		"drains give their turns back for who is out already and for who is not": {
			pools: two,
			nodes: []rollout.Node{
				in("p", rollout.Node{Name: "a", Asks: true, Cordoned: true}), in("p", rollout.Node{Name: "b", Asks: true}),
				in("p", rollout.Node{Name: "c", Asks: true, Held: rollout.Draining, Since: before(11)}),
				in("p", rollout.Node{Name: "d", Asks: true, Held: rollout.Draining, Since: before(12)}),
			},
			want: "a wait (full), b wait (full), c yield, d yield",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, said(rollout.Decide(test.pools, test.nodes, noon(), patience))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAChangeIsOverdueLaterThanADrain(t *testing.T) {
	for minutes, want := range map[int]bool{10: false, 29: false, 30: true, 100: true} {
		got := rollout.Decide(nil, []rollout.Node{{Name: "a", Asks: true, Held: rollout.Drained, Since: before(minutes)}}, noon(), patience)
		if out := got.Reports[0].Out; len(out) != 1 || out[0].Overdue != want || got.Again.IsZero() != want {
			t.Errorf("after %d minutes: %+v, again at %v, want overdue %v, and to decide again until it is", minutes, out, got.Again, want)
		}
	}
	got := rollout.Decide(nil, []rollout.Node{{Name: "a", Asks: true, Held: rollout.Drained, External: true}}, noon(), patience)
	if got.Reports[0].Out[0].Overdue {
		t.Error("a node of other software's is overdue")
	}
}

func TestLimits(t *testing.T) {
	tests := []struct {
		limit rollout.Limit
		nodes int
		want  string
	}{
		{rollout.Unlimited(), 10, "unlimited: none"},
		{rollout.Count(0), 10, "0: 0"},
		{rollout.Count(3), 10, "3: 3"},
		{rollout.Count(3), 2, "3: 3"},
		{rollout.Percent(1), 10, "1%: 1"},
		{rollout.Percent(10), 10, "10%: 1"},
		{rollout.Percent(11), 10, "11%: 2"},
		{rollout.Percent(33), 3, "33%: 1"},
		{rollout.Percent(34), 3, "34%: 2"},
		{rollout.Percent(100), 7, "100%: 7"},
		{rollout.Percent(50), 0, "50%: 1"},
	}
	for _, test := range tests {
		n, limited := test.limit.Of(test.nodes)
		got := fmt.Sprintf("%v: %d", test.limit, n)
		if !limited {
			got = fmt.Sprintf("%v: none", test.limit)
		}
		if got != test.want {
			t.Errorf("of %d nodes: got %q, want %q", test.nodes, got, test.want)
		}
	}
}

func TestAReportSaysWhoIsOutAndWhoIsNext(t *testing.T) {
	pools := []rollout.Pool{{Name: "p", Limit: rollout.Percent(50)}, {Name: "q", Limit: rollout.Unlimited()}}
	p := []string{"p"}
	got := rollout.Decide(pools, []rollout.Node{
		{Name: "a", Pools: p, Asks: true, Held: rollout.Draining, Since: before(3)},
		{Name: "b", Pools: p, Asks: true, Held: rollout.Drained, Since: before(4)},
		{Name: "c", Pools: p, Health: rollout.NotReady},
		{Name: "d", Pools: p, Cordoned: true},
		{Name: "e", Pools: p, Asks: true, Since: before(1)},
		{Name: "f", Pools: p, Asks: true, Since: before(2)},
		{Name: "g", Pools: []string{"p", "q"}, Asks: true, Since: before(9)},
	}, noon(), patience)
	shared := []rollout.Shared{{Node: "g", Pools: []string{"p", "q"}}}
	want := []rollout.Report{
		{Pool: rollout.Pool{Limit: rollout.Count(1)}, Limit: 1, Limited: true},
		{
			Pool: pools[0], Nodes: 7, Limit: 4, Limited: true,
			Out: []rollout.Outage{
				{Node: "a", Why: rollout.IsDraining, Since: before(3)}, {Node: "b", Why: rollout.IsChanged, Since: before(4)},
				{Node: "c", Why: rollout.IsNotReady}, {Node: "d", Why: rollout.IsCordoned},
			},
			Waiting: []string{"g", "f", "e"},
			Shared:  shared,
		},
		{Pool: pools[1], Nodes: 1, Waiting: []string{"g"}, Shared: shared},
	}
	if diff := cmp.Diff(want, got.Reports, cmp.AllowUnexported(rollout.Limit{})); diff != "" {
		t.Errorf("reports (-want +got):\n%s", diff)
	}
	if want := before(3).Add(patience); !got.Again.Equal(want) {
		t.Errorf("decide again at %v, want %v, when the drain of a has taken too long", got.Again, want)
	}
}
