// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package pluginconfig

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1apply "k8s.io/client-go/applyconfigurations/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	applyv1 "github.com/kubeovn/sriov-network-operator/api/v1/applyconfiguration/api/v1"
)

// complaintsManager is who writes the condition of node states, as the API records it.
// Their other conditions have other writers, and an apply takes away what its own manager
// does not say any more.
const complaintsManager = client.FieldOwner("sriov-network-operator-device-plugin")

// complaint is why the configuration of a node could not be stored; the zero complaint is
// none.
type complaint struct{ reason, text string }

// complaints are those about nodes whose configuration is too large for a ConfigMap, and
// about those that no order of writes brings to where they belong.
func complaints(wanted map[string]string, tooLarge, stuck []string) map[string]complaint {
	out := make(map[string]complaint, len(tooLarge)+len(stuck))
	for _, node := range stuck {
		out[node] = complaint{sriovv1.ReasonNoRoom, "the device plugin's configuration cannot be stored until other nodes need less room; " +
			"let fewer policies select the nodes of this cluster, or give them shorter selectors"}
	}
	for _, node := range tooLarge {
		out[node] = complaint{sriovv1.ReasonTooLarge, fmt.Sprintf("the device plugin's configuration has %d bytes, and a ConfigMap may have %d; "+
			"the plugin goes on with what is stored; let fewer policies select this node, or give them shorter selectors", len(wanted[node]), limit)}
	}
	return out
}

// tell makes the condition of a node state say why the device plugin's configuration could
// not be stored, or go when it was. What is new is an event as well.
func (s *Store) tell(ctx context.Context, node string) error {
	s.mu.Lock()
	want, known := s.left[node], s.left != nil
	s.mu.Unlock()
	if !known {
		return nil
	}
	var state sriovv1.SriovNetworkNodeState
	if err := s.client.Get(ctx, client.ObjectKey{Namespace: s.options.Namespace, Name: node}, &state); err != nil {
		return client.IgnoreNotFound(err)
	}
	has := meta.FindStatusCondition(state.Status.Conditions, sriovv1.ConditionDevicePluginConfigured)
	if has == nil && want == (complaint{}) || has != nil && has.Reason == want.reason && has.Message == want.text {
		return nil
	}
	object := applyv1.SriovNetworkNodeState(state.Name, state.Namespace).WithUID(state.UID)
	if want != (complaint{}) {
		since := metav1.NewTime(s.options.Now())
		if has != nil {
			since = has.LastTransitionTime
		}
		object.WithStatus(applyv1.SriovNetworkNodeStateStatus().WithConditions(metav1apply.Condition().
			WithType(sriovv1.ConditionDevicePluginConfigured).WithStatus(metav1.ConditionFalse).WithReason(want.reason).
			WithMessage(want.text).WithObservedGeneration(state.Generation).WithLastTransitionTime(since)))
	}
	if err := s.client.Status().Apply(ctx, object, complaintsManager, client.ForceOwnership); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("apply the condition %s of node state %s: %w", sriovv1.ConditionDevicePluginConfigured, node, err)
	}
	if want != (complaint{}) && (has == nil || has.Reason != want.reason) {
		s.recorder.Eventf(&state, nil, corev1.EventTypeWarning, want.reason, "Store", "%s", want.text)
	}
	return nil
}
