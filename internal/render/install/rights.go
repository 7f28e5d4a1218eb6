// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/render/deviceplugin"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

// Right is a rule of a role and what it is for.
type Right struct {
	rbacv1.PolicyRule
	// Why is a phrase.
	Why string
}

// Lease is the object by which replicas agree on their leader.
const Lease = "sriov-network-operator." + sriovv1.GroupName

// pluginConfigs is how many ConfigMaps with configurations of the device plugin the
// operator may write: one is enough for about a thousand nodes with twenty policies.
const pluginConfigs = 16

// rule is a right on resources of one group, or on some of them by name.
func rule(why, group string, resources, verbs []string, names ...string) Right {
	return Right{rbacv1.PolicyRule{APIGroups: []string{group}, Resources: resources, ResourceNames: names, Verbs: verbs}, why}
}

// Everywhere is what the operator may do in the whole cluster.
func Everywhere() []Right {
	of := func(resources ...string) []string { return resources }
	read, follow := of("get", "list", "watch"), of("list", "watch")
	const ours, extensions, events = sriovv1.GroupName, "apiextensions.k8s.io", "events.k8s.io"
	rights := []Right{
		rule("which nodes there are; the label that lets the device plugin run; cordons", "", of("nodes"), append(slices.Clone(read), "patch")),
		rule("which pods hold VFs of a node that is drained", "", of("pods"), follow),
		rule("pods leave a node before its VFs go", "", of("pods/eviction"), of("create")),
		rule("with podEvictionPolicy delete", "", of("pods"), of("delete")),
		rule("which pods hold VFs through claims", "resource.k8s.io", of("resourceclaims"), of("get")),
		rule("where attachments can be", "", of("namespaces"), read),
		rule("networks of every namespace, their finalizer and where their attachment is", ours,
			of("sriovnetworks", "sriovibnetworks", "ovsnetworks"), append(slices.Clone(read), "patch")),
		rule("what became of networks", ours, of("sriovnetworks/status", "sriovibnetworks/status", "ovsnetworks/status"), of("patch")),
		rule("the attachments of networks", "k8s.cni.cncf.io", of("network-attachment-definitions"), append(slices.Clone(read), "create", "patch", "delete")),
		rule("whether the cluster has kinds that it may lack", extensions, of("customresourcedefinitions"), read, operand.OptionalDefinitions()...),
		rule("what became of things, on the objects that people look at", events, of("events"), of("create", "patch")),
		rule("who asks for metrics", "authentication.k8s.io", of("tokenreviews"), of("create")),
		rule("whether they may", "authorization.k8s.io", of("subjectaccessreviews"), of("create")),
	}
	return append(rights, deployed(true, follow, of("get", "create", "patch", "delete"))...)
}

// InNamespace is what the operator may do in its own namespace.
func InNamespace() []Right {
	of := func(resources ...string) []string { return resources }
	read, follow := of("get", "list", "watch"), of("list", "watch")
	const ours = sriovv1.GroupName
	rights := []Right{
		rule("policies and pools", ours, of("sriovnetworknodepolicies", "sriovnetworkpoolconfigs"), read),
		rule("what became of policies and pools", ours, of("sriovnetworknodepolicies/status", "sriovnetworkpoolconfigs/status"), of("patch")),
		rule("what every node should be", ours, of("sriovnetworknodestates"), append(slices.Clone(read), "create", "update", "patch", "delete")),
		rule("whether the device plugin's configuration of a node was stored", ours, of("sriovnetworknodestates/status"), of("patch")),
		rule("the operator configuration and its finalizer", ours, of("sriovoperatorconfigs"), append(slices.Clone(read), "patch")),
		rule("it is deleted before the operator is", ours, of("sriovoperatorconfigs"), of("delete"), sriovv1.DefaultConfigName),
		rule("what became of the operator configuration", ours, of("sriovoperatorconfigs/status"), of("patch")),
		rule("the NIC list and sriov-configmap, which may have any name", "", of("configmaps"), read),
		rule("what each node's device plugin reads", "", of("configmaps"), of("create", "patch", "delete"), deviceplugin.Mounts(pluginConfigs)...),
		rule("which nodes have a turn to be drained", "", of("configmaps"), of("get", "create", "update", "patch"), sriovv1.ConfigMapDrainSlots),
		rule("certificates are made", "", of("secrets"), of("create")),
		rule("certificates are renewed, and go with what shows them", "", of("secrets"), append(slices.Clone(read), "update", "delete"), secrets()...),
		rule("replicas elect a leader", "coordination.k8s.io", of("leases"), of("create")),
		rule("the leader stays it", "coordination.k8s.io", of("leases"), of("get", "update"), Lease),
		rule("who leads, as the election tells", "", of("events"), of("create", "patch")),
	}
	return append(rights, deployed(false, follow, of("get", "create", "patch", "delete"))...)
}

// secrets are the names of those with certificates.
func secrets() []string {
	var names []string
	for _, g := range operand.Groups() {
		if ref, ok := operand.SecretOf(g, operand.Settings{}); ok {
			names = append(names, ref.Name)
		}
	}
	slices.Sort(names)
	return names
}

// deployed are the rights on what the operator deploys: to follow all objects of a kind,
// and to write those of its names; and the rights that the operands have.
func deployed(clustered bool, follow, write []string) []Right {
	var rights []Right
	for _, kind := range operand.AllKinds() {
		if kind.Clustered != clustered {
			continue
		}
		resource := []string{kind.Resource}
		// ConfigMaps are read anyway.
		if kind.Kind != "ConfigMap" {
			rights = append(rights, rule("what is deployed of this kind", kind.Group, resource, follow))
		}
		rights = append(rights, rule("what is deployed of this kind is kept so", kind.Group, resource, write, namesOf(kind)...))
	}
	seen := map[string]bool{}
	for _, platform := range []operand.Platform{operand.Kubernetes, operand.OpenShift} {
		everywhere, inNamespace := operand.Grants(operand.Settings{Platform: platform})
		granted := inNamespace
		if clustered {
			granted = everywhere
		}
		for _, r := range granted {
			if key := r.String(); !seen[key] {
				seen[key] = true
				rights = append(rights, Right{r, "granted to what is deployed"})
			}
		}
	}
	return rights
}

// namesOf are the names of all that is ever deployed of a kind, sorted. Those that depend
// on the namespace are there for every namespace.
func namesOf(kind operand.Kind) []string {
	var names []string
	for _, namespace := range []string{sriovv1.DefaultNamespace, "sriov-network-operator"} {
		for _, ref := range operand.AllRefs(operand.Settings{Namespace: namespace}) {
			if ref.GroupVersionKind == kind.GroupVersionKind && !slices.Contains(names, ref.Name) {
				names = append(names, ref.Name)
			}
		}
	}
	slices.Sort(names)
	return names
}
