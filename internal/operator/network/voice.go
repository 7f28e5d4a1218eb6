// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	metav1apply "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/operator/speech"
)

// voice tells the users of networks what became of them.
type voice struct {
	client   client.Client
	recorder events.EventRecorder
	now      func() time.Time

	mu sync.Mutex
	// said is what was told last. The cache may not know it yet.
	said map[target]utterance
}

// utterance is a condition that was written, and the network's version with it.
type utterance struct {
	uid       types.UID
	version   string
	condition metav1.Condition
}

// tell writes the condition Ready of a network unless it is there already, and
// records an event if it says something new.
func (v *voice) tell(ctx context.Context, t target, a asked, says verdict) error {
	says.message = speech.Message(says.message)
	before := v.last(t, a)
	after := conditionAfter(before, says, a.object.GetGeneration(), metav1.NewTime(v.now()))
	if before != nil && *before == after {
		return nil
	}
	configuration, answer := withCondition(t, a.object.GetUID(), metav1apply.Condition().
		WithType(after.Type).WithStatus(after.Status).WithReason(after.Reason).WithMessage(after.Message).
		WithObservedGeneration(after.ObservedGeneration).WithLastTransitionTime(after.LastTransitionTime))
	err := v.client.Status().Apply(ctx, configuration, client.FieldOwner(fieldManager), client.ForceOwnership)
	if err != nil {
		// A network that is gone needs no telling.
		if client.IgnoreNotFound(err) == nil {
			return nil
		}
		return fmt.Errorf("apply the condition of %s %s: %w", t.kind, t.NamespacedName, err)
	}
	said := utterance{uid: a.object.GetUID(), condition: after}
	if answer.ResourceVersion != nil {
		said.version = *answer.ResourceVersion
	}
	v.mu.Lock()
	v.said[t] = said
	v.mu.Unlock()
	if before == nil || before.Status != after.Status || before.Reason != after.Reason || before.Message != after.Message {
		v.recorder.Eventf(a.object, nil, eventType(says), says.reason, "StatusChange", "%s", speech.Note(says.message))
	}
	return nil
}

// forget drops what was told of a network that is gone.
func (v *voice) forget(t target) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.said, t)
}

// last is the network's condition: the one in the object, or the one that was
// written after the object was read.
func (v *voice) last(t target, a asked) *metav1.Condition {
	v.mu.Lock()
	defer v.mu.Unlock()
	if said, ok := v.said[t]; ok && said.uid == a.object.GetUID() && newer(said.version, a.object.GetResourceVersion()) {
		return &said.condition
	}
	return meta.FindStatusCondition(a.conditions, sriovv1.ConditionReady)
}

// newer reports whether one version of an object is later than another.
func newer(one, other string) bool {
	order, err := resourceversion.CompareResourceVersion(one, other)
	return err == nil && order > 0
}

// conditionAfter is the condition that says the verdict. Its time changes with its
// status alone.
func conditionAfter(before *metav1.Condition, says verdict, generation int64, now metav1.Time) metav1.Condition {
	after := metav1.Condition{
		Type: sriovv1.ConditionReady, Status: says.status, Reason: says.reason, Message: says.message,
		ObservedGeneration: generation, LastTransitionTime: now,
	}
	if before != nil && before.Status == after.Status {
		after.LastTransitionTime = before.LastTransitionTime
	}
	return after
}

func eventType(v verdict) string {
	if v.status == metav1.ConditionTrue {
		return corev1.EventTypeNormal
	}
	return corev1.EventTypeWarning
}
