// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operand

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// Kind is one kind of object that is rendered.
type Kind struct {
	schema.GroupVersionKind
	// Resource is what the API's paths call it.
	Resource string
	// Clustered: its objects have no namespace.
	Clustered bool
	// Definition is the CustomResourceDefinition that brings the kind. Empty for
	// kinds that Kubernetes brings.
	Definition string
}

// AllKinds are all kinds that are ever rendered, those that a cluster may lack last.
func AllKinds() []Kind {
	resources := []struct{ kind, resource string }{
		{kindServiceAccount, "serviceaccounts"}, {kindConfigMap, "configmaps"}, {kindService, "services"},
		{kindRole, "roles"}, {kindRoleBinding, "rolebindings"},
		{kindClusterRole, "clusterroles"}, {kindClusterRoleBinding, "clusterrolebindings"},
		{kindNetworkPolicy, "networkpolicies"}, {kindDaemonSet, "daemonsets"}, {kindDeployment, "deployments"},
		{kindMutatingWebhook, "mutatingwebhookconfigurations"}, {kindValidatingWebhook, "validatingwebhookconfigurations"},
		{kindPolicy, "validatingadmissionpolicies"}, {kindPolicyBinding, "validatingadmissionpolicybindings"},
		{kindServiceMonitor, "servicemonitors"}, {kindPrometheusRule, "prometheusrules"},
	}
	out := make([]Kind, 0, len(resources))
	for _, r := range resources {
		k := Kind{GroupVersionKind: groupVersion(r.kind).WithKind(r.kind), Resource: r.resource, Clustered: clustered(r.kind)}
		if r.kind == kindServiceMonitor || r.kind == kindPrometheusRule {
			k.Definition = r.resource + "." + k.Group
		}
		out = append(out, k)
	}
	return out
}

// OptionalDefinitions are the CustomResourceDefinitions of the kinds that a cluster may
// lack and that Kinds knows.
func OptionalDefinitions() []string {
	return []string{
		"network-attachment-definitions.k8s.cni.cncf.io", "servicemonitors.monitoring.coreos.com",
		"prometheusrules.monitoring.coreos.com", "certificates.cert-manager.io",
	}
}

// AllRefs names every object that is ever rendered with these settings, each once,
// whatever the configuration asks for and whatever kinds the cluster has.
func AllRefs(s Settings) []Ref {
	s.Kinds = Kinds{NetworkAttachmentDefinition: true, ServiceMonitor: true, PrometheusRule: true, Certificate: true, ValidatingAdmissionPolicy: true}
	var out []Ref
	for _, d := range Removal(s).Deployments {
		for _, ref := range d.Delete {
			if !slices.Contains(out, ref) {
				out = append(out, ref)
			}
		}
	}
	return out
}

// Selector is a label, and its value, of every object that is rendered.
func Selector() map[string]string { return map[string]string{labelManagedBy: operatorName} }

// SecretOf names the Secret with the certificate that a group shows; false for a group
// that shows none.
func SecretOf(g Group, s Settings) (Ref, bool) {
	r := newRenderer(sriovv1.SriovOperatorConfig{}, s)
	name, _ := r.certificateOf(g)
	return Ref{GroupVersionKind: groupVersion(kindSecret).WithKind(kindSecret), Namespace: r.Namespace, Name: name}, name != ""
}

// IsControlPlane reports whether a node with these labels is one of the control plane.
func IsControlPlane(labels map[string]string) bool {
	return slices.ContainsFunc(controlPlaneLabels(), func(label string) bool {
		_, ok := labels[label]
		return ok
	})
}
