// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The kind that network attachments have in the API (Kubernetes Network Custom
// Resource Definition De-facto Standard, section 3).
const (
	AttachmentGroup   = "k8s.cni.cncf.io"
	AttachmentVersion = "v1"
	AttachmentKind    = "NetworkAttachmentDefinition"
)

// NetworkAttachmentDefinition tells Multus how to attach a pod to a network. Only
// what this project writes is declared.
type NetworkAttachmentDefinition struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitzero"`

	Spec NetworkAttachmentDefinitionSpec `json:"spec,omitzero"`
}

// NetworkAttachmentDefinitionSpec holds the CNI configuration.
type NetworkAttachmentDefinitionSpec struct {
	// Config is a CNI network configuration as JSON text.
	Config string `json:"config,omitempty"`
}

// NetworkAttachmentDefinitionList is a list of attachments.
type NetworkAttachmentDefinitionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`

	Items []NetworkAttachmentDefinition `json:"items"`
}

// AddToScheme registers the attachment and its list, so that API clients can read
// and write them.
func AddToScheme(scheme *runtime.Scheme) error {
	gv := schema.GroupVersion{Group: AttachmentGroup, Version: AttachmentVersion}
	scheme.AddKnownTypes(gv, &NetworkAttachmentDefinition{}, &NetworkAttachmentDefinitionList{})
	metav1.AddToGroupVersion(scheme, gv)
	return nil
}

// DeepCopyInto copies the attachment.
func (n *NetworkAttachmentDefinition) DeepCopyInto(out *NetworkAttachmentDefinition) {
	*out = *n
	n.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
}

// DeepCopyObject is a copy that shares nothing with the attachment.
func (n *NetworkAttachmentDefinition) DeepCopyObject() runtime.Object {
	out := new(NetworkAttachmentDefinition)
	n.DeepCopyInto(out)
	return out
}

// DeepCopyObject is a copy that shares nothing with the list.
func (l *NetworkAttachmentDefinitionList) DeepCopyObject() runtime.Object {
	out := &NetworkAttachmentDefinitionList{TypeMeta: l.TypeMeta}
	l.ListMeta.DeepCopyInto(&out.ListMeta) //nolint:staticcheck // without its name it would read as if the whole list were copied
	out.Items = slices.Clone(l.Items)
	for i := range l.Items {
		l.Items[i].DeepCopyInto(&out.Items[i])
	}
	return out
}
