// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operand

import (
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// Rights are the rules of a role, each taken apart into one right for each resource, name
// and verb: "Role/config leases[leader]: get". The role is its kind and its name.
func Rights(role string, rules []rbacv1.PolicyRule) []string {
	var out []string
	for _, rule := range rules {
		for _, resource := range rule.Resources {
			names := []string{""}
			if len(rule.ResourceNames) > 0 {
				names = nil
				for _, name := range rule.ResourceNames {
					names = append(names, "["+name+"]")
				}
			}
			for _, name := range names {
				for _, verb := range rule.Verbs {
					out = append(out, role+" "+resource+name+": "+verb)
				}
			}
		}
	}
	return out
}

// Reasons is every right of every role that is rendered, as Rights names it, with what it
// is for: a phrase. The page of rights in the documentation says the same.
func Reasons() map[string]string {
	out := map[string]string{}
	for _, r := range []struct{ role, resource, verbs, why string }{
		{"ClusterRole/sriov-network-config-daemon", "nodes", "get", "whether it asks for a drain already"},
		{"ClusterRole/sriov-network-config-daemon", "nodes", "patch", "asks for a drain by annotation; an admission policy keeps it to its own node"},
		{"Role/sriov-network-config-daemon", "sriovnetworknodestates", "get list watch", "what its node should be"},
		{"Role/sriov-network-config-daemon", "sriovnetworknodestates", "patch", "repeats what it asks for, for external drainers; an admission policy keeps the spec"},
		{"Role/sriov-network-config-daemon", "sriovnetworknodestates/status", "update", "what its node is"},
		{"Role/sriov-network-config-daemon", "sriovoperatorconfigs[default]", "list watch", "log level and feature gates"},
		{"Role/sriov-network-config-daemon", "configmaps[supported-nic-ids]", "list watch", "the NIC list, live"},
		{"Role/sriov-network-config-daemon", "pods", "list watch", "the device plugin's pod on its node"},
		{"Role/sriov-network-config-daemon", "pods", "patch", "lets a device plugin start that waits"},
		{"Role/sriov-network-config-daemon", "pods", "delete", "restarts the device plugin; an admission policy keeps it to that"},
		{"Role/sriov-network-config-daemon", "events", "create", "what it did"},
		{"Role/sriov-network-config-daemon", "securitycontextconstraints[privileged]", "use", "OpenShift: it is privileged"},
		{"Role/sriov-plugin", "securitycontextconstraints[privileged]", "use", "OpenShift: the device plugin is privileged"},
		{"Role/metrics-exporter-role", "securitycontextconstraints[privileged]", "use", "OpenShift: the exporter mounts folders of the host"},
		{"Role/sriov-device-plugin-pod-access", "pods", "get list watch", "its own pod's annotations"},
		{"Role/sriov-device-plugin-pod-access", "pods", "patch", "says that it waits; an admission policy keeps it to its own pod"},
		{"ClusterRole/network-resources-injector", "network-attachment-definitions", "get list watch", "the resource of a network"},
		{"Role/network-resources-injector", "configmaps[nri-control-switches]", "get list watch", "its settings"},
		{"Role/network-resources-injector", "configmaps[nri-user-defined-injections]", "get list watch", "injections that users define"},
		{"ClusterRole/operator-webhook", "nodes", "list watch", "which nodes a policy selects"},
		{"Role/operator-webhook", "configmaps[supported-nic-ids]", "list watch", "the NIC list, live"},
		{"Role/operator-webhook", "configmaps[sriov-configmap]", "list watch", "wishes that are no policies"},
		{"Role/operator-webhook", "sriovnetworknodepolicies", "list watch", "policies that a new one meets"},
		{"Role/operator-webhook", "sriovnetworknodestates", "list watch", "NICs of nodes"},
		{"Role/operator-webhook", "sriovnetworkpoolconfigs", "list watch", "pools that a new one meets"},
		{"Role/operator-webhook", "sriovoperatorconfigs", "list watch", "which nodes are looked after"},
		{"ClusterRole/sriov-network-config-daemon", "tokenreviews", "create", "who asks for its metrics"},
		{"ClusterRole/sriov-network-config-daemon", "subjectaccessreviews", "create", "whether they may"},
		{"ClusterRole/sriov-metrics-kube-rbac-role", "tokenreviews", "create", "who asks for metrics"},
		{"ClusterRole/sriov-metrics-kube-rbac-role", "subjectaccessreviews", "create", "whether they may"},
		{"Role/prometheus-k8s", "services", "get list watch", "Prometheus finds the exporter"},
		{"Role/prometheus-k8s", "endpoints", "get list watch", "Prometheus finds the exporter"},
		{"Role/prometheus-k8s", "pods", "get list watch", "Prometheus finds the exporter"},
		{"Role/prometheus-k8s", "endpointslices", "get list watch", "Prometheus finds the exporter"},
	} {
		for verb := range strings.FieldsSeq(r.verbs) {
			out[r.role+" "+r.resource+": "+verb] = r.why
		}
	}
	return out
}
