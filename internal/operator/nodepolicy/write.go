// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodepolicy

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
)

// written remembers the last write of each node state until the cache shows it, so that
// the same is not written twice.
type written struct {
	mu sync.Mutex
	by map[string]write
}

// write is a spec and the version of the object that it was written over.
type write struct {
	over string
	spec sriovv1.SriovNetworkNodeStateSpec
}

func (w *written) note(name, over string, spec sriovv1.SriovNetworkNodeStateSpec) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by == nil {
		w.by = map[string]write{}
	}
	w.by[name] = write{over: over, spec: spec}
}

func (w *written) forget(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.by, name)
}

// underway reports whether the spec was written over just this version of the object,
// which is the one in the cache. What was written over another version is forgotten.
func (w *written) underway(name, version string, spec sriovv1.SriovNetworkNodeStateSpec) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, ok := w.by[name]
	if ok && last.over != version {
		delete(w.by, name)
		return false
	}
	return ok && equality.Semantic.DeepEqual(last.spec, spec)
}

// nodeOf is the node as policies see it.
func nodeOf(node *corev1.Node) nodestate.Node {
	return nodestate.Node{Name: node.Name, Labels: node.Labels}
}

// write makes the node state have the spec and its owner. It writes nothing when the
// state in the cache has them.
func (r *reconciler) write(ctx context.Context, b *basis, name string, state *sriovv1.SriovNetworkNodeState, spec sriovv1.SriovNetworkNodeStateSpec) error {
	version := ""
	if state != nil {
		version = state.ResourceVersion
		if _, stale := state.Annotations[sriovv1.AnnotationKeepStateUntil]; stale {
			if err := r.unkeep(ctx, state); err != nil {
				return err
			}
		}
		if equality.Semantic.DeepEqual(state.Spec, spec) && owned(state, b.owner) {
			r.written.forget(name)
			return nil
		}
	}
	if r.written.underway(name, version, spec) {
		return nil
	}
	began := r.options.Now()
	want := sriovv1.SriovNetworkNodeState{
		TypeMeta:   metav1.TypeMeta{APIVersion: sriovv1.SchemeGroupVersion.String(), Kind: sriovv1.KindSriovNetworkNodeState},
		ObjectMeta: metav1.ObjectMeta{Namespace: r.options.Namespace, Name: name},
		Spec:       spec,
	}
	if b.owner != nil {
		want.OwnerReferences = []metav1.OwnerReference{*b.owner}
	}
	object, err := content(&want)
	if err != nil {
		return fmt.Errorf("convert node state %s: %w", name, err)
	}
	if err := r.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), fieldManager, client.ForceOwnership); err != nil {
		return fmt.Errorf("apply node state %s: %w", name, err)
	}
	if err := r.clean(ctx, object, spec); err != nil {
		return err
	}
	r.written.note(name, version, spec)
	r.metrics.write.WithLabelValues("nodestate").Observe(r.options.Now().Sub(began).Seconds())
	ctrl.LoggerFrom(ctx).Info("wrote the node state", "node", name, "pfs", len(spec.Interfaces), "basis", b.number)
	return nil
}

// clean removes what somebody else put into the spec: an apply leaves alone the fields that
// it does not name and that others own.
func (r *reconciler) clean(ctx context.Context, applied *unstructured.Unstructured, spec sriovv1.SriovNetworkNodeStateSpec) error {
	var got sriovv1.SriovNetworkNodeState
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(applied.Object, &got); err != nil {
		return fmt.Errorf("read the applied node state %s: %w", applied.GetName(), err)
	}
	if equality.Semantic.DeepEqual(got.Spec, spec) {
		return nil
	}
	patch, err := json.Marshal([]replacement{{Op: "replace", Path: "/spec", Value: spec}})
	if err != nil {
		return fmt.Errorf("marshal the spec of node state %s: %w", applied.GetName(), err)
	}
	if err := r.client.Patch(ctx, &got, client.RawPatch(types.JSONPatchType, patch), fieldManager); err != nil {
		return fmt.Errorf("restore the spec of node state %s: %w", applied.GetName(), err)
	}
	return nil
}

// replacement is one operation of a JSON patch (RFC 6902).
type replacement struct {
	Op    string                            `json:"op"`
	Path  string                            `json:"path"`
	Value sriovv1.SriovNetworkNodeStateSpec `json:"value"`
}

// owned reports whether the object has the owner, if there is one.
func owned(state *sriovv1.SriovNetworkNodeState, owner *metav1.OwnerReference) bool {
	if owner == nil {
		return true
	}
	for i := range state.OwnerReferences {
		if equality.Semantic.DeepEqual(&state.OwnerReferences[i], owner) {
			return true
		}
	}
	return false
}

// content is an object as an apply sends it: with the fields alone that are set.
func content(object runtime.Object) (*unstructured.Unstructured, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return nil, err
	}
	return &unstructured.Unstructured{Object: fields}, nil
}

// annotations is a merge patch of annotations; nil removes one.
type annotations struct {
	Metadata struct {
		Annotations map[string]*string `json:"annotations"`
	} `json:"metadata"`
}

// keep writes down until when the state of a node that is gone is kept.
func (r *reconciler) keep(ctx context.Context, state *sriovv1.SriovNetworkNodeState, until time.Time) error {
	text := until.UTC().Format(time.RFC3339)
	if err := r.annotate(ctx, state, &text); err != nil {
		return fmt.Errorf("keep node state %s until %s: %w", state.Name, text, err)
	}
	ctrl.LoggerFrom(ctx).Info("the node is gone; its state is kept for a while", "node", state.Name, "until", text)
	return nil
}

// unkeep takes back keep for a node that is back.
func (r *reconciler) unkeep(ctx context.Context, state *sriovv1.SriovNetworkNodeState) error {
	if err := r.annotate(ctx, state, nil); err != nil {
		return fmt.Errorf("keep node state %s for good: %w", state.Name, err)
	}
	return nil
}

func (r *reconciler) annotate(ctx context.Context, state *sriovv1.SriovNetworkNodeState, until *string) error {
	var patch annotations
	patch.Metadata.Annotations = map[string]*string{sriovv1.AnnotationKeepStateUntil: until}
	text, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	return client.IgnoreNotFound(r.client.Patch(ctx, state.DeepCopy(), client.RawPatch(types.MergePatchType, text), fieldManager))
}

// remove deletes the state of a node that is gone, unless it is another one by now.
func (r *reconciler) remove(ctx context.Context, state *sriovv1.SriovNetworkNodeState) error {
	err := r.client.Delete(ctx, state, client.Preconditions{UID: &state.UID, ResourceVersion: &state.ResourceVersion})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete node state %s: %w", state.Name, err)
	}
	r.written.forget(state.Name)
	ctrl.LoggerFrom(ctx).Info("deleted the state of a node that is gone", "node", state.Name)
	return nil
}

// writeStatus writes the status of a policy and reports whether it differed from what the
// cache has.
func (r *reconciler) writeStatus(ctx context.Context, policy *sriovv1.SriovNetworkNodePolicy, status sriovv1.SriovNetworkNodePolicyStatus) (bool, error) {
	if equality.Semantic.DeepEqual(policy.Status, status) {
		return false, nil
	}
	began := r.options.Now()
	object, err := content(&sriovv1.SriovNetworkNodePolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: sriovv1.SchemeGroupVersion.String(), Kind: sriovv1.KindSriovNetworkNodePolicy},
		ObjectMeta: metav1.ObjectMeta{Namespace: policy.Namespace, Name: policy.Name},
		Status:     status,
	})
	if err != nil {
		return false, fmt.Errorf("convert the status of policy %s: %w", policy.Name, err)
	}
	unstructured.RemoveNestedField(object.Object, "spec")
	err = r.client.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(object), fieldManager, client.ForceOwnership)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("apply the status of policy %s: %w", policy.Name, err)
	}
	r.metrics.write.WithLabelValues("policy").Observe(r.options.Now().Sub(began).Seconds())
	return err == nil, nil
}
