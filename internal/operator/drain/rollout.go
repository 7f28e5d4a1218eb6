// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package drain

import (
	"context"
	"slices"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/rollout"
)

// reconcileRollout decides who has a turn, writes it down, and lets the nodes know.
// There is one such item, so that no two decisions are made at the same time.
func (r *reconciler) reconcileRollout(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	p, err := r.look(ctx)
	if err != nil {
		return reconcile.Result{}, err
	}
	held, err := r.slots.read(ctx)
	if err != nil {
		return reconcile.Result{}, err
	}
	now := r.options.Now()
	r.board.complete(p.nodes, held, now)
	pools := make([]rollout.Pool, len(p.pools))
	for i := range p.pools {
		pools[i] = p.pools[i].Pool
	}
	decided := rollout.Decide(pools, p.nodes, now, r.options.Deadline)
	holders := holdersOf(p, decided)
	if err := r.slots.swap(ctx, holders); err != nil {
		return reconcile.Result{}, err
	}
	nodes, told := r.board.publish(turns(p, decided), views(p, decided), viewChanged)
	for _, name := range nodes {
		// What a node waits for is told when nothing is to be done for one with a turn.
		if t, ok := r.board.turn(name); ok && t.Move.HasSlot() {
			r.nodes.AddFirst(name)
		} else {
			r.nodes.Add(name, 0)
		}
	}
	for _, name := range told {
		r.pools.Add(name, tell)
	}
	ctrl.LoggerFrom(ctx).V(1).Info("decided who has a turn", "turns", len(holders), "changed", len(nodes))
	if decided.Again.IsZero() {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{RequeueAfter: max(time.Millisecond, decided.Again.Sub(now))}, nil
}

// holdersOf are the nodes that have a slot from now on. One that only looks as if it had a
// turn gets none: what the cache shows may be long ago, and it counts as it is.
func holdersOf(p picture, decided rollout.Rollout) map[string]string {
	had := map[string]bool{}
	for _, n := range p.nodes {
		had[n.Name] = n.Slot
	}
	out := map[string]string{}
	for _, v := range decided.Verdicts {
		if v.Move == rollout.Go || v.Move.HasSlot() && had[v.Node] {
			out[v.Node] = v.Pool
		}
	}
	return out
}

// turns are what was decided, by node, with what carrying it out depends on.
func turns(p picture, decided rollout.Rollout) map[string]turn {
	scopes := map[string]sriovv1.DisruptionScope{rollout.BuiltIn: sriovv1.DisruptionScopeAffectedPods}
	for _, pool := range p.pools {
		scopes[pool.Name] = pool.scope
	}
	reports := map[string]rollout.Report{}
	shared := map[string][]string{}
	for _, report := range decided.Reports {
		reports[report.Pool.Name] = report
		for _, s := range report.Shared {
			shared[s.Node] = s.Pools
		}
	}
	saw := make(map[string]rollout.Node, len(p.nodes))
	for _, n := range p.nodes {
		saw[n.Name] = n
	}
	out := make(map[string]turn, len(decided.Verdicts))
	for _, v := range decided.Verdicts {
		t := turn{Verdict: v, held: saw[v.Node].Held, scope: scopes[v.Pool], only: p.only, settings: p.settings}
		if v.Move == rollout.Wait {
			t.since, t.waits = saw[v.Node].Since, waiting(v.Cause, reports[v.Pool], shared[v.Node])
		}
		out[v.Node] = t
	}
	return out
}

// views are what becomes of the pools, by name.
func views(p picture, decided rollout.Rollout) map[string]view {
	bad := map[string]error{}
	for _, pool := range p.pools {
		bad[pool.Name] = pool.bad
	}
	out := make(map[string]view, len(decided.Reports))
	for _, report := range decided.Reports {
		out[report.Pool.Name] = view{Report: report, bad: bad[report.Pool.Name]}
	}
	return out
}

// viewChanged reports whether two views of a pool give it another status.
func viewChanged(a, b view) bool {
	return a.Nodes != b.Nodes || a.Limit != b.Limit || a.Limited != b.Limited || (a.bad == nil) != (b.bad == nil) ||
		!slices.Equal(a.Out, b.Out) || !slices.Equal(a.Waiting, b.Waiting) ||
		!slices.EqualFunc(a.Shared, b.Shared, func(x, y rollout.Shared) bool { return x.Node == y.Node && slices.Equal(x.Pools, y.Pools) })
}
