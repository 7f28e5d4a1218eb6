// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

// Name is that of the operator, of all objects that install it, and of its program.
const Name = "sriov-network-operator"

// Ports of the operator's pods.
const (
	metricsPort = 8443
	healthPort  = 8081
)

// labelName selects the operator's pods, as that of the existing operator does.
const labelName = "name"

// podUser is the number of the user that the operator runs as: nobody's on a host.
const podUser = 10000

// meta is the metadata of an object. The namespace is left to who installs.
func meta() metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: Name, Labels: map[string]string{"app.kubernetes.io/name": Name, "app.kubernetes.io/part-of": Name}}
}

// Accounts are the operator's account and its roles with their bindings. The namespace
// is that of the account.
func Accounts(namespace string) []operand.Object {
	account := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Name: Name, Namespace: namespace}
	const rbac, role, clusterRole = rbacv1.GroupName, "Role", "ClusterRole"
	kind := func(kind string) metav1.TypeMeta {
		return metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: kind}
	}
	return []operand.Object{
		&corev1.ServiceAccount{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"}, ObjectMeta: meta()},
		&rbacv1.ClusterRole{TypeMeta: kind(clusterRole), ObjectMeta: meta(), Rules: rules(Everywhere())},
		&rbacv1.ClusterRoleBinding{
			TypeMeta: kind("ClusterRoleBinding"), ObjectMeta: meta(), Subjects: []rbacv1.Subject{account},
			RoleRef: rbacv1.RoleRef{APIGroup: rbac, Kind: clusterRole, Name: Name},
		},
		&rbacv1.Role{TypeMeta: kind(role), ObjectMeta: meta(), Rules: rules(InNamespace())},
		&rbacv1.RoleBinding{
			TypeMeta: kind("RoleBinding"), ObjectMeta: meta(), Subjects: []rbacv1.Subject{account},
			RoleRef: rbacv1.RoleRef{APIGroup: rbac, Kind: role, Name: Name},
		},
	}
}

func rules(rights []Right) []rbacv1.PolicyRule {
	var out []rbacv1.PolicyRule
	for _, r := range rights {
		out = append(out, r.PolicyRule)
	}
	return out
}

// Image names what the operator's pods run until who installs says otherwise.
const Image = "sriov-network-operator"

// Workload is what runs the operator: two replicas of which one works, at most one of
// them away at a time, and a Service for their metrics.
func Workload() []operand.Object {
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{labelName: Name}}
	return []operand.Object{
		&appsv1.Deployment{
			TypeMeta: metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment"}, ObjectMeta: meta(),
			Spec: appsv1.DeploymentSpec{
				Replicas: new(int32(2)), Selector: selector,
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{
						Labels:      map[string]string{labelName: Name},
						Annotations: map[string]string{"kubectl.kubernetes.io/default-container": Name},
					},
					Spec: pod(selector),
				},
			},
		},
		&policyv1.PodDisruptionBudget{
			TypeMeta: metav1.TypeMeta{APIVersion: policyv1.SchemeGroupVersion.String(), Kind: "PodDisruptionBudget"}, ObjectMeta: meta(),
			Spec: policyv1.PodDisruptionBudgetSpec{MaxUnavailable: new(intstr.FromInt32(1)), Selector: selector},
		},
		&corev1.Service{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}, ObjectMeta: named(Name + "-metrics"),
			Spec: corev1.ServiceSpec{
				Selector: selector.MatchLabels,
				Ports:    []corev1.ServicePort{{Name: "metrics", Protocol: corev1.ProtocolTCP, Port: metricsPort, TargetPort: intstr.FromString("metrics")}},
			},
		},
	}
}

func named(name string) metav1.ObjectMeta {
	m := meta()
	m.Name = name
	return m
}

// pod is the operator's. It prefers the control plane, where no VFs are wanted, and
// nodes without another replica.
func pod(replicas *metav1.LabelSelector) corev1.PodSpec {
	const controlPlane = "node-role.kubernetes.io/control-plane"
	return corev1.PodSpec{
		ServiceAccountName: Name, PriorityClassName: "system-cluster-critical",
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: new(true), RunAsUser: new(int64(podUser)), RunAsGroup: new(int64(podUser)),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		NodeSelector: map[string]string{sriovv1.LabelOS: sriovv1.LabelOSLinux},
		Tolerations: []corev1.Toleration{
			{Key: controlPlane, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule},
			{Key: "node-role.kubernetes.io/master", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule},
		},
		Affinity: &corev1.Affinity{
			NodeAffinity: &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{
				Weight: 1, Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{
					{Key: controlPlane, Operator: corev1.NodeSelectorOpExists},
				}},
			}}},
			PodAntiAffinity: &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{
				Weight: 100, PodAffinityTerm: corev1.PodAffinityTerm{TopologyKey: corev1.LabelHostname, LabelSelector: replicas},
			}}},
		},
		Containers: []corev1.Container{container()},
	}
}

func container() corev1.Container {
	probe := func(path string) *corev1.Probe {
		return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("health")}}}
	}
	return corev1.Container{
		Name: Name, Image: Image, Command: []string{Name},
		Env: append([]corev1.EnvVar{
			{Name: "NAMESPACE", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"}}},
			// Where container runtimes look for CNI plugins unless they are told otherwise.
			{Name: "SRIOV_CNI_BIN_PATH", Value: "/opt/cni/bin"},
		}, images()...),
		Ports: []corev1.ContainerPort{
			{Name: "metrics", ContainerPort: metricsPort, Protocol: corev1.ProtocolTCP},
			{Name: "health", ContainerPort: healthPort, Protocol: corev1.ProtocolTCP},
		},
		LivenessProbe: probe("/healthz"), ReadinessProbe: probe("/readyz"),
		// No limit of the CPU: who is throttled loses the lease.
		Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("128Mi"),
		}},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
	}
}

// images are what the operator deploys until who installs says otherwise. Those of other
// projects have no version: which one is for who installs to choose.
func images() []corev1.EnvVar {
	return []corev1.EnvVar{
		{Name: "SRIOV_NETWORK_CONFIG_DAEMON_IMAGE", Value: "sriov-network-config-daemon"},
		{Name: "SRIOV_NETWORK_WEBHOOK_IMAGE", Value: "sriov-network-operator-webhook"},
		{Name: "SRIOV_DEVICE_PLUGIN_IMAGE", Value: "ghcr.io/k8snetworkplumbingwg/sriov-network-device-plugin"},
		{Name: "NETWORK_RESOURCES_INJECTOR_IMAGE", Value: "ghcr.io/k8snetworkplumbingwg/network-resources-injector"},
		{Name: "METRICS_EXPORTER_IMAGE", Value: "ghcr.io/k8snetworkplumbingwg/sriov-network-metrics-exporter"},
		{Name: "METRICS_EXPORTER_KUBE_RBAC_PROXY_IMAGE", Value: "quay.io/brancz/kube-rbac-proxy"},
		{Name: "SRIOV_CNI_IMAGE", Value: "ghcr.io/k8snetworkplumbingwg/sriov-cni"},
		{Name: "SRIOV_INFINIBAND_CNI_IMAGE", Value: "ghcr.io/k8snetworkplumbingwg/ib-sriov-cni"},
	}
}

// Config is the operator configuration that is installed: the one that counts, with
// every default.
func Config() operand.Object {
	return &sriovv1.SriovOperatorConfig{
		TypeMeta:   metav1.TypeMeta{APIVersion: sriovv1.SchemeGroupVersion.String(), Kind: sriovv1.KindSriovOperatorConfig},
		ObjectMeta: metav1.ObjectMeta{Name: sriovv1.DefaultConfigName},
	}
}
