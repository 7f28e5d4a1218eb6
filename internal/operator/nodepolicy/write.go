// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodepolicy

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
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
	"github.com/kubeovn/sriov-network-operator/internal/fleet"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
)

// written remembers the last write of each node state until the cache shows it, so that
// the same is not written twice, and so that the watch's echo of it is no work.
type written struct {
	mu sync.Mutex
	by map[string]write
}

// write is a spec, the version of the object that it was written over, and the version
// that it then had; empty while there is no answer.
type write struct {
	over, version string
	spec          sriovv1.SriovNetworkNodeStateSpec
}

// begin notes what is about to be written over a version of the object.
func (w *written) begin(name, over string, spec sriovv1.SriovNetworkNodeStateSpec) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by == nil {
		w.by = map[string]write{}
	}
	w.by[name] = write{over: over, spec: spec}
}

// done notes the version of what was written, unless it is forgotten by now.
func (w *written) done(name, version string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if last, ok := w.by[name]; ok {
		last.version = version
		w.by[name] = last
	}
}

func (w *written) forget(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.by, name)
}

// underway is the version that the object has by now, although the cache has the one
// given, and whether it has this spec. What was written over another version is forgotten.
func (w *written) underway(name, cached string, spec sriovv1.SriovNetworkNodeStateSpec) (version string, same bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, ok := w.by[name]
	if ok && last.over != cached || last.version == "" {
		delete(w.by, name)
		return cached, false
	}
	return last.version, equality.Semantic.DeepEqual(last.spec, spec)
}

// echo reports whether a change that the watch brings is nothing but the last write, which
// is then forgotten. The node's daemon has yet to see it.
func (w *written) echo(was, is *sriovv1.SriovNetworkNodeState) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, ok := w.by[is.Name]
	if !ok || last.over != was.ResourceVersion || reported(was, is) || fleet.StandingOf(is) != pending || !equality.Semantic.DeepEqual(last.spec, is.Spec) {
		return false
	}
	delete(w.by, is.Name)
	return true
}

// nodeOf is the node as policies see it.
func nodeOf(node *corev1.Node) nodestate.Node {
	return nodestate.Node{Name: node.Name, Labels: node.Labels}
}

// write makes the node state have the spec and its owner, and no mark of a node that is
// gone. It writes nothing when the state in the cache is so.
//
// It is an update of exactly the version that was looked at: a write over something that
// was not seen is refused, whether it is another's or that of a leader who came after.
// So all of the spec is the controller's, also fields that somebody added, and it costs
// the API server no merge, as an apply would.
func (r *reconciler) write(ctx context.Context, b *basis, name string, state *sriovv1.SriovNetworkNodeState, spec sriovv1.SriovNetworkNodeStateSpec) error {
	want := &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Namespace: r.options.Namespace, Name: name}, Spec: spec}
	if state != nil {
		if equality.Semantic.DeepEqual(state.Spec, spec) && owned(state, b.owner) && !marked(state) {
			r.written.forget(name)
			return nil
		}
		want.ObjectMeta = *state.ObjectMeta.DeepCopy()
		delete(want.Annotations, sriovv1.AnnotationKeepStateUntil)
	}
	over := want.ResourceVersion
	var same bool
	if want.ResourceVersion, same = r.written.underway(name, over, spec); same {
		return nil
	}
	own(want, b.owner)
	r.written.begin(name, over, spec)
	version, err := r.door.send(ctx, want)
	if err != nil {
		r.written.forget(name)
		return err
	}
	r.written.done(name, version)
	ctrl.LoggerFrom(ctx).V(1).Info("wrote the node state", "node", name, "pfs", len(spec.Interfaces), "basis", b.number)
	return nil
}

// marked reports whether the state is still marked as that of a node that is gone.
func marked(state *sriovv1.SriovNetworkNodeState) bool {
	_, is := state.Annotations[sriovv1.AnnotationKeepStateUntil]
	return is
}

// owned reports whether the object has the owner, if there is one.
func owned(state *sriovv1.SriovNetworkNodeState, owner *metav1.OwnerReference) bool {
	return owner == nil || slices.ContainsFunc(state.OwnerReferences, func(ref metav1.OwnerReference) bool {
		return equality.Semantic.DeepEqual(ref, *owner)
	})
}

// own gives the object its owner in place of one of the same kind that was before.
func own(state *sriovv1.SriovNetworkNodeState, owner *metav1.OwnerReference) {
	if owner == nil {
		return
	}
	state.OwnerReferences = slices.DeleteFunc(state.OwnerReferences, func(ref metav1.OwnerReference) bool {
		return ref.APIVersion == owner.APIVersion && ref.Kind == owner.Kind
	})
	state.OwnerReferences = append(state.OwnerReferences, *owner)
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
	return err == nil, nil
}
