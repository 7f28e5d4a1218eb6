// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodepolicy

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	metav1apply "k8s.io/client-go/applyconfigurations/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	apply "github.com/kubeovn/sriov-network-operator/api/v1/applyconfiguration/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/claims"
	"github.com/kubeovn/sriov-network-operator/internal/fleet"
	"github.com/kubeovn/sriov-network-operator/internal/operator/speech"
)

// complaintsManager is who writes the conditions about ConfigMaps, as the API records it.
// The other conditions of these objects have other writers, and an apply takes away what
// its own manager does not say any more.
const complaintsManager = client.FieldOwner("sriov-network-operator-configmaps")

// confession is the work item of the basis' controller that tells the operator
// configuration what is wrong in ConfigMaps.
const confession = "complaints"

// hearsay is the work item of the same controller that passes on what is claimed.
const hearsay = "claims"

// maxComplaint is the longest message about ConfigMaps, in bytes.
const maxComplaint = 4096

// byKey are the complaints about keys that can be a node's.
func byKey(complaints []fleet.Complaint) map[string][]fleet.Complaint {
	out := map[string][]fleet.Complaint{}
	for _, c := range complaints {
		if c.Reason == fleet.ReasonBadKey && c.Key != sriovv1.ConfigMapSriovConfigDefaultKey {
			out[c.Key] = append(out[c.Key], c)
		}
	}
	return out
}

// sentences are the first complaints, and how many there are besides.
func sentences(complaints []fleet.Complaint) string {
	var all []string
	for _, c := range complaints[:min(len(complaints), maxSentences)] {
		all = append(all, c.Text)
	}
	if more := len(complaints) - len(all); more > 0 {
		all = append(all, fmt.Sprintf("and %d more", more))
	}
	return strings.ToValidUTF8(speech.Clip(strings.Join(all, "; "), maxComplaint), "")
}

// tellNode makes the condition about ConfigMaps of a node state say what is wrong with the
// node's own key, or go when nothing is.
func (r *reconciler) tellNode(ctx context.Context, b *basis, state *sriovv1.SriovNetworkNodeState) error {
	want, differs := r.complaint(b.broken[state.Name], sriovv1.ReasonBadKey, state.Generation, state.Status.Conditions)
	if !differs {
		return nil
	}
	object := apply.SriovNetworkNodeState(state.Name, state.Namespace).WithUID(state.UID)
	if want != nil {
		object.WithStatus(apply.SriovNetworkNodeStateStatus().WithConditions(want))
	}
	return r.tell(ctx, sriovv1.KindSriovNetworkNodeState, state.Name, object)
}

// reconcileComplaints makes the condition about ConfigMaps of the operator configuration
// say all that is wrong in them, or go when nothing is.
func (r *reconciler) reconcileComplaints(ctx context.Context) (reconcile.Result, error) {
	var config sriovv1.SriovOperatorConfig
	err := r.client.Get(ctx, client.ObjectKey{Namespace: r.options.Namespace, Name: sriovv1.DefaultConfigName}, &config)
	b := r.basis.Load()
	if err != nil || b == nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	reason := sriovv1.ReasonBadKey
	if len(b.Complaints) > 0 {
		reason = b.Complaints[0].Reason
	}
	want, differs := r.complaint(sentences(b.Complaints), reason, config.Generation, config.Status.Conditions)
	if !differs {
		return reconcile.Result{}, nil
	}
	object := apply.SriovOperatorConfig(config.Name, config.Namespace).WithUID(config.UID)
	if want != nil {
		object.WithStatus(apply.SriovOperatorConfigStatus().WithConditions(want))
	}
	return reconcile.Result{}, r.tell(ctx, sriovv1.KindSriovOperatorConfig, config.Name, object)
}

// complaint is the condition that says the message, nil for none, and whether the object
// has another.
func (r *reconciler) complaint(message, reason string, generation int64, has []metav1.Condition) (*metav1apply.ConditionApplyConfiguration, bool) {
	before := meta.FindStatusCondition(has, sriovv1.ConditionConfigMapAccepted)
	if message == "" {
		return nil, before != nil
	}
	if before != nil && before.Status == metav1.ConditionFalse && before.Reason == reason && before.Message == message {
		return nil, false
	}
	since := metav1.NewTime(r.options.Now())
	if before != nil && before.Status == metav1.ConditionFalse {
		since = before.LastTransitionTime
	}
	return metav1apply.Condition().WithType(sriovv1.ConditionConfigMapAccepted).WithStatus(metav1.ConditionFalse).
		WithReason(reason).WithMessage(message).WithObservedGeneration(generation).WithLastTransitionTime(since), true
}

// tell writes the status of an object that may be gone by now.
func (r *reconciler) tell(ctx context.Context, kind, name string, object runtime.ApplyConfiguration) error {
	err := r.client.Status().Apply(ctx, object, complaintsManager, client.ForceOwnership)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("apply the condition %s of %s: %w", sriovv1.ConditionConfigMapAccepted, kind+" "+name, err)
	}
	return nil
}

// passOn tells whoever wants to know what the entries of sriov-configmap ask for.
func (r *reconciler) passOn(ctx context.Context) error {
	b := r.basis.Load()
	if b == nil || r.options.Claimed == nil {
		return nil
	}
	var states sriovv1.SriovNetworkNodeStateList
	if slices.ContainsFunc(b.Claims.Keys(), func(key string) bool { return b.Claims.Of(key).Standing == claims.Unknown }) {
		if err := r.client.List(ctx, &states, client.InNamespace(r.options.Namespace), client.UnsafeDisableDeepCopy); err != nil {
			return fmt.Errorf("list the node states: %w", err)
		}
	}
	return r.options.Claimed(ctx, slices.Concat(wishes(b.Claims), keptWishes(b.Claims, states.Items)))
}

// keptWishes are what the entries of keys asked for that are broken and of which this
// process never saw better: their nodes keep what is rendered, and so the specs of the
// nodes still tell it.
func keptWishes(c claims.Claims, states []sriovv1.SriovNetworkNodeState) []sriovv1.SriovNetworkNodePolicy {
	seen := map[wish]bool{}
	for i := range states {
		if c.Of(states[i].Name).Standing != claims.Unknown {
			continue
		}
		for _, pf := range states[i].Spec.Interfaces {
			for _, group := range pf.VfGroups {
				seen[wish{group.ResourceName, group.DeviceType}] = true
			}
		}
	}
	all := slices.SortedFunc(maps.Keys(seen), func(a, b wish) int {
		return cmp.Or(cmp.Compare(a.resource, b.resource), cmp.Compare(a.kind, b.kind))
	})
	var out []sriovv1.SriovNetworkNodePolicy
	for _, w := range all {
		out = append(out, w.policy())
	}
	return out
}

// wish is what counts of an entry for those who are told of it.
type wish struct {
	resource string
	kind     sriovv1.DeviceType
}

func (w wish) policy() sriovv1.SriovNetworkNodePolicy {
	return sriovv1.SriovNetworkNodePolicy{Spec: sriovv1.SriovNetworkNodePolicySpec{ResourceName: w.resource, DeviceType: w.kind}}
}

// wishes are the entries in force without repetition: their resource names and device types.
func wishes(c claims.Claims) []sriovv1.SriovNetworkNodePolicy {
	seen := map[wish]bool{}
	var out []sriovv1.SriovNetworkNodePolicy
	for _, key := range c.Keys() {
		for _, entry := range c.Of(key).Entries {
			w := wish{entry.Policy.Spec.ResourceName, entry.Policy.Spec.DeviceType}
			if seen[w] {
				continue
			}
			seen[w] = true
			out = append(out, w.policy())
		}
	}
	return out
}
