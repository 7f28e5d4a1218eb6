// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	render "github.com/kubeovn/sriov-network-operator/internal/render/network"
)

// reconciler keeps the attachment of one network at a time as the network asks.
type reconciler struct {
	namespace string
	// prefix is that of resources when the operator configuration has none.
	prefix string
	// networks reads those of every namespace.
	networks client.Reader
	// client reads what belongs to the operator's namespace, and namespaces.
	client      client.Client
	attachments *attachments
	board       *board
	voice       *voice
	claimed     *Claimed
}

// Reconcile brings one network to where it should be.
func (r *reconciler) Reconcile(ctx context.Context, t target) (ctrl.Result, error) {
	object := t.kind.object()
	err := r.networks.Get(ctx, t.NamespacedName, object)
	if apierrors.IsNotFound(err) {
		r.voice.forget(t)
		return ctrl.Result{}, nil
	}
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("read %s %s: %w", t.kind, t.NamespacedName, err)
	}
	// Until it is known whether there are attachments at all, nothing can be said;
	// every network comes again then.
	if r.board.read() == presenceUnknown {
		return ctrl.Result{}, nil
	}
	a := ask(object)
	if object.GetDeletionTimestamp() != nil {
		return ctrl.Result{}, r.release(ctx, t, a)
	}
	// As long as it is not known who asks for which driver, neither is the attachment.
	if _, known := r.claimed.get(); !known && asksForDriver(object) {
		return ctrl.Result{}, nil
	}
	says, err := r.attach(ctx, t, a)
	if err != nil && passing(err) {
		return ctrl.Result{}, err
	}
	if err != nil {
		says = invalid("%v", err)
	}
	return ctrl.Result{}, errors.Join(err, r.voice.tell(ctx, t, a, says))
}

// release removes what was made for a network that is being deleted, and lets it
// go. A network without the finalizer is followed by its attachment without help.
func (r *reconciler) release(ctx context.Context, t target, a asked) error {
	if !controllerutil.ContainsFinalizer(a.object, sriovv1.FinalizerNetwork) {
		return nil
	}
	if r.board.read() == presenceServed {
		for _, namespace := range places(a, r.namespace) {
			key := types.NamespacedName{Namespace: namespace, Name: a.object.GetName()}
			if err := r.attachments.remove(ctx, key, render.OwnerRef(a.object)); err != nil {
				return err
			}
		}
	}
	before, ok := a.object.DeepCopyObject().(client.Object)
	if !ok {
		return fmt.Errorf("copy %s %s: its copy is no object", t.kind, t.NamespacedName)
	}
	controllerutil.RemoveFinalizer(a.object, sriovv1.FinalizerNetwork)
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.client.Patch(ctx, a.object, patch, client.FieldOwner(fieldManager)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("remove the finalizer of %s %s: %w", t.kind, t.NamespacedName, err)
	}
	return nil
}

// attach does what is to be done about a network's attachment, and returns what to
// say of it. The verdict counts only without an error.
func (r *reconciler) attach(ctx context.Context, t target, a asked) (verdict, error) {
	options, err := r.options(ctx, a)
	if err != nil {
		return verdict{}, err
	}
	wanted, err := render.Render(a.object, options)
	if field, ok := errors.AsType[*render.FieldError](err); ok {
		return invalid("%v", field), nil
	}
	if err != nil {
		return verdict{}, err
	}
	if r.board.read() != presenceServed {
		return kindMissing(), nil
	}
	wanted = owned(wanted, t.kind, a.object)
	if old := previous(a, r.namespace, wanted.Namespace); old != "" {
		key := types.NamespacedName{Namespace: old, Name: wanted.Name}
		if err := r.attachments.remove(ctx, key, render.OwnerRef(a.object)); err != nil {
			return verdict{}, err
		}
		if err := r.mark(ctx, t, a, wanted.Namespace); err != nil {
			return verdict{}, err
		}
	}
	found, err := r.attachments.at(ctx, client.ObjectKey{Namespace: wanted.Namespace, Name: wanted.Name})
	if err != nil {
		return verdict{}, err
	}
	where, err := r.place(ctx, wanted.Namespace)
	if err != nil {
		return verdict{}, err
	}
	d := decide(wanted, found, where, ready(ignored(a.object)))
	return r.carryOut(ctx, t, a, d, wanted, found)
}

// carryOut does what was decided. Where the attachment will be is written down
// before it is there, so that a crash in between leaves none behind.
func (r *reconciler) carryOut(ctx context.Context, t target, a asked, d decision,
	wanted render.NetworkAttachmentDefinition, found *render.NetworkAttachmentDefinition,
) (verdict, error) {
	if d.act == stop {
		return d.verdict, nil
	}
	if err := r.mark(ctx, t, a, wanted.Namespace); err != nil {
		return verdict{}, err
	}
	var err error
	switch d.act {
	case create:
		err = r.attachments.create(ctx, wanted)
	case amend:
		err = r.attachments.amend(ctx, wanted, found)
	case keep, stop:
	}
	switch {
	case namespaceIs(err, metav1.StatusReasonNotFound):
		return namespaceMissing(wanted.Namespace), nil
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return namespaceEnding(wanted.Namespace), nil
	case err != nil:
		return verdict{}, err
	}
	return d.verdict, nil
}

// mark gives a network of the operator's namespace the finalizer and the
// annotation with the only namespace where its attachment can be. Networks elsewhere
// need neither: their attachments are beside them and go with them.
func (r *reconciler) mark(ctx context.Context, t target, a asked, namespace string) error {
	if t.Namespace != r.namespace {
		return nil
	}
	annotations := a.object.GetAnnotations()
	if controllerutil.ContainsFinalizer(a.object, sriovv1.FinalizerNetwork) && annotations[sriovv1.AnnotationLastNetworkNamespace] == namespace {
		return nil
	}
	before, ok := a.object.DeepCopyObject().(client.Object)
	if !ok {
		return fmt.Errorf("copy %s %s: its copy is no object", t.kind, t.NamespacedName)
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[sriovv1.AnnotationLastNetworkNamespace] = namespace
	a.object.SetAnnotations(annotations)
	controllerutil.AddFinalizer(a.object, sriovv1.FinalizerNetwork)
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.client.Patch(ctx, a.object, patch, client.FieldOwner(fieldManager)); err != nil {
		return fmt.Errorf("mark %s %s with the namespace of its attachment: %w", t.kind, t.NamespacedName, err)
	}
	return nil
}

// options are what a network's attachment depends on besides the network.
func (r *reconciler) options(ctx context.Context, a asked) (render.Options, error) {
	o := render.Options{OperatorNamespace: r.namespace}
	config := &sriovv1.SriovOperatorConfig{}
	err := r.client.Get(ctx, types.NamespacedName{Namespace: r.namespace, Name: sriovv1.DefaultConfigName}, config)
	if client.IgnoreNotFound(err) != nil {
		return o, fmt.Errorf("read the operator configuration: %w", err)
	}
	o.ResourcePrefix = cmp.Or(config.Spec.ResourcePrefix, r.prefix)
	if !asksForDriver(a.object) {
		return o, nil
	}
	policies := &sriovv1.SriovNetworkNodePolicyList{}
	if err := r.client.List(ctx, policies, client.InNamespace(r.namespace), client.UnsafeDisableDeepCopy); err != nil {
		return o, fmt.Errorf("list the policies: %w", err)
	}
	claimed, _ := r.claimed.get()
	o.VFDriver = render.DefaultVFDriver(a.resourceName, slices.Concat(policies.Items, claimed))
	return o, nil
}

// place looks at the namespace of an attachment.
func (r *reconciler) place(ctx context.Context, namespace string) (place, error) {
	n := namespaceObject()
	err := r.client.Get(ctx, types.NamespacedName{Name: namespace}, n)
	switch {
	case apierrors.IsNotFound(err):
		return placeMissing, nil
	case err != nil:
		return placeMissing, fmt.Errorf("read namespace %s: %w", namespace, err)
	case n.GetDeletionTimestamp() != nil:
		return placeEnding, nil
	}
	return placeReady, nil
}

// asksForDriver reports whether the network's attachment names the VF driver that
// the policies ask for.
func asksForDriver(o client.Object) bool {
	n, ok := o.(*sriovv1.SriovNetwork)
	return ok && n.Spec.KubeOVN != nil && n.Spec.KubeOVN.VfDriver == ""
}

// ignored are the fields of the network that have no effect.
func ignored(o client.Object) []string {
	if n, ok := o.(*sriovv1.SriovNetwork); ok {
		return render.Ignored(n)
	}
	return nil
}

// namespaceIs reports whether the API server refused a write for the reason that
// its namespace gave.
func namespaceIs(err error, reason metav1.StatusReason) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	s := status.Status()
	return s.Reason == reason && s.Details != nil && s.Details.Kind == "namespaces"
}

// passing reports whether an error is over when one tries again, and so is nothing
// to tell users: a race with another writer, an API server that is busy or away.
func passing(err error) bool {
	var status apierrors.APIStatus
	return !errors.As(err, &status) || apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsTooManyRequests(err) ||
		apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsNotFound(err)
}
