// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package drain

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// gate is a merge patch of what keeps pods from a node.
type gate struct {
	Metadata struct {
		ResourceVersion string             `json:"resourceVersion"`
		Annotations     map[string]*string `json:"annotations,omitempty"`
	} `json:"metadata"`
	Spec struct {
		Unschedulable *bool          `json:"unschedulable,omitempty"`
		Taints        []corev1.Taint `json:"taints"`
	} `json:"spec"`
}

// cordon keeps new pods from a node. A node that somebody else has cordoned only gets
// the taint. The node was read from the API.
func (r *reconciler) cordon(ctx context.Context, node *corev1.Node) error {
	var g gate
	if !node.Spec.Unschedulable {
		yes, mine := true, sriovv1.AnnotationTrue
		g.Spec.Unschedulable = &yes
		g.Metadata.Annotations = map[string]*string{sriovv1.AnnotationCordoned: &mine}
	}
	tainted := slices.ContainsFunc(node.Spec.Taints, isDraining)
	if tainted && g.Spec.Unschedulable == nil {
		return nil
	}
	g.Spec.Taints = slices.Clone(node.Spec.Taints)
	if !tainted {
		g.Spec.Taints = append(g.Spec.Taints, corev1.Taint{Key: sriovv1.TaintDraining, Effect: corev1.TaintEffectNoSchedule})
	}
	return r.set(ctx, node, g)
}

// putBack undoes cordon, and no cordon of anybody else. The node was read from the API.
func (r *reconciler) putBack(ctx context.Context, node *corev1.Node) error {
	mine := node.Annotations[sriovv1.AnnotationCordoned] == sriovv1.AnnotationTrue
	if !mine && !slices.ContainsFunc(node.Spec.Taints, isDraining) {
		return nil
	}
	var g gate
	if mine {
		no := false
		g.Spec.Unschedulable = &no
		g.Metadata.Annotations = map[string]*string{sriovv1.AnnotationCordoned: nil}
	}
	g.Spec.Taints = slices.DeleteFunc(slices.Clone(node.Spec.Taints), isDraining)
	return r.set(ctx, node, g)
}

// disown gives up the cordon of a node that somebody has uncordoned while it was being
// changed: the next cordon is theirs. The node was read from the API.
func (r *reconciler) disown(ctx context.Context, node *corev1.Node) error {
	if node.Spec.Unschedulable || node.Annotations[sriovv1.AnnotationCordoned] == "" {
		return nil
	}
	return r.annotate(ctx, node, map[string]*string{sriovv1.AnnotationCordoned: nil})
}

// closed reports whether we keep pods from the node.
func closed(node *corev1.Node) bool {
	return node.Annotations[sriovv1.AnnotationCordoned] != "" || slices.ContainsFunc(node.Spec.Taints, isDraining)
}

func isDraining(t corev1.Taint) bool { return t.Key == sriovv1.TaintDraining }

// set patches a node at the version that was read: taints are one list, and others write
// into it, too.
func (r *reconciler) set(ctx context.Context, node *corev1.Node, g gate) error {
	g.Metadata.ResourceVersion = node.ResourceVersion
	if g.Spec.Taints == nil {
		g.Spec.Taints = []corev1.Taint{}
	}
	text, err := json.Marshal(g)
	if err != nil {
		return fmt.Errorf("marshal the taints of node %s: %w", node.Name, err)
	}
	got := &corev1.Node{}
	got.Name = node.Name
	if err := r.client.Patch(ctx, got, client.RawPatch(types.MergePatchType, text), fieldManager); err != nil {
		return fmt.Errorf("cordon or uncordon node %s: %w", node.Name, err)
	}
	ctrl.LoggerFrom(ctx).V(1).Info("changed what keeps pods from a node", "node", node.Name,
		"unschedulable", got.Spec.Unschedulable, "mine", got.Annotations[sriovv1.AnnotationCordoned] != "")
	got.DeepCopyInto(node)
	return nil
}
