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

// clusters are the settings under which the roles differ.
func clusters() []operand.Settings {
	openshift := settings()
	openshift.Platform, openshift.Certificates = operand.OpenShift, operand.Certificates{Source: operand.ServiceCA}
	return []operand.Settings{settings(), openshift}
}

func TestEveryRightOfEveryRoleHasAReasonAndEveryReasonARight(t *testing.T) {
	reasons, used := operand.Reasons(), map[string]bool{}
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
			for _, right := range operand.Rights(name, rules) {
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
			for _, right := range operand.Rights("", rules) {
				if !slices.Contains(operand.Rights("", granted), right) {
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
