// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operatorconfig

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	metav1apply "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	apply "github.com/kubeovn/sriov-network-operator/api/v1/applyconfiguration/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/operator/speech"
)

// voice tells the users of the operator configuration what became of it.
type voice struct {
	client   client.Client
	recorder events.EventRecorder
	now      func() time.Time
	// said is what was told last, and the version of the configuration with it: the
	// cache may not know it yet.
	said    sriovv1.SriovOperatorConfigStatus
	uid     types.UID
	version string
}

// tell writes the status unless it is there already, and records an event for each
// condition that says something new.
func (v *voice) tell(ctx context.Context, config *sriovv1.SriovOperatorConfig, verdicts []verdict, missing string) error {
	before := v.last(config)
	after := statusOf(before, config.Generation, verdicts, missing, metav1.NewTime(v.now()).Rfc3339Copy())
	if equality.Semantic.DeepEqual(before, after) {
		return nil
	}
	status := apply.SriovOperatorConfigStatus().WithObservedGeneration(after.ObservedGeneration).
		WithInjector(after.Injector).WithOperatorWebhook(after.OperatorWebhook)
	for _, c := range after.Conditions {
		status = status.WithConditions(metav1apply.Condition().WithType(c.Type).WithStatus(c.Status).WithReason(c.Reason).
			WithMessage(c.Message).WithObservedGeneration(c.ObservedGeneration).WithLastTransitionTime(c.LastTransitionTime))
	}
	// The uid keeps the status from a successor of the same name.
	object := apply.SriovOperatorConfig(config.Name, config.Namespace).WithUID(config.UID).WithStatus(status)
	switch err := v.client.Status().Apply(ctx, object, client.FieldOwner(fieldManager), client.ForceOwnership); {
	case apierrors.IsNotFound(err):
		return nil // it is gone and needs no telling
	case err != nil:
		return fmt.Errorf("apply the status of the operator configuration: %w", err)
	}
	v.said, v.uid = after, config.UID
	if object.ResourceVersion != nil {
		v.version = *object.ResourceVersion
	}
	v.announce(config, before, after)
	return nil
}

// last is the status in the object, or the one that was written after it was read.
func (v *voice) last(config *sriovv1.SriovOperatorConfig) sriovv1.SriovOperatorConfigStatus {
	if order, err := resourceversion.CompareResourceVersion(v.version, config.ResourceVersion); v.uid == config.UID && err == nil && order > 0 {
		return v.said
	}
	status := *config.Status.DeepCopy()
	// There may be conditions of others.
	status.Conditions = slices.DeleteFunc(status.Conditions, func(c metav1.Condition) bool { return !slices.Contains(conditionTypes(), c.Type) })
	return status
}

// announce records events. That a part was never asked for is no news.
func (v *voice) announce(config *sriovv1.SriovOperatorConfig, before, after sriovv1.SriovOperatorConfigStatus) {
	for _, c := range after.Conditions {
		was := meta.FindStatusCondition(before.Conditions, c.Type)
		same := was != nil && was.Status == c.Status && was.Reason == c.Reason && was.Message == c.Message
		if same || was == nil && c.Reason == sriovv1.ReasonTurnedOff {
			continue
		}
		kind := corev1.EventTypeNormal
		if c.Status != metav1.ConditionTrue {
			kind = corev1.EventTypeWarning
		}
		v.recorder.Eventf(config, nil, kind, c.Reason, "StatusChange", "%s", speech.Note(c.Type+": "+c.Message))
	}
}
