// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package drain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// shortest is the grace of pods that are given no time to end. With none at all they
// would be gone from the API while they still run, and lose their VFs running.
const shortest = int64(1)

// empty makes the pods leave that have to, as far as they do, and returns what is left.
// The node and its state were read from the API.
func (r *reconciler) empty(ctx context.Context, node *corev1.Node, state *sriovv1.SriovNetworkNodeState, t turn) (remainder, error) {
	if err := r.cordon(ctx, node); err != nil {
		return remainder{}, err
	}
	r.pods.begin(node.Name)
	var pods corev1.PodList
	if err := r.live.List(ctx, &pods, client.MatchingFields{"spec.nodeName": node.Name}); err != nil {
		return remainder{}, fmt.Errorf("list the pods of node %s: %w", node.Name, err)
	}
	e := errand{reboot: node.Annotations[sriovv1.AnnotationNodeDrain] == sriovv1.RebootRequired, scope: t.scope, prefix: t.settings.prefix}
	if plan := state.Status.Plan; plan != nil {
		e.affected = append([]sriovv1.AffectedPod{}, plan.AffectedPods...)
	}
	if !e.reboot && (e.scope == sriovv1.DisruptionScopeNode || e.affected == nil) {
		var err error
		if e.claims, err = r.claims(ctx, pods.Items); err != nil {
			return remainder{}, err
		}
	}
	var left remainder
	var evicted []string
	for i := range pods.Items {
		pod := &pods.Items[i]
		if !e.concerns(pod) {
			continue
		}
		outcome, why, err := r.send(ctx, pod, state, t.settings)
		if err != nil {
			return remainder{}, err
		}
		left.add(pod.Namespace+"/"+pod.Name, outcome, why)
		if outcome == sent {
			evicted = append(evicted, pod.Namespace+"/"+pod.Name)
		}
	}
	if len(evicted) > 0 {
		slices.Sort(evicted)
		ctrl.LoggerFrom(ctx).Info("made pods leave a node", "node", node.Name, "pods", evicted, "of", len(pods.Items))
		r.tell(state, corev1.EventTypeNormal, actionDrain, "evicted %d of %d pods: %s", len(evicted), len(pods.Items), some(evicted))
	}
	return left, nil
}

// outcome is what became of a pod that has to leave.
type outcome int

const (
	// gone: it has left.
	gone outcome = iota
	// sent: it was asked to leave just now, and is ending.
	sent
	// ending: it was asked before.
	ending
	// outdated: it is not the pod any more that was read, or is just being changed.
	outdated
	// refused: it may not leave now.
	refused
)

// send makes one pod leave. Nothing that the API says of one pod keeps others on the
// node; an error is one of the whole attempt.
func (r *reconciler) send(ctx context.Context, pod *corev1.Pod, state *sriovv1.SriovNetworkNodeState, s settings) (outcome, string, error) {
	switch {
	case !pod.DeletionTimestamp.IsZero():
		return ending, "", nil
	case static(pod):
		return refused, "it is a static pod; move its file away on the node", nil
	case returns(pod, sinceOf(state)):
		return refused, "its DaemonSet tolerates the taint " + sriovv1.TaintDraining + " and puts pods on the node again and again; take that toleration away", nil
	}
	err := r.evict(ctx, pod, s)
	switch {
	case err == nil:
		r.metrics.evictions.WithLabelValues(evictionDone).Inc()
		return sent, "", nil
	case apierrors.IsNotFound(err):
		return gone, "", nil
	case apierrors.IsConflict(err):
		return outdated, "", nil
	case ctx.Err() != nil:
		return refused, "", fmt.Errorf("evict pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	r.metrics.evictions.WithLabelValues(evictionRefused).Inc()
	return refused, refusal(err), nil
}

// evict asks for the end of the very pod that was read.
func (r *reconciler) evict(ctx context.Context, pod *corev1.Pod, s settings) error {
	options := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.UID}}
	if s.force {
		grace := shortest
		options.GracePeriodSeconds = &grace
	}
	if s.policy == sriovv1.PodEvictionPolicyDelete {
		return r.client.Delete(ctx, pod, &client.DeleteOptions{Preconditions: options.Preconditions, GracePeriodSeconds: options.GracePeriodSeconds})
	}
	eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}, DeleteOptions: &options}
	return r.client.SubResource("eviction").Create(ctx, pod, eviction)
}

// refusal is why a pod may not leave, in the words of the API server. Those of a
// PodDisruptionBudget name it (kubernetes, pkg/registry/core/pod/storage/eviction.go).
func refusal(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Details != nil {
		for _, cause := range status.Status().Details.Causes {
			if cause.Type == policyv1.DisruptionBudgetCause {
				return cause.Message
			}
		}
	}
	return err.Error()
}

// claims are the resource claims of pods, as namespace/name, that hold VFs.
func (r *reconciler) claims(ctx context.Context, pods []corev1.Pod) (map[string]bool, error) {
	out := map[string]bool{}
	for i := range pods {
		for _, name := range claimsOf(&pods[i]) {
			var claim resourcev1.ResourceClaim
			err := r.live.Get(ctx, client.ObjectKey{Namespace: pods[i].Namespace, Name: name}, &claim)
			switch {
			case meta.IsNoMatchError(err), apierrors.IsNotFound(err): // no claims here, or none any more
			case err != nil:
				return nil, fmt.Errorf("read resource claim %s/%s: %w", pods[i].Namespace, name, err)
			case claim.Status.Allocation != nil:
				out[claim.Namespace+"/"+claim.Name] = slices.ContainsFunc(claim.Status.Allocation.Devices.Results,
					func(d resourcev1.DeviceRequestAllocationResult) bool { return d.Driver == claimDriver })
			}
		}
	}
	return out, nil
}

// remainder is which pods are still to leave.
type remainder struct {
	// ending are on their way; refused may not leave, each with why.
	ending, refused []string
	// outdated: a pod has to be looked at anew.
	outdated bool
}

func (m *remainder) add(pod string, o outcome, why string) {
	switch o {
	case gone:
	case sent, ending, outdated:
		m.ending = append(m.ending, pod)
		m.outdated = m.outdated || o == outdated
	case refused:
		m.refused = append(m.refused, "pod "+pod+": "+strings.TrimSuffix(why, "."))
	}
}

func (m *remainder) none() bool { return len(m.ending)+len(m.refused) == 0 }

// obstacle is why it does not go on; empty when pods are only ending, and that has not
// taken too long.
func (m *remainder) obstacle(late bool) string {
	if late && !m.none() {
		return m.String()
	}
	slices.Sort(m.refused)
	return some(m.refused)
}

// String is what is waited for.
func (m *remainder) String() string {
	var all []string
	if len(m.refused) > 0 {
		all = append(all, m.obstacle(false))
	}
	if len(m.ending) > 0 {
		slices.Sort(m.ending)
		all = append(all, "waits for pods to end: "+some(m.ending))
	}
	return strings.Join(all, "; ")
}
