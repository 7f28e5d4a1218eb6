// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodepolicy

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/claims"
	"github.com/kubeovn/sriov-network-operator/internal/operator/speech"
)

// reconcileBasis makes a new basis once changes have come to rest, and lets every node
// be rendered from it. It makes none of the objects that the last one was made from: an
// event may come after its object was read, and a watch that begins anew repeats all.
func (r *reconciler) reconcileBasis(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	switch request.Name {
	case confession:
		return r.reconcileComplaints(ctx)
	case hearsay:
		return reconcile.Result{}, r.passOn(ctx)
	}
	// The first one waits for nobody, and changes that it takes in must not be seen to wait still.
	if r.basis.Load() == nil {
		r.calm.Anew()
	} else if left := r.calm.Wait(r.options.Now()); left > 0 {
		return reconcile.Result{RequeueAfter: left}, nil
	}
	o, err := r.read(ctx)
	if err != nil {
		return reconcile.Result{}, err
	}
	names, err := r.names(ctx)
	if err != nil {
		return reconcile.Result{}, err
	}
	was := r.basis.Load()
	var last claims.Claims
	number := uint64(1)
	if was != nil {
		last, number = was.Claims, was.number+1
	}
	is := newBasis(o, last, number)
	var changed []string
	if was != nil {
		if changed = is.from.since(was.from); len(changed) == 0 {
			r.expect()
			return reconcile.Result{}, nil
		}
	}
	r.complain(o, was, is)
	r.board.begin(number, names)
	r.expect()
	r.basis.Store(is)
	r.metrics.bases.Inc()
	r.bases.Add(confession, 0)
	if was == nil || len(claims.Changed(was.Claims, is.Claims)) > 0 {
		r.bases.Add(hearsay, 0)
	}
	ctrl.LoggerFrom(ctx).Info("rendering every node", "basis", number, "changed", listed(changed),
		"policies", len(o.policies), "pools", len(o.pools), "nodes", len(names))
	for _, name := range names {
		r.nodes.Add(name, 0)
	}
	if len(names) == 0 {
		r.nudge(change{complete: true}, is)
	}
	return reconcile.Result{}, nil
}

// read lists what a basis is made from.
func (r *reconciler) read(ctx context.Context) (objects, error) {
	var o objects
	in := client.InNamespace(r.options.Namespace)
	var policies sriovv1.SriovNetworkNodePolicyList
	if err := r.client.List(ctx, &policies, in); err != nil {
		return o, fmt.Errorf("list the policies: %w", err)
	}
	var pools sriovv1.SriovNetworkPoolConfigList
	if err := r.client.List(ctx, &pools, in); err != nil {
		return o, fmt.Errorf("list the pools: %w", err)
	}
	var configMaps corev1.ConfigMapList
	if err := r.client.List(ctx, &configMaps, in); err != nil {
		return o, fmt.Errorf("list the ConfigMaps: %w", err)
	}
	var config sriovv1.SriovOperatorConfig
	err := r.client.Get(ctx, client.ObjectKey{Namespace: r.options.Namespace, Name: sriovv1.DefaultConfigName}, &config)
	switch {
	case err == nil && config.DeletionTimestamp.IsZero():
		o.config = &config
	case client.IgnoreNotFound(err) != nil:
		return o, fmt.Errorf("read the operator configuration: %w", err)
	}
	o.policies, o.pools, o.configMaps = policies.Items, pools.Items, configMaps.Items
	return o, nil
}

// names are those of all nodes and of all node states, sorted.
func (r *reconciler) names(ctx context.Context) ([]string, error) {
	var nodes corev1.NodeList
	if err := r.client.List(ctx, &nodes, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list the nodes: %w", err)
	}
	var states sriovv1.SriovNetworkNodeStateList
	if err := r.client.List(ctx, &states, client.InNamespace(r.options.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list the node states: %w", err)
	}
	var names []string
	for i := range nodes.Items {
		names = append(names, nodes.Items[i].Name)
	}
	for i := range states.Items {
		names = append(names, states.Items[i].Name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// complain makes an event of everything that is newly wrong in a ConfigMap.
func (r *reconciler) complain(o objects, was, is *basis) {
	for _, c := range is.Complaints {
		if was != nil && slices.Contains(was.Complaints, c) {
			continue
		}
		i := slices.IndexFunc(o.configMaps, func(cm corev1.ConfigMap) bool { return cm.Name == c.ConfigMap })
		if i >= 0 {
			r.recorder.Eventf(&o.configMaps[i], nil, corev1.EventTypeWarning, c.Reason, "Read", "%s", speech.Note(c.Text))
		}
	}
}

// reconcileNode brings one node state in line with the basis.
func (r *reconciler) reconcileNode(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	b := r.basis.Load()
	if b == nil {
		return reconcile.Result{}, nil // the first basis lets every node be rendered
	}
	name := request.Name
	var node corev1.Node
	err := r.client.Get(ctx, client.ObjectKey{Name: name}, &node)
	if client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, fmt.Errorf("read node %s: %w", name, err)
	}
	gone := err != nil
	state, err := r.state(ctx, name)
	if err != nil {
		return reconcile.Result{}, err
	}
	if gone || !b.Lists(node.Labels) {
		r.nudge(r.board.drop(name, b.number), b)
		r.plugin.Drop(name)
		return r.keepOrDelete(ctx, name, state)
	}
	began := r.options.Now()
	want, err := b.render(nodeOf(&node), state)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("render node %s: %w", name, err)
	}
	r.metrics.render.Observe(r.options.Now().Sub(began).Seconds())
	if want.PoolErr != nil {
		ctrl.LoggerFrom(ctx).Info("the node keeps its rdmaMode", "node", name, "reason", want.PoolErr.Error())
	}
	r.nudge(r.board.put(name, b.number, want.summary), b)
	err = r.write(ctx, b, name, state, want.Spec)
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		ctrl.LoggerFrom(ctx).V(1).Info("the node state has changed meanwhile; looking again", "node", name)
		return reconcile.Result{RequeueAfter: behind}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	if want.Plugin != "" {
		r.plugin.Put(name, want.Plugin)
	}
	if state == nil {
		return reconcile.Result{}, nil // it comes again when it is there
	}
	return reconcile.Result{}, r.tellNode(ctx, b, state)
}

// state is the node state; nil when there is none.
func (r *reconciler) state(ctx context.Context, name string) (*sriovv1.SriovNetworkNodeState, error) {
	var state sriovv1.SriovNetworkNodeState
	err := r.client.Get(ctx, client.ObjectKey{Namespace: r.options.Namespace, Name: name}, &state)
	switch {
	case err == nil:
		return &state, nil
	case apierrors.IsNotFound(err):
		return nil, nil
	}
	return nil, fmt.Errorf("read node state %s: %w", name, err)
}

// nudge lets the status of policies be looked at: of all when the last node of a basis was
// rendered, else of those that the change is about.
func (r *reconciler) nudge(c change, b *basis) {
	if c.complete {
		r.expect()
		for name := range b.policies {
			r.policies.Add(name, 0)
		}
		return
	}
	for _, name := range c.policies {
		r.policies.Add(name, gather)
	}
}

// expect says whether all nodes are being rendered, or are about to be.
func (r *reconciler) expect() {
	r.expecting.Lock()
	defer r.expecting.Unlock()
	r.plugin.Expect(r.board.busy() || r.calm.Stirred())
}

// reconcileStatus writes what became of a policy.
func (r *reconciler) reconcileStatus(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	var policy sriovv1.SriovNetworkNodePolicy
	err := r.client.Get(ctx, client.ObjectKey{Namespace: r.options.Namespace, Name: request.Name}, &policy)
	if apierrors.IsNotFound(err) {
		r.board.tell(request.Name, nil)
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("read policy %s: %w", request.Name, err)
	}
	b := r.basis.Load()
	if b == nil || b.policies[policy.Name].generation != policy.Generation {
		return reconcile.Result{}, nil // the next basis comes back to it
	}
	t, complete := r.board.count(policy.Name, b.number)
	if !complete {
		return reconcile.Result{}, nil // the last node comes back to it
	}
	v := judge(&policy, t)
	r.board.tell(policy.Name, &v)
	status := v.status(&policy, metav1.NewTime(r.options.Now()))
	wrote, err := r.writeStatus(ctx, &policy, status)
	if err != nil || !wrote {
		return reconcile.Result{}, err
	}
	for _, a := range announcements(policy.Status, status) {
		r.recorder.Eventf(&policy, nil, corev1.EventTypeWarning, a.reason, "Render", "%s", speech.Note(a.text))
	}
	return reconcile.Result{}, nil
}

// keepOrDelete keeps the state of a node that is gone for a while, and then deletes it.
func (r *reconciler) keepOrDelete(ctx context.Context, name string, state *sriovv1.SriovNetworkNodeState) (reconcile.Result, error) {
	if state == nil {
		r.written.forget(name)
		return reconcile.Result{}, nil
	}
	now := r.options.Now()
	until, kept := keptUntil(state)
	switch {
	case r.options.StaleDelay <= 0 || kept && !now.Before(until):
		return reconcile.Result{}, r.remove(ctx, state)
	case kept:
		return reconcile.Result{RequeueAfter: until.Sub(now)}, nil
	}
	until = now.Add(r.options.StaleDelay)
	return reconcile.Result{RequeueAfter: r.options.StaleDelay}, r.keep(ctx, state, until)
}

// keptUntil is when the state of a node that is gone is to be deleted, and false when
// nothing legible says so.
func keptUntil(state *sriovv1.SriovNetworkNodeState) (time.Time, bool) {
	until, err := time.Parse(time.RFC3339, state.Annotations[sriovv1.AnnotationKeepStateUntil])
	return until, err == nil
}
