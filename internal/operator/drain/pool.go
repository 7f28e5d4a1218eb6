// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package drain

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/operator/speech"
	"github.com/kubeovn/sriov-network-operator/internal/rollout"
)

// told is the status of pools as it was written last, until the cache shows it.
type told struct {
	mu sync.Mutex
	by map[types.UID]utterance
}

// utterance is a status and the version of the pool that it was written over.
type utterance struct {
	over   string
	status sriovv1.SriovNetworkPoolConfigStatus
}

// latest is the status of the pool, also when the cache does not show it yet.
func (t *told) latest(pool *sriovv1.SriovNetworkPoolConfig) sriovv1.SriovNetworkPoolConfigStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	if u, ok := t.by[pool.UID]; ok && u.over == pool.ResourceVersion {
		return u.status
	}
	delete(t.by, pool.UID)
	return pool.Status
}

func (t *told) note(pool *sriovv1.SriovNetworkPoolConfig, status sriovv1.SriovNetworkPoolConfigStatus) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by == nil {
		t.by = map[types.UID]utterance{}
	}
	t.by[pool.UID] = utterance{over: pool.ResourceVersion, status: status}
}

// blocks notes why a node's drain does not go on, and lets its pool tell.
func (r *reconciler) blocks(node, pool, why string) {
	if r.board.block(node, why) {
		r.pools.Add(pool, tell)
	}
}

// reconcilePool tells a pool what becomes of it.
func (r *reconciler) reconcilePool(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	v, obstacles, ok := r.board.view(request.Name)
	if !ok || request.Name == rollout.BuiltIn { // which has no object to tell it
		return reconcile.Result{}, nil
	}
	var pool sriovv1.SriovNetworkPoolConfig
	if err := r.client.Get(ctx, client.ObjectKey{Namespace: r.options.Namespace, Name: request.Name}, &pool); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	before := r.told.latest(&pool)
	after := statusOf(before, v, obstacles, pool.Generation, metav1.NewTime(r.options.Now()))
	if equality.Semantic.DeepEqual(before, after) {
		return reconcile.Result{}, nil
	}
	text, err := json.Marshal(struct {
		Status sriovv1.SriovNetworkPoolConfigStatus `json:"status"`
	}{after})
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("marshal the status of pool %s: %w", pool.Name, err)
	}
	got := &sriovv1.SriovNetworkPoolConfig{ObjectMeta: metav1.ObjectMeta{Namespace: pool.Namespace, Name: pool.Name}}
	if err := r.client.Status().Patch(ctx, got, client.RawPatch(types.MergePatchType, text), fieldManager); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	r.told.note(&pool, after)
	was, is := meta.FindStatusCondition(before.Conditions, sriovv1.ConditionReady), meta.FindStatusCondition(after.Conditions, sriovv1.ConditionReady)
	if is.Status == metav1.ConditionFalse && (was == nil || was.Reason != is.Reason) {
		r.recorder.Eventf(&pool, nil, corev1.EventTypeWarning, is.Reason, "StatusChange", "%s", speech.Note(is.Message))
	}
	return reconcile.Result{}, nil
}

// statusOf is the status of a pool. The condition keeps its time while its status is the
// same.
func statusOf(before sriovv1.SriovNetworkPoolConfigStatus, v view, obstacles map[string]string, generation int64, now metav1.Time) sriovv1.SriovNetworkPoolConfigStatus {
	out := *before.DeepCopy()
	out.ObservedGeneration, out.MatchedNodeCount = generation, &v.Nodes
	reason, message := judge(v, obstacles)
	status := metav1.ConditionFalse
	if reason == sriovv1.ReasonNodesTakeTurns {
		status = metav1.ConditionTrue
	}
	meta.SetStatusCondition(&out.Conditions, metav1.Condition{
		Type: sriovv1.ConditionReady, Status: status, Reason: reason, Message: message,
		ObservedGeneration: generation, LastTransitionTime: now,
	})
	return out
}

// judge is reason and message of a pool's condition Ready. The first that holds counts.
func judge(v view, obstacles map[string]string) (reason, message string) {
	switch {
	case v.bad != nil:
		return sriovv1.ReasonBadNodeSelector, fmt.Sprintf("spec.nodeSelector cannot be read, so the pool has no nodes: %v", v.bad)
	case len(v.Shared) > 0:
		var all []string
		for _, s := range v.Shared {
			all = append(all, fmt.Sprintf("node %s is in the pools %s", s.Node, strings.Join(s.Pools, " and ")))
		}
		return sriovv1.ReasonNodeInTwoPools, some(all) + "; a node may be in one pool and waits until it is; change nodeSelector of the others"
	case len(obstacles) > 0:
		var all []string
		for _, node := range slices.Sorted(maps.Keys(obstacles)) {
			all = append(all, "node "+node+": "+obstacles[node])
		}
		return sriovv1.ReasonDrainBlocked, some(all) + "; " + standing(v)
	case len(late(v)) > 0:
		return sriovv1.ReasonNodeNotBack, some(late(v)) + "; see the conditions of the node state, and whether its daemon runs; " + standing(v)
	case v.Limited && v.Limit == 0 && len(v.Waiting) > 0:
		return sriovv1.ReasonNoNodeMayGo, "maxUnavailable is 0, so no node goes; " + standing(v)
	}
	return sriovv1.ReasonNodesTakeTurns, standing(v)
}

// late are the nodes that were freed long ago and are still being changed.
func late(v view) []string {
	var all []string
	for _, o := range v.Out {
		if o.Why == rollout.IsChanged && o.Overdue {
			all = append(all, fmt.Sprintf("node %s is being changed since %s", o.Node, o.Since.UTC().Format(time.RFC3339)))
		}
	}
	return all
}

// standing is how the rollout stands.
func standing(v view) string {
	limit := "without a limit"
	if v.Limited {
		limit = fmt.Sprintf("at most %d at a time", v.Limit)
	}
	text := fmt.Sprintf("%d of %s out, %s", len(v.Out), nodes(v.Nodes), limit)
	if len(v.Out) > 0 {
		var all []string
		for _, o := range v.Out {
			all = append(all, fmt.Sprintf("%s (%s)", o.Node, o.Why))
		}
		text += ": " + some(all)
	}
	if n := len(v.Waiting); n > 0 {
		text += fmt.Sprintf("; %d waiting, %s next", n, v.Waiting[0])
	}
	return text
}
