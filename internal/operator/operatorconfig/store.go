// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operatorconfig

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/csaupgrade"
	"k8s.io/client-go/util/retry"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

// fieldManager is who writes, as the API records it.
const fieldManager = "sriov-network-operator"

// store is what is deployed. One goroutine at a time may use it.
type store struct {
	// cached has the objects with the operator's label, of the kinds that are watched.
	cached  client.Reader
	watched func(schema.GroupVersionKind) bool
	live    client.Client
	compare comparer
	// none are objects that the API server was asked for and did not have, or has from
	// somebody else. One that the operator made would be in the cache.
	none map[operand.Ref]bool
	// underway are writes that the cache does not show yet.
	underway map[operand.Ref]write
}

// write is an apply, and the version of the object that it was made over.
type write struct {
	over  string
	patch *unstructured.Unstructured
}

// blank is an object with its name alone.
func blank(ref operand.Ref) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(ref.GroupVersionKind)
	o.SetNamespace(ref.Namespace)
	o.SetName(ref.Name)
	return o
}

// at is the object that there is; nil when there is none. What the cache does not know
// the API server is asked for: it may have been made by somebody else.
func (s *store) at(ctx context.Context, ref operand.Ref) (*unstructured.Unstructured, error) {
	o, err := s.ours(ctx, ref)
	if o != nil || err != nil {
		return o, err
	}
	o = blank(ref)
	switch err := repeat(func() error { return s.live.Get(ctx, client.ObjectKeyFromObject(o), o) }); {
	case apierrors.IsNotFound(err), meta.IsNoMatchError(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", ref, err)
	}
	return o, nil
}

// ours is the object if the cache has it; nil when it does not.
func (s *store) ours(ctx context.Context, ref operand.Ref) (*unstructured.Unstructured, error) {
	if !s.watched(ref.GroupVersionKind) {
		return nil, nil
	}
	o := blank(ref)
	switch err := s.cached.Get(ctx, client.ObjectKeyFromObject(o), o); {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", ref, err)
	}
	return o, nil
}

// bring makes an object as it should be. live is what there is; nil for nothing.
func (s *store) bring(ctx context.Context, wanted operand.Object, live *unstructured.Unstructured) error {
	ref := operand.RefOf(wanted)
	patch, err := operand.Patch(wanted)
	if err != nil {
		return err
	}
	if live == nil {
		return s.create(ctx, ref, patch)
	}
	over := live.GetResourceVersion()
	if last, ok := s.underway[ref]; ok && last.over == over && reflect.DeepEqual(last.patch, patch) {
		return nil
	}
	delete(s.underway, ref)
	same, err := s.compare.same(live, patch)
	if err != nil {
		return fmt.Errorf("compare %s with what it should be: %w", ref, err)
	}
	if same {
		return nil
	}
	if fixedChanged(live, patch) {
		return s.replace(ctx, ref, live)
	}
	if err := s.inherit(ctx, ref, live); err != nil {
		return err
	}
	// The uid keeps the apply from an object that somebody made in place of this one.
	if err := s.apply(ctx, patch, live.GetUID(), client.ForceOwnership); err != nil {
		return fmt.Errorf("apply %s: %w", ref, err)
	}
	s.underway[ref] = write{over: over, patch: patch}
	logger(ctx, ref).Info("applied an object")
	return nil
}

// create makes an object that is not there. The apply is not forced: over fields that
// somebody set a moment ago it fails.
func (s *store) create(ctx context.Context, ref operand.Ref, patch *unstructured.Unstructured) error {
	if err := s.apply(ctx, patch, ""); err != nil {
		return fmt.Errorf("create %s: %w", ref, err)
	}
	delete(s.none, ref)
	logger(ctx, ref).Info("created an object")
	return nil
}

// apply sends a patch, and leaves it as it is: the answer goes into a copy.
func (s *store) apply(ctx context.Context, patch *unstructured.Unstructured, uid types.UID, options ...client.ApplyOption) error {
	return repeat(func() error {
		sent := patch.DeepCopy()
		if uid != "" {
			sent.SetUID(uid)
		}
		return s.live.Apply(ctx, client.ApplyConfigurationFromUnstructured(sent), append(options, client.FieldOwner(fieldManager))...)
	})
}

// inherit makes fields that the existing operator set by updates the operator's own, so
// that the apply removes those that are not wanted any more.
func (s *store) inherit(ctx context.Context, ref operand.Ref, live *unstructured.Unstructured) error {
	patch, err := csaupgrade.UpgradeManagedFieldsPatch(live, sets.New(fieldManager), fieldManager)
	if err != nil {
		return fmt.Errorf("take over the fields of %s: %w", ref, err)
	}
	if len(patch) == 0 {
		return nil
	}
	if err := s.live.Patch(ctx, blank(ref), client.RawPatch(types.JSONPatchType, patch), client.FieldOwner(fieldManager)); err != nil {
		return fmt.Errorf("take over the fields of %s: %w", ref, err)
	}
	return nil
}

// fixedChanged reports whether a binding is to another role than it should be, which an
// apply cannot change.
func fixedChanged(live, patch *unstructured.Unstructured) bool {
	is, has, err := unstructured.NestedStringMap(live.Object, "roleRef")
	if !has || err != nil {
		return false
	}
	want, _, err := unstructured.NestedStringMap(patch.Object, "roleRef")
	return err == nil && (is["kind"] != want["kind"] || is["name"] != want["name"])
}

// replace deletes an object; it is made anew when it is gone.
func (s *store) replace(ctx context.Context, ref operand.Ref, live *unstructured.Unstructured) error {
	if err := s.delete(ctx, ref, live); err != nil {
		return err
	}
	return errReplaced
}

// errReplaced: an object was deleted to be made anew.
var errReplaced = errors.New("an object is made anew")

// remove deletes an object that is the operator's, and reports whether it is gone or
// somebody else's.
func (s *store) remove(ctx context.Context, ref operand.Ref) (bool, error) {
	live, err := s.ours(ctx, ref)
	if err != nil {
		return false, err
	}
	if live == nil {
		if s.none[ref] {
			return true, nil
		}
		if live, err = s.at(ctx, ref); err != nil {
			return false, err
		}
	}
	if live == nil || !operand.Ours(live) {
		s.none[ref] = true
		return true, nil
	}
	if live.GetDeletionTimestamp() != nil {
		return false, nil
	}
	// Somebody's finalizer keeps it for a while.
	return len(live.GetFinalizers()) == 0, s.delete(ctx, ref, live)
}

func (s *store) delete(ctx context.Context, ref operand.Ref, live *unstructured.Unstructured) error {
	uid := live.GetUID()
	err := repeat(func() error {
		return s.live.Delete(ctx, blank(ref), client.Preconditions{UID: &uid}, client.PropagationPolicy(metav1.DeletePropagationBackground))
	})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete %s: %w", ref, err)
	}
	delete(s.underway, ref)
	logger(ctx, ref).Info("deleted an object")
	return nil
}

// repeat makes a request again that failed for what passes, a few times: one of a hundred
// that fails should not cost the others.
func repeat(request func() error) error {
	backoff := wait.Backoff{Steps: 4, Duration: 50 * time.Millisecond, Factor: 3, Jitter: 0.2}
	return retry.OnError(backoff, func(err error) bool { return passing(err) && !apierrors.IsNotFound(err) }, request)
}

func logger(ctx context.Context, ref operand.Ref) logr.Logger {
	return ctrl.LoggerFrom(ctx).WithValues("kind", ref.Kind, "namespace", ref.Namespace, "name", ref.Name)
}
