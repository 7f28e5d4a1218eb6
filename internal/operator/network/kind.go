// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	metav1apply "k8s.io/client-go/applyconfigurations/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	apply "github.com/kubeovn/sriov-network-operator/api/v1/applyconfiguration/api/v1"
	render "github.com/kubeovn/sriov-network-operator/internal/render/network"
)

// kind is one of the kinds of network.
type kind int

const (
	sriovNetwork kind = iota
	sriovIBNetwork
	ovsNetwork
)

// kinds are all kinds.
func kinds() []kind { return []kind{sriovNetwork, sriovIBNetwork, ovsNetwork} }

// String is the kind's name in the API.
func (k kind) String() string {
	switch k {
	case sriovNetwork:
		return sriovv1.KindSriovNetwork
	case sriovIBNetwork:
		return sriovv1.KindSriovIBNetwork
	case ovsNetwork:
		return sriovv1.KindOVSNetwork
	}
	return fmt.Sprintf("kind(%d)", int(k))
}

// object is an empty network of the kind.
func (k kind) object() client.Object {
	switch k {
	case sriovIBNetwork:
		return &sriovv1.SriovIBNetwork{}
	case ovsNetwork:
		return &sriovv1.OVSNetwork{}
	case sriovNetwork:
	}
	return &sriovv1.SriovNetwork{}
}

// list is an empty list of networks of the kind.
func (k kind) list() client.ObjectList {
	switch k {
	case sriovIBNetwork:
		return &sriovv1.SriovIBNetworkList{}
	case ovsNetwork:
		return &sriovv1.OVSNetworkList{}
	case sriovNetwork:
	}
	return &sriovv1.SriovNetworkList{}
}

// mapper knows the kinds of this package without asking the API server, which need
// not serve them yet.
func mapper() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper(nil)
	for _, k := range kinds() {
		m.Add(sriovv1.SchemeGroupVersion.WithKind(k.String()), meta.RESTScopeNamespace)
	}
	m.Add(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"), meta.RESTScopeRoot)
	attachment := schema.GroupVersion{Group: render.AttachmentGroup, Version: render.AttachmentVersion}
	m.AddSpecific(attachment.WithKind(render.AttachmentKind), attachment.WithResource(attachmentPlural),
		attachment.WithResource("network-attachment-definition"), meta.RESTScopeNamespace)
	return m
}

// scheme knows the kinds of mapper.
func scheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{render.AddToScheme, apiextensionsv1.AddToScheme, sriovv1.AddToScheme} {
		if err := add(s); err != nil {
			return nil, fmt.Errorf("register the kinds of networks and attachments: %w", err)
		}
	}
	return s, nil
}

const (
	// attachmentPlural is what the API's paths call attachments.
	attachmentPlural = "network-attachment-definitions"
	// definitionName is the name of the attachments' CustomResourceDefinition.
	definitionName = attachmentPlural + "." + render.AttachmentGroup
)

// target names one network. It is the work item of the controller.
type target struct {
	kind kind
	types.NamespacedName
}

func targetOf(k kind, o client.Object) target {
	return target{kind: k, NamespacedName: client.ObjectKeyFromObject(o)}
}

// asked is what a network of any kind asks for.
type asked struct {
	object           client.Object
	networkNamespace string
	resourceName     string
	conditions       []metav1.Condition
}

// ask reads a network. An object that is none asks for nothing.
func ask(o client.Object) asked {
	switch n := o.(type) {
	case *sriovv1.SriovNetwork:
		return asked{o, n.Spec.NetworkNamespace, n.Spec.ResourceName, n.Status.Conditions}
	case *sriovv1.SriovIBNetwork:
		return asked{o, n.Spec.NetworkNamespace, n.Spec.ResourceName, n.Status.Conditions}
	case *sriovv1.OVSNetwork:
		return asked{o, n.Spec.NetworkNamespace, n.Spec.ResourceName, n.Status.Conditions}
	}
	return asked{object: o}
}

// networks calls visit with every network that the options choose. The networks are
// those of the cache and must not be changed.
func networks(ctx context.Context, from client.Reader, visit func(kind, client.Object), options ...client.ListOption) error {
	for _, k := range kinds() {
		list := k.list()
		if err := from.List(ctx, list, append(options, client.UnsafeDisableDeepCopy)...); err != nil {
			return fmt.Errorf("list networks of kind %s: %w", k, err)
		}
		err := meta.EachListItem(list, func(o runtime.Object) error {
			if n, ok := o.(client.Object); ok {
				visit(k, n)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("walk the networks of kind %s: %w", k, err)
		}
	}
	return nil
}

// withCondition is the apply configuration that gives the target's status the
// condition. The uid keeps it from a successor of the same name. The second value
// is where the API server's answer puts the resource version.
func withCondition(t target, uid types.UID, c *metav1apply.ConditionApplyConfiguration) (runtime.ApplyConfiguration, *metav1apply.ObjectMetaApplyConfiguration) {
	switch t.kind {
	case sriovIBNetwork:
		a := apply.SriovIBNetwork(t.Name, t.Namespace).WithUID(uid).WithStatus(apply.SriovIBNetworkStatus().WithConditions(c))
		return a, a.ObjectMetaApplyConfiguration
	case ovsNetwork:
		a := apply.OVSNetwork(t.Name, t.Namespace).WithUID(uid).WithStatus(apply.OVSNetworkStatus().WithConditions(c))
		return a, a.ObjectMetaApplyConfiguration
	case sriovNetwork:
	}
	a := apply.SriovNetwork(t.Name, t.Namespace).WithUID(uid).WithStatus(apply.SriovNetworkStatus().WithConditions(c))
	return a, a.ObjectMetaApplyConfiguration
}
