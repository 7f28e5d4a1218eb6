// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operand

import (
	"encoding/json"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Names of the resources injector's objects.
const (
	injectorName           = "network-resources-injector"
	injectorAccount        = "network-resources-injector-sa"
	injectorClusterBinding = "network-resources-injector-role-binding"
	injectorService        = "network-resources-injector-service"
	injectorConfig         = "network-resources-injector-config"
	injectorNetworkPolicy  = "network-resources-injector-allow-traffic-api-server"
	injectorSwitches       = "nri-control-switches"
	// injectorUserMap is a ConfigMap that users may make.
	injectorUserMap = "nri-user-defined-injections"
)

// switches is what the injector reads from its ConfigMap.
type switches struct {
	Features struct {
		// EnableHugePageDownAPI tells containers by files how many huge pages they have.
		EnableHugePageDownAPI bool `json:"enableHugePageDownApi"`
	} `json:"features"`
}

// injector is the resources injector: a webhook that gives pods with networks the
// requests for VFs.
func (r *renderer) injector() (apply, late []Object) {
	r.needImage(Injector, "injector", r.Images.Injector)
	if !r.Kinds.NetworkAttachmentDefinition {
		r.warn(Injector, "kinds.networkAttachmentDefinition", "the cluster has no network attachments, so there is nothing to inject", "install multus or the attachment definition of its own")
	}
	flags := r.negotiated(Injector)
	apply = []Object{r.serviceAccount(Injector, injectorAccount)}
	apply = append(apply, r.clusterRole(Injector, injectorName, injectorClusterBinding, injectorAccount, rbacv1.PolicyRule{
		APIGroups: []string{"k8s.cni.cncf.io"}, Resources: []string{"network-attachment-definitions"}, Verbs: []string{"get", "list", "watch"},
	})...)
	apply = append(apply, r.role(Injector, injectorName, injectorName, injectorAccount, rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"configmaps"},
		ResourceNames: []string{injectorSwitches, injectorUserMap}, Verbs: []string{"get", "list", "watch"},
	})...)
	apply = append(apply,
		r.injectorSwitches(),
		r.webhookService(Injector, injectorService, injectorName, r.Certificates.InjectorSecret),
		r.networkPolicy(Injector, injectorNetworkPolicy, injectorName),
		r.server(Injector, injectorName, injectorAccount, r.Certificates.InjectorSecret, corev1.Container{
			Name: webhookContainer, Image: r.Images.Injector, Command: []string{"webhook"},
			// The API server shows no certificate of its own, which the injector would ask for
			// if it were not for "insecure".
			Args: append([]string{
				"-bind-address=0.0.0.0", "-port=" + webhookPortText, "-tls-private-key-file=" + certFolder + "/tls.key",
				"-tls-cert-file=" + certFolder + "/tls.crt", "-insecure=true", "-logtostderr=true",
			}, flags.args()...),
			Env: []corev1.EnvVar{envField(envNamespace, "metadata.namespace")},
		}))
	return apply, []Object{r.injectorWebhook()}
}

func (r *renderer) injectorSwitches() Object {
	var on switches
	on.Features.EnableHugePageDownAPI = true
	text, err := json.Marshal(on)
	if err != nil {
		// A struct of one boolean can be marshalled; who changes it learns here that it
		// cannot be any longer.
		r.refuse(Injector, injectorSwitches, err.Error(), "")
	}
	return &corev1.ConfigMap{
		TypeMeta: typeMeta(kindConfigMap), ObjectMeta: r.meta(Injector, kindConfigMap, injectorSwitches),
		Data: map[string]string{"config.json": string(text)},
	}
}

// injectorWebhook asks the injector about each new pod. Without the feature gate a pod
// is made even when the injector does not answer; with it, a pod with networks is not,
// and no other pod is asked about. Pods of operands are never asked about, so that the
// injector can always start.
func (r *renderer) injectorWebhook() Object {
	hook := admissionv1.MutatingWebhook{
		Name: injectorConfig + ".k8s.io", AdmissionReviewVersions: []string{"v1"},
		SideEffects: new(admissionv1.SideEffectClassNone), FailurePolicy: new(admissionv1.Ignore),
		MatchPolicy: new(admissionv1.Equivalent), TimeoutSeconds: new(int32(webhookSeconds)),
		ReinvocationPolicy: new(admissionv1.NeverReinvocationPolicy),
		ClientConfig:       r.client(Injector, injectorService, "/mutate", r.Certificates.InjectorCA),
		NamespaceSelector:  &metav1.LabelSelector{},
		ObjectSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{
			Key: labelApp, Operator: metav1.LabelSelectorOpNotIn,
			Values: []string{injectorName, webhookName, daemonName, pluginName, exporterName},
		}}},
		Rules: []admissionv1.RuleWithOperations{{
			Operations: []admissionv1.OperationType{admissionv1.Create},
			Rule: admissionv1.Rule{
				APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"},
				Scope: new(admissionv1.NamespacedScope),
			},
		}},
	}
	if r.gates.matchCondition {
		hook.FailurePolicy = new(admissionv1.Fail)
		hook.MatchConditions = []admissionv1.MatchCondition{{
			Name:       "include-networks-annotation",
			Expression: `has(object.metadata.annotations) && 'k8s.v1.cni.cncf.io/networks' in object.metadata.annotations`,
		}}
	}
	return &admissionv1.MutatingWebhookConfiguration{
		TypeMeta: typeMeta(kindMutatingWebhook), ObjectMeta: r.hookMeta(Injector, kindMutatingWebhook, injectorConfig, r.Certificates.InjectorSecret),
		Webhooks: []admissionv1.MutatingWebhook{hook},
	}
}
