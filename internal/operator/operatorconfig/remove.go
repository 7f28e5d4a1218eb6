// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operatorconfig

import (
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

// hold gives the configuration the finalizer, before anything is deployed for it.
func (r *reconciler) hold(ctx context.Context, config *sriovv1.SriovOperatorConfig) error {
	if controllerutil.ContainsFinalizer(config, sriovv1.FinalizerOperatorConfig) {
		return nil
	}
	before := config.DeepCopy()
	controllerutil.AddFinalizer(config, sriovv1.FinalizerOperatorConfig)
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.client.Patch(ctx, config, patch, client.FieldOwner(fieldManager)); err != nil {
		return fmt.Errorf("add the finalizer to the operator configuration: %w", err)
	}
	return nil
}

// release removes all that was deployed, and then lets the configuration go.
func (r *reconciler) release(ctx context.Context, config *sriovv1.SriovOperatorConfig, settings operand.Settings) error {
	if !controllerutil.ContainsFinalizer(config, sriovv1.FinalizerOperatorConfig) {
		return nil
	}
	left, err := r.clear(ctx, removal(settings))
	if err != nil || len(left) > 0 {
		return err // what is left tells when it is gone
	}
	before := config.DeepCopy()
	controllerutil.RemoveFinalizer(config, sriovv1.FinalizerOperatorConfig)
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.client.Patch(ctx, config, patch, client.FieldOwner(fieldManager)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("remove the finalizer of the operator configuration: %w", err)
	}
	return nil
}

// removal is all that is ever deployed, webhook configurations first.
func removal(settings operand.Settings) []operand.Ref {
	var first, then []operand.Ref
	for _, d := range operand.Removal(settings).Deployments {
		for _, ref := range d.Delete {
			if ref.Group == "admissionregistration.k8s.io" {
				first = append(first, ref)
				continue
			}
			then = append(then, ref)
		}
	}
	return slices.Concat(first, then)
}

// sweep removes what is left of a configuration that went without its finalizer, as far
// as the cache knows it.
func (r *reconciler) sweep(ctx context.Context, settings operand.Settings) error {
	for _, ref := range removal(settings) {
		live, err := r.store.ours(ctx, ref)
		if err != nil {
			return err
		}
		if live == nil || live.GetDeletionTimestamp() != nil {
			continue
		}
		if err := r.store.delete(ctx, ref, live); err != nil {
			return err
		}
	}
	return nil
}
