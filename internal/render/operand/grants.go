// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operand

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// Grants is what the operands may do, everything turned on: everywhere, and in the
// operator's namespace. Nobody can grant what they may not do themselves, so the
// operator's own roles hold these rules, each once.
func Grants(s Settings) (everywhere, inNamespace []rbacv1.PolicyRule) {
	r := newRenderer(sriovv1.SriovOperatorConfig{Spec: sriovv1.SriovOperatorConfigSpec{
		EnableInjector: true, EnableOperatorWebhook: true,
		FeatureGates: map[string]bool{sriovv1.FeatureMetricsExporter: true},
	}}, s)
	r.Kinds = Kinds{NetworkAttachmentDefinition: true, ServiceMonitor: true, PrometheusRule: true, Certificate: true, ValidatingAdmissionPolicy: true}
	for _, g := range Groups() {
		objects, _ := r.objects(g)
		for _, o := range objects {
			switch role := o.(type) {
			case *rbacv1.ClusterRole:
				everywhere = addRules(everywhere, role.Rules)
			case *rbacv1.Role:
				inNamespace = addRules(inNamespace, role.Rules)
			}
		}
	}
	return everywhere, inNamespace
}

// addRules adds the rules that are not there yet.
func addRules(to, rules []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	for _, rule := range rules {
		if !slices.ContainsFunc(to, func(have rbacv1.PolicyRule) bool { return equality.Semantic.DeepEqual(have, rule) }) {
			to = append(to, rule)
		}
	}
	return to
}
