// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// cniVersion is the version of the CNI specification that configurations follow.
const cniVersion = "1.0.0"

// Options are what an attachment depends on besides its network.
type Options struct {
	// ResourcePrefix goes before the resource name, with '/' between.
	ResourcePrefix string
	// OperatorNamespace is the only namespace whose networks may name another
	// namespace for their attachment.
	OperatorNamespace string
	// VFDriver is the driver that a kube-ovn attachment names when the network
	// names none; empty names none. See DefaultVFDriver.
	VFDriver string
}

// Render is the attachment that a *SriovNetwork, *SriovIBNetwork or *OVSNetwork
// asks for. It has a name, a namespace, the two annotations of ours and the
// configuration, and nothing else. The error of a network that cannot be rendered
// is a *FieldError; any other error is about the type of the object.
func Render(network runtime.Object, o Options) (NetworkAttachmentDefinition, error) {
	switch n := network.(type) {
	case *sriovv1.SriovNetwork:
		return renderSriov(n, o)
	case *sriovv1.SriovIBNetwork:
		return renderIB(n, o)
	case *sriovv1.OVSNetwork:
		return renderOVS(n, o)
	}
	return NetworkAttachmentDefinition{}, fmt.Errorf("render a network attachment for %T: it is no network", network)
}

// OwnerRef is the value of the annotation that names the owner of an attachment,
// <Kind>.<group>/<namespace>/<name>. An object of another package whose type is
// not known is unknown/<namespace>/<name>; no object has a value of its own.
func OwnerRef(owner metav1.Object) string {
	kind := sriovv1.OwnerRefUnknownKind
	switch n := owner.(type) {
	case nil:
		return sriovv1.OwnerRefNotFound
	case *sriovv1.SriovNetwork:
		kind = sriovv1.KindSriovNetwork + "." + sriovv1.GroupName
	case *sriovv1.SriovIBNetwork:
		kind = sriovv1.KindSriovIBNetwork + "." + sriovv1.GroupName
	case *sriovv1.OVSNetwork:
		kind = sriovv1.KindOVSNetwork + "." + sriovv1.GroupName
	case runtime.Object:
		if gvk := n.GetObjectKind().GroupVersionKind(); !gvk.Empty() {
			kind = gvk.GroupKind().String()
		}
	}
	return kind + "/" + owner.GetNamespace() + "/" + owner.GetName()
}

// DefaultVFDriver is the driver that a kube-ovn attachment of the resource names
// when its network names none: vfio-pci when every policy for the resource asks for
// it, and empty otherwise, also without a policy. Entries of sriov-configmap are
// policies.
func DefaultVFDriver(resource string, policies []sriovv1.SriovNetworkNodePolicy) string {
	driver := ""
	for i := range policies {
		if policies[i].Spec.ResourceName != resource {
			continue
		}
		if policies[i].Spec.DeviceType != sriovv1.DeviceTypeVfioPci {
			return ""
		}
		driver = string(sriovv1.DeviceTypeVfioPci)
	}
	return driver
}

// head begins every configuration.
type head struct {
	CNIVersion string `json:"cniVersion"`
	Name       string `json:"name"`
}

// chain is a configuration with several plugins.
type chain struct {
	head
	Plugins []any `json:"plugins"`
}

// place is what the kinds have in common about where the attachment goes.
type place struct {
	networkNamespace, resourceName string
}

// frame makes the attachment without its configuration.
func frame(owner metav1.Object, p place, o Options) (NetworkAttachmentDefinition, error) {
	namespace := owner.GetNamespace()
	if p.networkNamespace != "" {
		if namespace != o.OperatorNamespace {
			return NetworkAttachmentDefinition{}, about("spec.networkNamespace",
				"cannot be set when the resource is not in the operator namespace",
				fmt.Sprintf("remove it, or move the resource from %s to %s", namespace, o.OperatorNamespace))
		}
		namespace = p.networkNamespace
	}
	if owner.GetName() == "" {
		return NetworkAttachmentDefinition{}, about("metadata.name", "is empty", "name the network")
	}
	return NetworkAttachmentDefinition{
		TypeMeta: metav1.TypeMeta{APIVersion: AttachmentGroup + "/" + AttachmentVersion, Kind: AttachmentKind},
		ObjectMeta: metav1.ObjectMeta{
			Name: owner.GetName(), Namespace: namespace,
			Annotations: map[string]string{
				sriovv1.AnnotationResourceName: o.ResourcePrefix + "/" + p.resourceName,
				sriovv1.AnnotationOwnerRef:     OwnerRef(owner),
			},
		},
	}, nil
}

// userText is the JSON that a user wrote, parsed.
type userText struct {
	capabilities, ipam json.RawMessage
	plugins            []json.RawMessage
}

func parseUserText(capabilities, ipam, metaPlugins string) (userText, error) {
	var u userText
	var err error
	if u.capabilities, err = object("spec.capabilities", capabilities); err != nil {
		return userText{}, err
	}
	if u.ipam, err = object("spec.ipam", ipam); err != nil {
		return userText{}, err
	}
	if u.ipam == nil {
		u.ipam = json.RawMessage("{}")
	}
	if u.plugins, err = plugins("spec.metaPlugins", metaPlugins); err != nil {
		return userText{}, err
	}
	return u, nil
}

// configure writes the configuration into the attachment: plugin alone, which must
// hold alone's own keys too, or plugin followed by the user's.
func configure(nad NetworkAttachmentDefinition, alone, plugin any, others []json.RawMessage) (NetworkAttachmentDefinition, error) {
	config := alone
	if len(others) > 0 {
		list := []any{plugin}
		for _, other := range others {
			list = append(list, other)
		}
		config = chain{head: headOf(nad), Plugins: list}
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	// Users' text shall come out as it went in, also with '<', '>' and '&'.
	e.SetEscapeHTML(false)
	e.SetIndent("", "    ")
	if err := e.Encode(config); err != nil {
		return NetworkAttachmentDefinition{}, fmt.Errorf("marshal the CNI configuration of %s: %w", nad.Name, err)
	}
	nad.Spec.Config = strings.TrimSuffix(out.String(), "\n")
	return nad, nil
}

func headOf(nad NetworkAttachmentDefinition) head {
	return head{CNIVersion: cniVersion, Name: nad.Name}
}
