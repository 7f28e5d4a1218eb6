// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operand_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

// allowed is every right of every role, with what it is for.
func allowed() map[string]string {
	return map[string]string{
		"ClusterRole/sriov-network-config-daemon nodes: get":                             "its provider and its annotations",
		"ClusterRole/sriov-network-config-daemon nodes: patch":                           "asks for a drain by annotation; an admission policy keeps it to its own node",
		"Role/sriov-network-config-daemon sriovnetworknodestates: get":                   "what its node should be",
		"Role/sriov-network-config-daemon sriovnetworknodestates: list":                  "what its node should be",
		"Role/sriov-network-config-daemon sriovnetworknodestates: watch":                 "what its node should be",
		"Role/sriov-network-config-daemon sriovnetworknodestates: patch":                 "repeats what it asks for, for external drainers; an admission policy keeps the spec",
		"Role/sriov-network-config-daemon sriovnetworknodestates/status: patch":          "what its node is",
		"Role/sriov-network-config-daemon sriovnetworknodestates/status: update":         "what its node is",
		"Role/sriov-network-config-daemon sriovoperatorconfigs[default]: get":            "log level and feature gates",
		"Role/sriov-network-config-daemon sriovoperatorconfigs[default]: list":           "log level and feature gates",
		"Role/sriov-network-config-daemon sriovoperatorconfigs[default]: watch":          "log level and feature gates",
		"Role/sriov-network-config-daemon configmaps[supported-nic-ids]: get":            "the NIC list",
		"Role/sriov-network-config-daemon configmaps[supported-nic-ids]: list":           "the NIC list",
		"Role/sriov-network-config-daemon configmaps[supported-nic-ids]: watch":          "the NIC list, live",
		"Role/sriov-network-config-daemon pods: get":                                     "the device plugin's pod on its node",
		"Role/sriov-network-config-daemon pods: list":                                    "the device plugin's pod on its node",
		"Role/sriov-network-config-daemon pods: watch":                                   "the device plugin's pod on its node",
		"Role/sriov-network-config-daemon pods: patch":                                   "lets a device plugin start that waits",
		"Role/sriov-network-config-daemon pods: delete":                                  "restarts the device plugin; an admission policy keeps it to that",
		"Role/sriov-network-config-daemon events: create":                                "what it did",
		"Role/sriov-network-config-daemon events: patch":                                 "what it did once more",
		"Role/sriov-network-config-daemon securitycontextconstraints[privileged]: use":   "OpenShift: it is privileged",
		"Role/sriov-plugin securitycontextconstraints[privileged]: use":                  "OpenShift: the device plugin is privileged",
		"Role/metrics-exporter-role securitycontextconstraints[privileged]: use":         "OpenShift: the exporter mounts folders of the host",
		"Role/sriov-device-plugin-pod-access pods: get":                                  "its own pod's annotations",
		"Role/sriov-device-plugin-pod-access pods: list":                                 "its own pod's annotations",
		"Role/sriov-device-plugin-pod-access pods: watch":                                "its own pod's annotations",
		"Role/sriov-device-plugin-pod-access pods: patch":                                "says that it waits; an admission policy keeps it to its own pod",
		"ClusterRole/network-resources-injector network-attachment-definitions: get":     "the resource of a network",
		"ClusterRole/network-resources-injector network-attachment-definitions: list":    "the resource of a network",
		"ClusterRole/network-resources-injector network-attachment-definitions: watch":   "the resource of a network",
		"Role/network-resources-injector configmaps[nri-control-switches]: get":          "its settings",
		"Role/network-resources-injector configmaps[nri-control-switches]: list":         "its settings",
		"Role/network-resources-injector configmaps[nri-control-switches]: watch":        "its settings",
		"Role/network-resources-injector configmaps[nri-user-defined-injections]: get":   "injections that users define",
		"Role/network-resources-injector configmaps[nri-user-defined-injections]: list":  "injections that users define",
		"Role/network-resources-injector configmaps[nri-user-defined-injections]: watch": "injections that users define",
		"ClusterRole/operator-webhook nodes: list":                                       "which nodes a policy selects",
		"ClusterRole/operator-webhook nodes: watch":                                      "which nodes a policy selects",
		"Role/operator-webhook configmaps[supported-nic-ids]: list":                      "the NIC list",
		"Role/operator-webhook configmaps[supported-nic-ids]: watch":                     "the NIC list, live",
		"Role/operator-webhook configmaps[sriov-configmap]: list":                        "wishes that are no policies",
		"Role/operator-webhook configmaps[sriov-configmap]: watch":                       "wishes that are no policies",
		"Role/operator-webhook sriovnetworknodepolicies: list":                           "policies that a new one meets",
		"Role/operator-webhook sriovnetworknodepolicies: watch":                          "policies that a new one meets",
		"Role/operator-webhook sriovnetworknodestates: list":                             "NICs of nodes",
		"Role/operator-webhook sriovnetworknodestates: watch":                            "NICs of nodes",
		"Role/operator-webhook sriovnetworkpoolconfigs: list":                            "pools that a new one meets",
		"Role/operator-webhook sriovnetworkpoolconfigs: watch":                           "pools that a new one meets",
		"Role/operator-webhook sriovoperatorconfigs: list":                               "which nodes are looked after",
		"Role/operator-webhook sriovoperatorconfigs: watch":                              "which nodes are looked after",
		"ClusterRole/sriov-network-config-daemon tokenreviews: create":                   "who asks for its metrics",
		"ClusterRole/sriov-network-config-daemon subjectaccessreviews: create":           "whether they may",
		"ClusterRole/sriov-metrics-kube-rbac-role tokenreviews: create":                  "who asks for metrics",
		"ClusterRole/sriov-metrics-kube-rbac-role subjectaccessreviews: create":          "whether they may",
		"Role/prometheus-k8s services: get":                                              "Prometheus finds the exporter",
		"Role/prometheus-k8s services: list":                                             "Prometheus finds the exporter",
		"Role/prometheus-k8s services: watch":                                            "Prometheus finds the exporter",
		"Role/prometheus-k8s endpoints: get":                                             "Prometheus finds the exporter",
		"Role/prometheus-k8s endpoints: list":                                            "Prometheus finds the exporter",
		"Role/prometheus-k8s endpoints: watch":                                           "Prometheus finds the exporter",
		"Role/prometheus-k8s pods: get":                                                  "Prometheus finds the exporter",
		"Role/prometheus-k8s pods: list":                                                 "Prometheus finds the exporter",
		"Role/prometheus-k8s pods: watch":                                                "Prometheus finds the exporter",
		"Role/prometheus-k8s endpointslices: get":                                        "Prometheus finds the exporter",
		"Role/prometheus-k8s endpointslices: list":                                       "Prometheus finds the exporter",
		"Role/prometheus-k8s endpointslices: watch":                                      "Prometheus finds the exporter",
	}
}

// rights are the rules of a role, one line for each resource, name and verb.
func rights(role string, rules []rbacv1.PolicyRule) []string {
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

// clusters are the settings under which the roles differ.
func clusters() []operand.Settings {
	openshift := settings()
	openshift.Platform, openshift.Certificates = operand.OpenShift, operand.Certificates{Source: operand.ServiceCA}
	return []operand.Settings{settings(), openshift}
}

func TestEveryRightOfEveryRoleHasAReasonAndIsUsed(t *testing.T) {
	reasons, used := allowed(), map[string]bool{}
	for _, s := range clusters() {
		out, _ := operand.Render(config(everything()), s)
		for _, o := range all(out) {
			var rules []rbacv1.PolicyRule
			switch role := o.(type) {
			case *rbacv1.Role:
				rules = role.Rules
			case *rbacv1.ClusterRole:
				rules = role.Rules
			default:
				continue
			}
			name := operand.RefOf(o).Kind + "/" + o.GetName()
			if len(rules) == 0 {
				t.Errorf("%s grants nothing", name)
			}
			for _, right := range rights(name, rules) {
				if reasons[right] == "" {
					t.Errorf("%s has no reason", right)
				}
				used[right] = true
			}
		}
	}
	for _, right := range slices.Sorted(maps.Keys(reasons)) {
		if !used[right] {
			t.Errorf("nobody has %s", right)
		}
	}
}

func TestNoRoleHasAWildcardReadsSecretsOrPassesRightsOn(t *testing.T) {
	for _, s := range clusters() {
		everywhere, inNamespace := operand.Grants(s)
		if len(everywhere) == 0 || len(inNamespace) == 0 {
			t.Fatal("the operands may do nothing")
		}
		for _, rule := range slices.Concat(everywhere, inNamespace) {
			words := slices.Concat(rule.APIGroups, rule.Resources, rule.ResourceNames, rule.Verbs, rule.NonResourceURLs)
			for _, word := range words {
				if strings.Contains(word, "*") || slices.Contains([]string{"secrets", "escalate", "bind", "impersonate", "deletecollection"}, word) {
					t.Errorf("a role has %q: %v", word, rule)
				}
			}
			if len(rule.NonResourceURLs) > 0 {
				t.Errorf("a role has URLs: %v", rule)
			}
		}
	}
}

func TestGrantsCoverEveryRole(t *testing.T) {
	for _, s := range clusters() {
		everywhere, inNamespace := operand.Grants(s)
		spec := everything()
		spec.FeatureGates["blockDevicePluginUntilConfigured"] = true
		out, _ := operand.Render(config(spec), s)
		for _, o := range all(out) {
			granted, rules := inNamespace, []rbacv1.PolicyRule(nil)
			switch role := o.(type) {
			case *rbacv1.Role:
				rules = role.Rules
			case *rbacv1.ClusterRole:
				granted, rules = everywhere, role.Rules
			}
			for _, right := range rights("", rules) {
				if !slices.Contains(rights("", granted), right) {
					t.Errorf("%s grants%s, and the operator does not hold it", operand.RefOf(o), right)
				}
			}
		}
	}
}

func TestEveryBindingBindsARenderedRoleToARenderedAccount(t *testing.T) {
	for _, c := range scenarios() {
		out, _, s := c.render()
		there := map[string]bool{}
		for _, o := range all(out) {
			there[operand.RefOf(o).Kind+"/"+o.GetName()] = true
		}
		for _, o := range all(out) {
			var ref rbacv1.RoleRef
			var subjects []rbacv1.Subject
			switch b := o.(type) {
			case *rbacv1.RoleBinding:
				ref, subjects = b.RoleRef, b.Subjects
			case *rbacv1.ClusterRoleBinding:
				ref, subjects = b.RoleRef, b.Subjects
			default:
				continue
			}
			if !there[ref.Kind+"/"+ref.Name] || len(subjects) != 1 {
				t.Errorf("%s: %s binds %s %s to %v", c.file, operand.RefOf(o), ref.Kind, ref.Name, subjects)
			}
			ours := subjects[0].Namespace == s.Namespace && there["ServiceAccount/"+subjects[0].Name]
			prometheus := subjects[0].Name == "prometheus-k8s" && strings.Contains(o.GetName(), "prometheus")
			if !ours && !prometheus {
				t.Errorf("%s: %s grants to %v", c.file, operand.RefOf(o), subjects)
			}
		}
	}
}

// A request leaves out what is empty, and to ask for it then is an error, which denies.
func TestAdmissionPoliciesAskForOptionalFieldsAsSuch(t *testing.T) {
	out, _ := operand.Render(config(everything()), settings())
	policies := 0
	for _, o := range all(out) {
		policy, ok := o.(*admissionv1.ValidatingAdmissionPolicy)
		if !ok {
			continue
		}
		policies++
		if *policy.Spec.FailurePolicy != admissionv1.Fail {
			t.Errorf("%s admits what it cannot decide", policy.Name)
		}
		var expressions []string
		for _, v := range policy.Spec.Variables {
			expressions = append(expressions, v.Expression)
		}
		for _, v := range policy.Spec.Validations {
			expressions = append(expressions, v.Expression, v.MessageExpression)
		}
		for _, e := range expressions {
			for _, field := range []string{"request.name", "request.subResource", "request.namespace", "request.userInfo.extra", ".metadata.labels", ".metadata.annotations"} {
				if strings.Contains(e, field) {
					t.Errorf("%s asks for %s, which may be missing: %s", policy.Name, field, e)
				}
			}
		}
	}
	if policies != 2 {
		t.Errorf("%d admission policies", policies)
	}
}

// kube-prometheus has a role prometheus-k8s in kube-system, which is not to be changed.
func TestPrometheusRoleDoesNotTakeTheNameOfAnother(t *testing.T) {
	for namespace, want := range map[string]string{
		"": "sriov-network-metrics-exporter-prometheus", "monitoring": "sriov-network-metrics-exporter-prometheus", "sriov": "prometheus-k8s",
	} {
		s := settings()
		s.Namespace = namespace
		out, _ := operand.Render(config(sriovv1.SriovOperatorConfigSpec{FeatureGates: map[string]bool{"metricsExporter": true}}), s)
		found := false
		for _, o := range out.Of(operand.Exporter).Apply {
			found = found || operand.RefOf(o).Kind == "Role" && o.GetName() == want
		}
		if !found {
			t.Errorf("in namespace %q there is no role %s", namespace, want)
		}
	}
}
