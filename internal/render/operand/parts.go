// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operand

import (
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// operatorName is what the operator is called in labels, and its service account.
const operatorName = "sriov-network-operator"

// Labels of every object.
const (
	labelManagedBy = "app.kubernetes.io/managed-by"
	labelPartOf    = "app.kubernetes.io/part-of"
	labelComponent = "app.kubernetes.io/component"
	// labelCreatedBy is that of the existing operator.
	labelCreatedBy = "created-by"
	// labelApp on pods selects them; it is the name of their DaemonSet.
	labelApp = "app"
)

// Kinds of what is rendered.
const (
	kindServiceAccount     = "ServiceAccount"
	kindRole               = "Role"
	kindRoleBinding        = "RoleBinding"
	kindClusterRole        = "ClusterRole"
	kindClusterRoleBinding = "ClusterRoleBinding"
	kindConfigMap          = "ConfigMap"
	kindSecret             = "Secret"
	kindService            = "Service"
	kindNetworkPolicy      = "NetworkPolicy"
	kindDaemonSet          = "DaemonSet"
	kindDeployment         = "Deployment"
	kindMutatingWebhook    = "MutatingWebhookConfiguration"
	kindValidatingWebhook  = "ValidatingWebhookConfiguration"
	kindPolicy             = "ValidatingAdmissionPolicy"
	kindPolicyBinding      = "ValidatingAdmissionPolicyBinding"
	kindServiceMonitor     = "ServiceMonitor"
	kindPrometheusRule     = "PrometheusRule"
)

// groupVersion is the API group and version of a kind.
func groupVersion(kind string) schema.GroupVersion {
	switch kind {
	case kindServiceAccount, kindConfigMap, kindSecret, kindService:
		return schema.GroupVersion{Version: "v1"}
	case kindRole, kindRoleBinding, kindClusterRole, kindClusterRoleBinding:
		return rbacv1.SchemeGroupVersion
	case kindNetworkPolicy:
		return schema.GroupVersion{Group: "networking.k8s.io", Version: "v1"}
	case kindDaemonSet, kindDeployment:
		return appsv1.SchemeGroupVersion
	case kindServiceMonitor, kindPrometheusRule:
		return schema.GroupVersion{Group: "monitoring.coreos.com", Version: "v1"}
	default:
		return schema.GroupVersion{Group: "admissionregistration.k8s.io", Version: "v1"}
	}
}

// clustered reports whether objects of the kind have no namespace.
func clustered(kind string) bool {
	switch kind {
	case kindClusterRole, kindClusterRoleBinding, kindMutatingWebhook, kindValidatingWebhook, kindPolicy, kindPolicyBinding:
		return true
	}
	return false
}

// present reports whether the cluster has the kind.
func (r *renderer) present(kind string) bool {
	switch kind {
	case kindServiceMonitor:
		return r.Kinds.ServiceMonitor
	case kindPrometheusRule:
		return r.Kinds.PrometheusRule
	case kindPolicy, kindPolicyBinding:
		return r.Kinds.ValidatingAdmissionPolicy
	}
	return true
}

// refs names one object of each kind that the cluster has, all of one name.
func (r *renderer) refs(name string, kinds ...string) []Ref {
	var out []Ref
	for _, kind := range kinds {
		if !r.present(kind) {
			continue
		}
		ref := Ref{GroupVersionKind: groupVersion(kind).WithKind(kind), Namespace: r.Namespace, Name: name}
		if clustered(kind) {
			ref.Namespace = ""
		}
		out = append(out, ref)
	}
	return out
}

// typeMeta is the type of an object, which a patch must name.
func typeMeta(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: groupVersion(kind).String(), Kind: kind}
}

// meta is the metadata of an object.
func (r *renderer) meta(g Group, kind, name string) metav1.ObjectMeta {
	m := metav1.ObjectMeta{Name: name, Labels: map[string]string{
		labelManagedBy: operatorName, labelPartOf: operatorName, labelCreatedBy: operatorName,
		labelComponent: g.String(),
	}}
	if !clustered(kind) {
		m.Namespace, m.OwnerReferences = r.Namespace, r.owner
	}
	return m
}

func (r *renderer) serviceAccount(g Group, name string) Object {
	return &corev1.ServiceAccount{TypeMeta: typeMeta(kindServiceAccount), ObjectMeta: r.meta(g, kindServiceAccount, name)}
}

// role grants rules in the operator's namespace to a service account.
func (r *renderer) role(g Group, name, binding, account string, rules ...rbacv1.PolicyRule) []Object {
	return []Object{
		&rbacv1.Role{TypeMeta: typeMeta(kindRole), ObjectMeta: r.meta(g, kindRole, name), Rules: rules},
		r.roleBinding(g, binding, name, account, r.Namespace),
	}
}

func (r *renderer) roleBinding(g Group, name, role, account, namespace string) Object {
	return &rbacv1.RoleBinding{
		TypeMeta: typeMeta(kindRoleBinding), ObjectMeta: r.meta(g, kindRoleBinding, name),
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kindRole, Name: role},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: account, Namespace: namespace}},
	}
}

// clusterRole grants rules everywhere to a service account.
func (r *renderer) clusterRole(g Group, name, binding, account string, rules ...rbacv1.PolicyRule) []Object {
	return []Object{
		&rbacv1.ClusterRole{TypeMeta: typeMeta(kindClusterRole), ObjectMeta: r.meta(g, kindClusterRole, name), Rules: rules},
		&rbacv1.ClusterRoleBinding{
			TypeMeta: typeMeta(kindClusterRoleBinding), ObjectMeta: r.meta(g, kindClusterRoleBinding, binding),
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kindClusterRole, Name: name},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: account, Namespace: r.Namespace}},
		},
	}
}

// useSCC lets pods run under a security context constraint of OpenShift.
func useSCC(name string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{
		APIGroups: []string{"security.openshift.io"}, Resources: []string{"securitycontextconstraints"},
		ResourceNames: []string{name}, Verbs: []string{"use"},
	}
}

// Annotations of pods.
const (
	annotationSCC              = "openshift.io/required-scc"
	annotationDefaultContainer = "kubectl.kubernetes.io/default-container"
)

// pod is the template of an operand's pods: app is their label and the name of their
// DaemonSet, scc the constraint that they need on OpenShift.
func (r *renderer) pod(app, scc string, spec corev1.PodSpec) corev1.PodTemplateSpec {
	annotations := map[string]string{annotationDefaultContainer: spec.Containers[0].Name}
	if r.Platform == OpenShift {
		annotations[annotationSCC] = scc
	}
	for _, name := range r.PullSecrets {
		spec.ImagePullSecrets = append(spec.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
	}
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{
			Annotations: annotations,
			Labels:      map[string]string{labelApp: app, "component": "network", "type": "infra", "openshift.io/component": "network"},
		},
		Spec: spec,
	}
}

// daemonSet runs a pod on each node that the pod selects. A third of them may be
// replaced at a time.
func (r *renderer) daemonSet(g Group, pod corev1.PodTemplateSpec) Object {
	app := pod.Labels[labelApp]
	meta := r.meta(g, kindDaemonSet, app)
	meta.Labels[labelApp] = app
	return &appsv1.DaemonSet{
		TypeMeta: typeMeta(kindDaemonSet), ObjectMeta: meta,
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{labelApp: app}},
			UpdateStrategy: appsv1.DaemonSetUpdateStrategy{
				Type:          appsv1.RollingUpdateDaemonSetStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxUnavailable: new(intstr.FromString("33%"))},
			},
			Template: pod,
		},
	}
}

// Where a token of the pod's service account is mounted; client-go looks there.
const (
	tokenVolumeName = "api-access"
	tokenFolder     = "/var/run/secrets/kubernetes.io/serviceaccount" //nolint:gosec // the name of a folder, and no token
	// tokenSeconds is what the API server gives a pod's token as well.
	tokenSeconds = 3607
)

// tokenVolume holds a token of the pod for the containers that mount it. With it the
// pod needs no token in every container.
func tokenVolume() corev1.Volume {
	return corev1.Volume{Name: tokenVolumeName, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		DefaultMode: new(int32(0o444)),
		Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: new(int64(tokenSeconds))}},
			{ConfigMap: &corev1.ConfigMapProjection{
				LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"},
				Items:                []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}},
			}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{
				{Path: "namespace", FieldRef: fieldRef("metadata.namespace")},
			}}},
		},
	}}}
}

func tokenMount() corev1.VolumeMount {
	return corev1.VolumeMount{Name: tokenVolumeName, MountPath: tokenFolder, ReadOnly: true}
}

func fieldRef(path string) *corev1.ObjectFieldSelector {
	return &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: path}
}

// envField is an environment variable with a field of the pod.
func envField(name, path string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: fieldRef(path)}}
}

// requests is what a container needs. There are no limits: an operand that is stopped
// for using more memory than somebody guessed leaves its node half configured.
func requests(cpu, memory string) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{Requests: corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory),
	}}
}

// podUser is the number of the user and the group of pods that are not root: nobody's
// on a host.
const podUser = 10000

// privileged is for containers that change the host.
func privileged() *corev1.SecurityContext {
	return &corev1.SecurityContext{Privileged: new(true), ReadOnlyRootFilesystem: new(true)}
}

// confined is for every other container.
func confined() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
		Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

// hostPath is a file or folder of the host.
func hostPath(name, path string, kind corev1.HostPathType) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
		HostPath: &corev1.HostPathVolumeSource{Path: path, Type: &kind},
	}}
}

// secretVolume holds a certificate and its key, and nothing else that is in the Secret.
func secretVolume(name, secret string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
		SecretName: secret, DefaultMode: new(int32(0o440)),
		Items: []corev1.KeyToPath{
			{Key: corev1.TLSCertKey, Path: corev1.TLSCertKey}, {Key: corev1.TLSPrivateKeyKey, Path: corev1.TLSPrivateKeyKey},
		},
	}}}
}

// everywhere tolerates every taint.
func everywhere() []corev1.Toleration {
	return []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
}

// with is the labels and one more.
func with(labels map[string]string, key, value string) map[string]string {
	out := maps.Clone(labels)
	out[key] = value
	return out
}
