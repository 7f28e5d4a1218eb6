// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package drain

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/operator/speech"
	"github.com/kubeovn/sriov-network-operator/internal/rollout"
)

// reconcileNode carries out what was decided about a node.
func (r *reconciler) reconcileNode(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	name := request.Name
	var node corev1.Node
	if err := r.client.Get(ctx, client.ObjectKey{Name: name}, &node); err != nil {
		r.pods.end(name)
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	var state sriovv1.SriovNetworkNodeState
	if err := r.client.Get(ctx, client.ObjectKey{Namespace: r.options.Namespace, Name: name}, &state); err != nil {
		if client.IgnoreNotFound(err) != nil {
			return reconcile.Result{}, fmt.Errorf("read node state %s: %w", name, err)
		}
		return reconcile.Result{}, r.forget(ctx, &node)
	}
	t, decided := r.board.turn(name)
	if !decided {
		return reconcile.Result{}, nil // the first decision brings every node back
	}
	if t.Move == rollout.Leave || external(&state) {
		r.pods.end(name)
		return reconcile.Result{}, nil
	}
	if err := r.begin(ctx, &node, &state); err != nil {
		return reconcile.Result{}, err
	}
	return r.carryOut(ctx, t, &node, &state)
}

// forget puts a node back of which there is no node state any more, and ends its turn.
// The node is from the cache.
func (r *reconciler) forget(ctx context.Context, node *corev1.Node) error {
	r.pods.end(node.Name)
	if closed(node) {
		fresh := &corev1.Node{}
		if err := r.live.Get(ctx, client.ObjectKeyFromObject(node), fresh); err != nil {
			return client.IgnoreNotFound(err)
		}
		if err := r.putBack(ctx, fresh); err != nil {
			return err
		}
	}
	if t, decided := r.board.turn(node.Name); decided && t.Move.HasSlot() {
		r.board.release(node.Name)
		r.rollouts.Add(sriovv1.DefaultConfigName, gather)
	}
	return nil
}

// carryOut does what was decided. What it does to a node that has a turn it decides on
// the objects as they are in the API; node and state are from the cache.
func (r *reconciler) carryOut(ctx context.Context, t turn, node *corev1.Node, state *sriovv1.SriovNetworkNodeState) (reconcile.Result, error) {
	name := node.Name
	switch t.Move {
	case rollout.Go, rollout.Keep:
		return r.drain(ctx, name, t)
	case rollout.Yield:
		return reconcile.Result{}, r.yield(ctx, name, t.Pool)
	case rollout.Finish:
		return reconcile.Result{}, r.finish(ctx, name)
	case rollout.Wait:
		r.pods.end(name)
		if err := r.tidy(ctx, node); err != nil {
			return reconcile.Result{}, err
		}
		return reconcile.Result{}, r.say(ctx, state, marks{since: sinceOr(state, t.since), message: r.waits(name, t)})
	case rollout.Rest:
		r.pods.end(name)
		r.blocks(name, t.Pool, "")
		if err := r.tidy(ctx, node); err != nil {
			return reconcile.Result{}, err
		}
		if request := node.Annotations[sriovv1.AnnotationNodeDrain]; !known(request) {
			return reconcile.Result{}, reconcile.TerminalError(fmt.Errorf("annotation %s of node %s is %q; it may be %s, %s or %s",
				sriovv1.AnnotationNodeDrain, name, request, sriovv1.DrainIdle, sriovv1.DrainRequired, sriovv1.RebootRequired))
		}
		return reconcile.Result{}, r.say(ctx, state, marks{})
	case rollout.Leave:
	}
	return reconcile.Result{}, nil
}

// waits says why the node waits, and what was in the way when it had its turn.
func (r *reconciler) waits(node string, t turn) string {
	if why := r.board.obstacle(node); why != "" {
		return fmt.Sprintf("%s; its last turn ended after %v: %s", t.waits, r.options.Deadline, why)
	}
	return t.waits
}

// begin adds the annotations that are missing. Without them neither daemon nor external
// software knows that the protocol is spoken here.
func (r *reconciler) begin(ctx context.Context, node *corev1.Node, state *sriovv1.SriovNetworkNodeState) error {
	idle := sriovv1.DrainIdle
	if _, ok := node.Annotations[sriovv1.AnnotationNodeDrain]; !ok {
		if err := r.annotate(ctx, node, map[string]*string{sriovv1.AnnotationNodeDrain: &idle}); err != nil {
			return err
		}
	}
	if _, ok := state.Annotations[sriovv1.AnnotationCurrentState]; !ok {
		return r.annotate(ctx, state, map[string]*string{sriovv1.AnnotationCurrentState: &idle})
	}
	return nil
}

// drain makes the pods leave that have to, and grants the node when they have left.
func (r *reconciler) drain(ctx context.Context, name string, t turn) (reconcile.Result, error) {
	node, state, err := r.fresh(ctx, name)
	if err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	request := node.Annotations[sriovv1.AnnotationNodeDrain]
	held := heldOf(state)
	switch {
	case held == rollout.Drained:
		r.pods.end(name)
		return reconcile.Result{}, r.disown(ctx, node)
	case !asks(request), held == rollout.Idle && (t.held != rollout.Idle || r.board.isReleased(name)):
		return reconcile.Result{}, nil // that was decided on what is past, and will be anew
	case held == rollout.Idle:
		if err := r.say(ctx, state, marks{held: sriovv1.Draining, since: r.options.Now()}); err != nil {
			return reconcile.Result{}, err
		}
		ctrl.LoggerFrom(ctx).Info("a node has its turn", "node", name, "request", request, "pool", t.Pool)
		r.tell(state, corev1.EventTypeNormal, actionDrain, "the node has its turn for %s in %s", request, poolName(t.Pool))
	}
	if !exempt(t, request) {
		left, err := r.empty(ctx, node, state, t)
		if err != nil {
			return reconcile.Result{}, err
		}
		until := sinceOf(state).Add(r.options.Deadline).Sub(r.options.Now())
		r.blocks(name, t.Pool, left.obstacle(until <= 0))
		if !left.none() {
			return reconcile.Result{RequeueAfter: r.again(left, until)}, r.say(ctx, state, marks{held: sriovv1.Draining, since: sinceOf(state), message: left.String()})
		}
	}
	return reconcile.Result{}, r.grant(ctx, state)
}

// exempt reports whether nobody has to leave: drains are switched off, or the cluster has
// a single node, to which everybody would come back, and it is to be restarted anyway.
func exempt(t turn, request string) bool {
	return t.settings.disabled || t.only && request == sriovv1.RebootRequired
}

// again is when to try again to make pods leave, until the drain has taken too long; 0 is
// when something happens to a pod.
func (r *reconciler) again(left remainder, until time.Duration) time.Duration {
	switch {
	case left.outdated:
		return tell
	case len(left.refused) > 0:
		return r.options.Retry
	}
	return max(0, until)
}

// grant says that the node is free.
func (r *reconciler) grant(ctx context.Context, state *sriovv1.SriovNetworkNodeState) error {
	now := r.options.Now()
	took := now.Sub(sinceOf(state))
	if err := r.say(ctx, state, marks{held: sriovv1.DrainComplete, since: now}); err != nil {
		return err
	}
	r.pods.end(state.Name)
	r.metrics.took.Observe(took.Seconds())
	ctrl.LoggerFrom(ctx).Info("a node is free", "node", state.Name, "took", took.String())
	r.tell(state, corev1.EventTypeNormal, actionDrain, "the node is free after %v", took.Round(time.Millisecond))
	return nil
}

// yield puts a node back whose pods do not leave, so that another has its turn.
func (r *reconciler) yield(ctx context.Context, name, pool string) error {
	node, state, err := r.fresh(ctx, name)
	if err != nil {
		return client.IgnoreNotFound(err)
	}
	if heldOf(state) != rollout.Draining || r.options.Now().Before(sinceOf(state).Add(r.options.Deadline)) {
		return nil // that was decided on what is past, and will be anew
	}
	why := r.board.obstacle(name)
	if why == "" {
		why = state.Annotations[sriovv1.AnnotationDrainMessage]
		r.blocks(name, pool, why)
	}
	if err := r.putBack(ctx, node); err != nil {
		return err
	}
	text := fmt.Sprintf("gave its turn to another node after %v: %s", r.options.Deadline, why)
	if err := r.say(ctx, state, marks{held: sriovv1.DrainIdle, since: r.options.Now(), message: text}); err != nil {
		return err
	}
	r.pods.end(name)
	r.board.release(name)
	r.metrics.yields.Inc()
	ctrl.LoggerFrom(ctx).Info("a node gave its turn to another", "node", name, "after", r.options.Deadline.String(), "obstacle", why)
	r.tell(state, corev1.EventTypeWarning, actionDrain, "%s", text)
	return nil
}

// tidy takes our cordon from a node that has no turn, if that is so in the API, too. The
// node is from the cache.
func (r *reconciler) tidy(ctx context.Context, node *corev1.Node) error {
	if !closed(node) {
		return nil
	}
	fresh, state, err := r.fresh(ctx, node.Name)
	if err != nil || heldOf(state) != rollout.Idle {
		return client.IgnoreNotFound(err)
	}
	return r.putBack(ctx, fresh)
}

// finish puts a node back that asks for nothing any more.
func (r *reconciler) finish(ctx context.Context, name string) error {
	node, state, err := r.fresh(ctx, name)
	if err != nil {
		return client.IgnoreNotFound(err)
	}
	if asks(node.Annotations[sriovv1.AnnotationNodeDrain]) {
		return nil // it is being decided anew
	}
	r.pods.end(name)
	r.board.block(name, "")
	if err := r.putBack(ctx, node); err != nil {
		return err
	}
	was := heldOf(state)
	if err := r.say(ctx, state, marks{held: sriovv1.DrainIdle}); err != nil {
		return err
	}
	r.board.release(name)
	r.rollouts.Add(sriovv1.DefaultConfigName, gather) // no watch tells of a turn that was never begun
	if was != rollout.Idle {
		ctrl.LoggerFrom(ctx).Info("a node is back", "node", name)
		r.tell(state, corev1.EventTypeNormal, actionComplete, "the node is back in service")
	}
	return nil
}

// fresh are a node and its state as they are in the API.
func (r *reconciler) fresh(ctx context.Context, name string) (*corev1.Node, *sriovv1.SriovNetworkNodeState, error) {
	node, state := &corev1.Node{}, &sriovv1.SriovNetworkNodeState{}
	if err := r.live.Get(ctx, client.ObjectKey{Name: name}, node); err != nil {
		return nil, nil, fmt.Errorf("read node %s: %w", name, err)
	}
	// After the node: a daemon writes its plan before it asks.
	if err := r.live.Get(ctx, client.ObjectKey{Namespace: r.options.Namespace, Name: name}, state); err != nil {
		return nil, nil, fmt.Errorf("read node state %s: %w", name, err)
	}
	return node, state, nil
}

// marks are the annotations of a node state that the controller writes.
type marks struct {
	// held is AnnotationCurrentState; empty leaves it.
	held    string
	since   time.Time
	message string
}

// sinceOr is when the node began what it does, as it says itself, or else that time.
func sinceOr(state client.Object, or time.Time) time.Time {
	if t := sinceOf(state); !t.IsZero() {
		return t
	}
	return or
}

// say writes the marks that differ, unless somebody else has changed the node state
// since it was read: that is a conflict. The state is then the one that was written.
func (r *reconciler) say(ctx context.Context, state *sriovv1.SriovNetworkNodeState, m marks) error {
	want := map[string]string{sriovv1.AnnotationDrainMessage: speech.Note(m.message)}
	if m.held != "" {
		want[sriovv1.AnnotationCurrentState] = m.held
	}
	want[sriovv1.AnnotationDrainSince] = ""
	if !m.since.IsZero() {
		want[sriovv1.AnnotationDrainSince] = m.since.UTC().Format(time.RFC3339Nano)
	}
	changes := map[string]*string{}
	for key, value := range want {
		was, has := state.Annotations[key]
		switch {
		case value == "" && has:
			changes[key] = nil
		case value != "" && was != value:
			changes[key] = &value
		}
	}
	if len(changes) == 0 {
		return nil
	}
	return r.annotate(ctx, state, changes)
}

// annotated is a merge patch of annotations; nil removes one.
type annotated struct {
	Metadata struct {
		ResourceVersion string             `json:"resourceVersion"`
		Annotations     map[string]*string `json:"annotations"`
	} `json:"metadata"`
}

// annotate changes annotations of an object at the version that was read.
func (r *reconciler) annotate(ctx context.Context, object client.Object, changes map[string]*string) error {
	var patch annotated
	patch.Metadata.ResourceVersion, patch.Metadata.Annotations = object.GetResourceVersion(), changes
	text, err := json.Marshal(patch)
	if err != nil {
		return fmt.Errorf("marshal annotations of %s: %w", object.GetName(), err)
	}
	kind, err := r.client.GroupVersionKindFor(object)
	if err != nil {
		return fmt.Errorf("find the kind of %s: %w", object.GetName(), err)
	}
	got := &metav1.PartialObjectMetadata{}
	got.SetGroupVersionKind(kind)
	got.SetNamespace(object.GetNamespace())
	got.SetName(object.GetName())
	if err := r.client.Patch(ctx, got, client.RawPatch(types.MergePatchType, text), fieldManager); err != nil {
		return fmt.Errorf("annotate %s %s: %w", kind.Kind, object.GetName(), err)
	}
	object.SetResourceVersion(got.ResourceVersion)
	object.SetAnnotations(got.Annotations)
	return nil
}
