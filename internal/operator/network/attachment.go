// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"fmt"
	"net/http"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	render "github.com/kubeovn/sriov-network-operator/internal/render/network"
)

// fieldManager is the name under which this project writes to the API.
const fieldManager = "sriov-network-operator"

// attachments are the cluster's NetworkAttachmentDefinitions. They have a cache of
// their own: the kind may come and go, which the manager's cache does not bear.
type attachments struct {
	cached cache.Cache
	live   client.Client
}

// newAttachments makes a cache that starts with the manager. It is empty until
// somebody asks it for informers.
func newAttachments(mgr ctrl.Manager, scheme *runtime.Scheme) (*attachments, error) {
	c, err := cluster.New(mgr.GetConfig(), func(o *cluster.Options) {
		o.Scheme = scheme
		o.HTTPClient = mgr.GetHTTPClient()
		o.MapperProvider = func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return mapper(), nil }
		o.Logger = mgr.GetLogger()
		o.Cache.ReaderFailOnMissingInformer = true
		o.Cache.DefaultTransform = cache.TransformStripManagedFields()
		o.Cache.ByObject = map[client.Object]cache.ByObject{
			&apiextensionsv1.CustomResourceDefinition{}: {Field: fields.OneTermEqualSelector("metadata.name", definitionName)},
		}
	})
	if err != nil {
		return nil, fmt.Errorf("make the cache of network attachments: %w", err)
	}
	live, err := client.New(mgr.GetConfig(), client.Options{Scheme: scheme, HTTPClient: mgr.GetHTTPClient(), Mapper: mapper()})
	if err != nil {
		return nil, fmt.Errorf("make the client for network attachments: %w", err)
	}
	if err := mgr.Add(c); err != nil {
		return nil, fmt.Errorf("start the cache of network attachments with the manager: %w", err)
	}
	return &attachments{cached: c.GetCache(), live: live}, nil
}

// at is the attachment as the cache knows it, nil if it knows none.
func (a *attachments) at(ctx context.Context, key types.NamespacedName) (*render.NetworkAttachmentDefinition, error) {
	found := &render.NetworkAttachmentDefinition{}
	err := a.cached.Get(ctx, key, found)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read NetworkAttachmentDefinition %s: %w", key, err)
	}
	return found, nil
}

// create makes an attachment. It is no server-side apply, which would take over
// one that somebody made a moment ago.
func (a *attachments) create(ctx context.Context, wanted render.NetworkAttachmentDefinition) error {
	if err := a.live.Create(ctx, written(wanted), client.FieldOwner(fieldManager)); err != nil {
		return fmt.Errorf("create NetworkAttachmentDefinition %s/%s: %w", wanted.Namespace, wanted.Name, err)
	}
	return nil
}

// amend makes an attachment as wanted and leaves what others added to it. It fails
// with a conflict if the attachment is not any more what was found.
func (a *attachments) amend(ctx context.Context, wanted render.NetworkAttachmentDefinition, found *render.NetworkAttachmentDefinition) error {
	u := written(wanted)
	u.SetUID(found.UID)
	u.SetResourceVersion(found.ResourceVersion)
	err := a.live.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(fieldManager), client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("apply NetworkAttachmentDefinition %s/%s: %w", wanted.Namespace, wanted.Name, err)
	}
	return nil
}

// remove deletes an attachment if the owner that its annotation names is the one
// given. It asks the API server and not the cache, which may not know yet what was
// made a moment ago.
func (a *attachments) remove(ctx context.Context, key types.NamespacedName, owner string) error {
	found := &render.NetworkAttachmentDefinition{}
	err := a.live.Get(ctx, key, found)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read NetworkAttachmentDefinition %s before its deletion: %w", key, err)
	}
	if found.Annotations[sriovv1.AnnotationOwnerRef] != owner || found.DeletionTimestamp != nil {
		return nil
	}
	verified := client.Preconditions{UID: &found.UID, ResourceVersion: &found.ResourceVersion}
	if err := a.live.Delete(ctx, found, verified); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete NetworkAttachmentDefinition %s: %w", key, err)
	}
	return nil
}

// written is what is sent to the API server for an attachment: what is ours, and no
// field besides.
func written(wanted render.NetworkAttachmentDefinition) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"config": wanted.Spec.Config}}}
	u.SetAPIVersion(wanted.APIVersion)
	u.SetKind(wanted.Kind)
	u.SetNamespace(wanted.Namespace)
	u.SetName(wanted.Name)
	u.SetAnnotations(wanted.Annotations)
	if len(wanted.OwnerReferences) > 0 {
		u.SetOwnerReferences(wanted.OwnerReferences)
	}
	return u
}

// owned gives an attachment the reference by which the cluster deletes it with its
// network. Namespaces other than the network's do not know such references.
func owned(wanted render.NetworkAttachmentDefinition, k kind, network client.Object) render.NetworkAttachmentDefinition {
	if wanted.Namespace == network.GetNamespace() {
		wanted.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: sriovv1.SchemeGroupVersion.String(), Kind: k.String(), Name: network.GetName(), UID: network.GetUID(),
		}}
	}
	return wanted
}
