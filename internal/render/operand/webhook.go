// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operand

import (
	"fmt"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// Names of the webhook's objects.
const (
	webhookName           = "operator-webhook"
	webhookAccount        = "operator-webhook-sa"
	webhookClusterBinding = "operator-webhook-role-binding"
	webhookService        = "operator-webhook-service"
	webhookConfig         = "sriov-operator-webhook-config"
	webhookNetworkPolicy  = "operator-webhook-allow-traffic-api-server"
)

// What webhook and injector have in common.
const (
	webhookContainer = "webhook-server"
	webhookPort      = 6443
	webhookPortText  = "6443"
	// webhookSeconds is how long the API server waits for an answer.
	webhookSeconds = 5
	certVolume     = "tls"
	certFolder     = "/etc/tls"
)

// webhook is the operator's admission webhook. What it asks beyond the rules in the
// schemas is of use, but not needed: it is optional.
func (r *renderer) webhook() (apply, late []Object) {
	r.needImage(Webhook, "webhook", r.Images.Webhook)
	flags := r.negotiated(Webhook)
	read := []string{"list", "watch"}
	apply = []Object{r.serviceAccount(Webhook, webhookAccount)}
	apply = append(apply, r.clusterRole(Webhook, webhookName, webhookClusterBinding, webhookAccount,
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: read})...)
	apply = append(apply, r.role(Webhook, webhookName, webhookName, webhookAccount,
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{
			sriovv1.ConfigMapSupportedNICIDs, sriovv1.ConfigMapSriovConfig,
		}, Verbs: read},
		rbacv1.PolicyRule{APIGroups: []string{sriovv1.GroupName}, Resources: []string{
			"sriovnetworknodepolicies", "sriovnetworknodestates", "sriovnetworkpoolconfigs", "sriovoperatorconfigs",
		}, Verbs: read})...)
	container := corev1.Container{
		Name: webhookContainer, Image: r.Images.Webhook, Command: []string{"webhook"},
		Args: append([]string{
			"start", "--port=" + webhookPortText, "--tls-private-key-file=" + certFolder + "/tls.key", "--tls-cert-file=" + certFolder + "/tls.crt",
		}, flags.args()...),
		Env: []corev1.EnvVar{envField(envNamespace, "metadata.namespace")},
		ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Path: "/readyz", Port: intstr.FromInt32(webhookPort), Scheme: corev1.URISchemeHTTPS,
		}}},
	}
	if r.DevMode {
		container.Env = append(container.Env, corev1.EnvVar{Name: "DEV_MODE", Value: "TRUE"})
	}
	apply = append(apply,
		r.webhookService(Webhook, webhookService, webhookName, r.Certificates.WebhookSecret),
		r.networkPolicy(Webhook, webhookNetworkPolicy, webhookName),
		r.server(Webhook, webhookName, webhookAccount, r.Certificates.WebhookSecret, container))
	return apply, r.webhookConfigurations()
}

// webhookConfigurations ask the webhook about wishes of people. What the operator
// writes, what is being deleted and what leaves the spec as it is are not asked about,
// so a webhook that does not answer holds up nobody but who changes a spec; and to turn
// the webhook off no answer of it is needed.
func (r *renderer) webhookConfigurations() []Object {
	const hook = "operator-webhook." + sriovv1.GroupName
	conditions := []admissionv1.MatchCondition{
		{Name: "not-by-the-operator", Expression: fmt.Sprintf("request.userInfo.username != '%s'", r.userOf(r.OperatorServiceAccount))},
		{Name: "not-being-deleted", Expression: "!has(object.metadata.deletionTimestamp)"},
		{Name: "spec-changes", Expression: "oldObject == null || object.?spec != oldObject.?spec"},
		{Name: "not-turning-the-webhook-off", Expression: "request.resource.resource != 'sriovoperatorconfigs' || request.operation != 'UPDATE' || " +
			"object.?spec.?enableOperatorWebhook.orValue(false)"},
	}
	mutating := admissionv1.MutatingWebhook{
		Name: hook, AdmissionReviewVersions: []string{"v1"}, SideEffects: new(admissionv1.SideEffectClassNone),
		FailurePolicy: new(admissionv1.Fail), MatchPolicy: new(admissionv1.Equivalent),
		TimeoutSeconds: new(int32(webhookSeconds)), ReinvocationPolicy: new(admissionv1.NeverReinvocationPolicy),
		NamespaceSelector: &metav1.LabelSelector{}, ObjectSelector: &metav1.LabelSelector{},
		ClientConfig:    r.client(Webhook, webhookService, "/mutating-custom-resource", r.Certificates.WebhookCA),
		MatchConditions: conditions[:3],
		Rules:           []admissionv1.RuleWithOperations{askedAbout("sriovnetworknodepolicies")},
	}
	validating := admissionv1.ValidatingWebhook{
		Name: hook, AdmissionReviewVersions: []string{"v1"}, SideEffects: new(admissionv1.SideEffectClassNone),
		FailurePolicy: new(admissionv1.Fail), MatchPolicy: new(admissionv1.Equivalent),
		TimeoutSeconds:    new(int32(webhookSeconds)),
		NamespaceSelector: &metav1.LabelSelector{}, ObjectSelector: &metav1.LabelSelector{},
		ClientConfig:    mutating.ClientConfig,
		MatchConditions: conditions,
		Rules: []admissionv1.RuleWithOperations{askedAbout("sriovnetworknodepolicies", "sriovoperatorconfigs",
			"sriovnetworkpoolconfigs", "sriovnetworks", "sriovibnetworks", "ovsnetworks")},
	}
	validating.ClientConfig.Service = mutating.ClientConfig.Service.DeepCopy()
	validating.ClientConfig.Service.Path = new("/validating-custom-resource")
	return []Object{
		&admissionv1.MutatingWebhookConfiguration{
			TypeMeta: typeMeta(kindMutatingWebhook), ObjectMeta: r.hookMeta(Webhook, kindMutatingWebhook, webhookConfig, r.Certificates.WebhookSecret),
			Webhooks: []admissionv1.MutatingWebhook{mutating},
		},
		&admissionv1.ValidatingWebhookConfiguration{
			TypeMeta: typeMeta(kindValidatingWebhook), ObjectMeta: r.hookMeta(Webhook, kindValidatingWebhook, webhookConfig, r.Certificates.WebhookSecret),
			Webhooks: []admissionv1.ValidatingWebhook{validating},
		},
	}
}

// askedAbout is a rule for objects of this API. Deleting is always allowed, so it is
// not asked about.
func askedAbout(resources ...string) admissionv1.RuleWithOperations {
	return admissionv1.RuleWithOperations{
		Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update},
		Rule: admissionv1.Rule{
			APIGroups: []string{sriovv1.GroupName}, APIVersions: []string{sriovv1.Version}, Resources: resources,
			Scope: new(admissionv1.NamespacedScope),
		},
	}
}

// client is how the API server reaches a webhook. Whoever else makes the certificates
// fills the CA in, too, and so it is no part of what is applied.
func (r *renderer) client(g Group, service, path string, ca []byte) admissionv1.WebhookClientConfig {
	config := admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{
		Namespace: r.Namespace, Name: service, Path: new(path), Port: new(int32(443)),
	}}
	switch r.Certificates.Source {
	case SelfManaged:
		config.CABundle = ca
		if len(ca) == 0 {
			r.refuse(g, "certificates", "there is no CA for the "+g.String()+" yet", "wait until it is made")
		}
	case CertManager:
		if !r.Kinds.Certificate {
			r.refuse(g, "certificates", "cert-manager is to make certificates and the cluster does not have it", "install cert-manager, or let the operator make them")
		}
	case ServiceCA:
		if r.Platform != OpenShift {
			r.refuse(g, "certificates", "only OpenShift makes certificates for services", "use cert-manager, or let the operator make them")
		}
	}
	return config
}

// hookMeta is the metadata of a webhook configuration: it says who fills in the CA.
func (r *renderer) hookMeta(g Group, kind, name, secret string) metav1.ObjectMeta {
	m := r.meta(g, kind, name)
	switch r.Certificates.Source {
	case SelfManaged:
	case CertManager:
		m.Annotations = map[string]string{"cert-manager.io/inject-ca-from": r.Namespace + "/" + secret}
	case ServiceCA:
		m.Annotations = map[string]string{"service.beta.openshift.io/inject-cabundle": "true"}
	}
	return m
}

// webhookService is where the API server calls a webhook.
func (r *renderer) webhookService(g Group, name, app, secret string) Object {
	meta := r.meta(g, kindService, name)
	if r.Certificates.Source == ServiceCA {
		meta.Annotations = map[string]string{"service.alpha.openshift.io/serving-cert-secret-name": secret}
	}
	return &corev1.Service{
		TypeMeta: typeMeta(kindService), ObjectMeta: meta,
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{labelApp: app},
			Ports: []corev1.ServicePort{{
				Name: "https", Protocol: corev1.ProtocolTCP, Port: 443, TargetPort: intstr.FromInt32(webhookPort),
			}},
		},
	}
}

// networkPolicy lets a webhook be called, and lets it call the API server. Where the
// API server calls from cannot be said in a NetworkPolicy, so anybody may.
func (r *renderer) networkPolicy(g Group, name, app string) Object {
	port := func(number int) []networkingv1.NetworkPolicyPort {
		return []networkingv1.NetworkPolicyPort{{Protocol: new(corev1.ProtocolTCP), Port: new(intstr.FromInt32(int32(number)))}}
	}
	return &networkingv1.NetworkPolicy{
		TypeMeta: typeMeta(kindNetworkPolicy), ObjectMeta: r.meta(g, kindNetworkPolicy, name),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{labelApp: app}},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
			Ingress:     []networkingv1.NetworkPolicyIngressRule{{Ports: port(webhookPort)}},
			Egress:      []networkingv1.NetworkPolicyEgressRule{{Ports: port(r.APIServerPort)}},
		},
	}
}

// server runs a webhook: on each control-plane node where there are such nodes, as the
// existing operator does, otherwise as replicas. A DaemonSet for control-plane nodes
// that do not exist would run nothing, and one for all nodes a pod on every one.
func (r *renderer) server(g Group, app, account, secret string, container corev1.Container) Object {
	container.SecurityContext, container.Resources = confined(), requests("10m", "50Mi")
	container.Ports = []corev1.ContainerPort{{Name: "https", ContainerPort: webhookPort, Protocol: corev1.ProtocolTCP}}
	container.VolumeMounts = []corev1.VolumeMount{{Name: certVolume, MountPath: certFolder, ReadOnly: true}}
	spec := corev1.PodSpec{
		ServiceAccountName: account, PriorityClassName: "system-cluster-critical",
		SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: new(true)},
		NodeSelector:    map[string]string{sriovv1.LabelOS: sriovv1.LabelOSLinux},
		Containers:      []corev1.Container{container},
		Volumes:         []corev1.Volume{secretVolume(certVolume, secret)},
	}
	if r.Platform == Kubernetes {
		// OpenShift gives each namespace numbers of its own.
		spec.SecurityContext.RunAsUser, spec.SecurityContext.RunAsGroup = new(int64(podUser)), new(int64(podUser))
		spec.SecurityContext.FSGroup = new(int64(podUser))
	}
	if r.ControlPlane == OnNodes {
		spec.Tolerations, spec.Affinity = controlPlaneTolerations(), onControlPlane()
		return r.daemonSet(g, r.pod(app, "restricted-v2", spec))
	}
	spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
		MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.ScheduleAnyway,
		LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{labelApp: app}},
	}}
	return r.deployment(g, r.pod(app, "restricted-v2", spec))
}

// deployment runs two pods, or one where there is one node.
func (r *renderer) deployment(g Group, pod corev1.PodTemplateSpec) Object {
	app := pod.Labels[labelApp]
	meta := r.meta(g, kindDeployment, app)
	meta.Labels[labelApp] = app
	replicas := int32(2)
	if r.SingleNode {
		replicas = 1
	}
	return &appsv1.Deployment{
		TypeMeta: typeMeta(kindDeployment), ObjectMeta: meta,
		Spec: appsv1.DeploymentSpec{
			Replicas: new(replicas),
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{labelApp: app}},
			Strategy: appsv1.DeploymentStrategy{
				Type: appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{
					MaxUnavailable: new(intstr.FromString("33%")), MaxSurge: new(intstr.FromInt32(1)),
				},
			},
			Template: pod,
		},
	}
}

// controlPlaneLabels are those of control-plane nodes, and of taints on them.
func controlPlaneLabels() []string {
	return []string{"node-role.kubernetes.io/master", "node-role.kubernetes.io/control-plane"}
}

func onControlPlane() *corev1.Affinity {
	var terms []corev1.NodeSelectorTerm
	for _, label := range controlPlaneLabels() {
		terms = append(terms, corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: label, Operator: corev1.NodeSelectorOpExists}}})
	}
	return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: terms},
	}}
}

func controlPlaneTolerations() []corev1.Toleration {
	var out []corev1.Toleration
	for _, label := range append(controlPlaneLabels(), "node.kubernetes.io/not-ready") {
		out = append(out, corev1.Toleration{Key: label, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule})
	}
	return out
}
