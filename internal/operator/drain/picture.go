// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package drain

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/rollout"
)

// picture is the cluster as package rollout sees it, and what else drains depend on.
type picture struct {
	pools []pool
	nodes []rollout.Node
	// only: the cluster has a single node.
	only     bool
	settings settings
}

// pool is a pool of nodes that take turns, parsed.
type pool struct {
	rollout.Pool
	uid      string
	selector labels.Selector
	// bad is why the selector cannot be read; the pool then has no nodes.
	bad   error
	scope sriovv1.DisruptionScope
}

// settings are what the operator configuration says about drains.
type settings struct {
	disabled bool
	force    bool
	policy   sriovv1.PodEvictionPolicy
	prefix   string
}

// look makes a picture of what is in the cache. A node that the operator does not look
// after counts in the pools that select it, and not in the built-in pool.
func (r *reconciler) look(ctx context.Context) (picture, error) {
	var p picture
	in := client.InNamespace(r.options.Namespace)
	var configs sriovv1.SriovNetworkPoolConfigList
	if err := r.client.List(ctx, &configs, in); err != nil {
		return p, fmt.Errorf("list the pools: %w", err)
	}
	var nodes corev1.NodeList
	if err := r.client.List(ctx, &nodes, client.UnsafeDisableDeepCopy); err != nil {
		return p, fmt.Errorf("list the nodes: %w", err)
	}
	var list sriovv1.SriovNetworkNodeStateList
	if err := r.client.List(ctx, &list, in, client.UnsafeDisableDeepCopy); err != nil {
		return p, fmt.Errorf("list the node states: %w", err)
	}
	var config sriovv1.SriovOperatorConfig
	err := r.client.Get(ctx, client.ObjectKey{Namespace: r.options.Namespace, Name: sriovv1.DefaultConfigName}, &config)
	if client.IgnoreNotFound(err) != nil {
		return p, fmt.Errorf("read the operator configuration: %w", err)
	}
	p.settings, p.pools, p.only = r.settings(config.Spec), poolsOf(configs.Items), len(nodes.Items) == 1
	states := make(map[string]*sriovv1.SriovNetworkNodeState, len(list.Items))
	for i := range list.Items {
		states[list.Items[i].Name] = &list.Items[i]
	}
	for i := range nodes.Items {
		node := &nodes.Items[i]
		in := poolsWith(p.pools, node.Labels)
		if state := states[node.Name]; state != nil || len(in) > 0 {
			p.nodes = append(p.nodes, nodeOf(node, state, in))
		}
	}
	return p, nil
}

func (r *reconciler) settings(spec sriovv1.SriovOperatorConfigSpec) settings {
	return settings{
		disabled: spec.DisableDrain, force: spec.PodEvictionForce,
		policy: cmp.Or(spec.PodEvictionPolicy, sriovv1.PodEvictionPolicyEvict),
		prefix: cmp.Or(spec.ResourcePrefix, r.options.ResourcePrefix, sriovv1.DefaultResourcePrefix),
	}
}

// poolsOf parses the pools in which nodes take turns. One with a name for OVS hardware
// offload is none of them.
func poolsOf(configs []sriovv1.SriovNetworkPoolConfig) []pool {
	var out []pool
	for i := range configs {
		c := &configs[i]
		if c.Spec.OvsHardwareOffloadConfig.Name != "" {
			continue
		}
		p := pool{
			Pool: rollout.Pool{Name: c.Name, Limit: limitOf(c.Spec.MaxUnavailable)}, uid: string(c.UID),
			selector: labels.Everything(), scope: cmp.Or(c.Spec.DisruptionScope, sriovv1.DisruptionScopeAffectedPods),
		}
		if c.Spec.NodeSelector != nil {
			p.selector, p.bad = metav1.LabelSelectorAsSelector(c.Spec.NodeSelector)
		}
		out = append(out, p)
	}
	return out
}

// limitOf reads maxUnavailable. What the schema refuses counts as one node.
func limitOf(v *intstr.IntOrString) rollout.Limit {
	if v == nil {
		return rollout.Unlimited()
	}
	if v.Type == intstr.Int {
		return rollout.Count(max(0, v.IntValue()))
	}
	n, err := strconv.Atoi(strings.TrimSuffix(v.StrVal, "%"))
	if err != nil || n < 1 || n > 100 {
		return rollout.Count(1)
	}
	return rollout.Percent(n)
}

// poolsWith are the names of the pools that select a node.
func poolsWith(pools []pool, node map[string]string) []string {
	var in []string
	for _, p := range pools {
		if p.bad == nil && p.selector.Matches(labels.Set(node)) {
			in = append(in, p.Name)
		}
	}
	return in
}

// nodeOf is a node as package rollout sees it. state is nil for one that the operator
// does not look after.
func nodeOf(node *corev1.Node, state *sriovv1.SriovNetworkNodeState, pools []string) rollout.Node {
	out := rollout.Node{
		Name: node.Name, Pools: pools, Health: healthOf(node),
		Cordoned: node.Spec.Unschedulable && node.Annotations[sriovv1.AnnotationCordoned] != sriovv1.AnnotationTrue,
	}
	if state == nil {
		return out
	}
	request := node.Annotations[sriovv1.AnnotationNodeDrain]
	out.Held = heldOf(state)
	// A word that is not known takes nothing from a node, and gives it nothing.
	out.Asks = asks(request) || !known(request) && out.Held != rollout.Idle
	out.External = external(state)
	out.Since = sinceOf(state)
	return out
}

func healthOf(node *corev1.Node) rollout.Health {
	for _, c := range node.Status.Conditions {
		switch {
		case c.Type != corev1.NodeReady:
		case c.Status == corev1.ConditionTrue:
			return rollout.Ready
		case c.Status == corev1.ConditionUnknown:
			return rollout.Lost
		}
	}
	return rollout.NotReady
}

func heldOf(state client.Object) rollout.Held {
	switch state.GetAnnotations()[sriovv1.AnnotationCurrentState] {
	case sriovv1.Draining:
		return rollout.Draining
	case sriovv1.DrainComplete:
		return rollout.Drained
	}
	return rollout.Idle
}

// asks reports whether a daemon's request is for a turn.
func asks(request string) bool {
	return request == sriovv1.DrainRequired || request == sriovv1.RebootRequired
}

func known(request string) bool {
	return asks(request) || request == sriovv1.DrainIdle || request == ""
}

func external(state client.Object) bool {
	return state.GetAnnotations()[sriovv1.AnnotationUseExternalDrainer] == sriovv1.AnnotationTrue
}

// sinceOf is when the node began what it does; zero when that is not written down.
func sinceOf(state client.Object) time.Time {
	t, err := time.Parse(time.RFC3339Nano, state.GetAnnotations()[sriovv1.AnnotationDrainSince])
	if err != nil {
		return time.Time{}
	}
	return t
}
