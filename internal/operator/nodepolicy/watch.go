// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodepolicy

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/fleet"
)

// onlyChanged lets updates pass that change something which counts, and all that comes
// and goes.
func onlyChanged(counts func(was, is client.Object) bool) builder.Predicates {
	return builder.WithPredicates(predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool { return counts(e.ObjectOld, e.ObjectNew) },
	})
}

// onlyRead lets ConfigMaps pass that a basis is made from, and those that were such.
func onlyRead() builder.Predicates {
	read := func(o client.Object) bool {
		return fleet.Reads(o.GetName(), o.GetLabels())
	}
	return builder.WithPredicates(predicate.Funcs{
		CreateFunc:  func(e event.CreateEvent) bool { return read(e.Object) },
		UpdateFunc:  func(e event.UpdateEvent) bool { return read(e.ObjectOld) || read(e.ObjectNew) },
		DeleteFunc:  func(e event.DeleteEvent) bool { return read(e.Object) },
		GenericFunc: func(e event.GenericEvent) bool { return read(e.Object) },
	})
}

func specChanged(was, is client.Object) bool {
	return was.GetGeneration() != is.GetGeneration() || was.GetUID() != is.GetUID()
}

func labelsChanged(was, is client.Object) bool { return !maps.Equal(was.GetLabels(), is.GetLabels()) }

func dataChanged(was, is client.Object) bool {
	a, b := was.(*corev1.ConfigMap), is.(*corev1.ConfigMap) //nolint:errcheck // the watch is of ConfigMaps alone
	return labelsChanged(was, is) || !equality.Semantic.DeepEqual(a.Data, b.Data) || !equality.Semantic.DeepEqual(a.BinaryData, b.BinaryData)
}

// stateChanged leaves out what a daemon reports and no policy depends on.
func stateChanged(was, is client.Object) bool {
	a, b := was.(*sriovv1.SriovNetworkNodeState), is.(*sriovv1.SriovNetworkNodeState) //nolint:errcheck // the watch is of node states alone
	return specChanged(was, is) || reported(a, b) ||
		a.Annotations[sriovv1.AnnotationKeepStateUntil] != b.Annotations[sriovv1.AnnotationKeepStateUntil] ||
		!equality.Semantic.DeepEqual(a.OwnerReferences, b.OwnerReferences)
}

// reported reports whether a daemon has said something that policies depend on, or lost
// what it was told.
func reported(a, b *sriovv1.SriovNetworkNodeState) bool {
	return a.Status.SyncStatus != b.Status.SyncStatus || a.Status.LastSyncError != b.Status.LastSyncError ||
		a.Status.ObservedGeneration != b.Status.ObservedGeneration ||
		a.Status.System != b.Status.System ||
		meta.IsStatusConditionFalse(a.Status.Conditions, sriovv1.ConditionConfigMapAccepted) &&
			meta.FindStatusCondition(b.Status.Conditions, sriovv1.ConditionConfigMapAccepted) == nil ||
		!equality.Semantic.DeepEqual(a.Status.Interfaces, b.Status.Interfaces)
}
