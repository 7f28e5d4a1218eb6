// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operand

import (
	"fmt"
	"maps"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Names of the metrics exporter's objects.
const (
	exporterName    = "sriov-network-metrics-exporter"
	exporterAccount = "metrics-exporter-sa"
	exporterRole    = "metrics-exporter-role"
	exporterBinding = "metrics-exporter-rb"
	exporterService = "sriov-network-metrics-exporter-service"
	exporterPort    = "sriov-network-metrics"
	exporterRules   = "sriov-vf-rules"
	proxyRole       = "sriov-metrics-kube-rbac-role"
	proxyBinding    = "sriov-metrics-kube-rbac-rolebinding"
)

// labelName on the exporter's Service is what its ServiceMonitor selects.
const labelName = "name"

// exporter serves metrics of VFs on each node that is looked after, to those whom the
// API server lets read /metrics.
func (r *renderer) exporter() []Object {
	r.needImage(Exporter, "exporter", r.Images.Exporter)
	r.needImage(Exporter, "rbacProxy", r.Images.RBACProxy)
	r.hostFolder(Exporter, "kubeletDir", r.KubeletDir)
	if r.Metrics.Port < 1 || r.Metrics.Port > 65535 {
		r.refuse(Exporter, "metrics.port", fmt.Sprintf("%d is no port", r.Metrics.Port), "use a port from 1 to 65535")
	}
	if r.Metrics.DaemonPort < 1 || r.Metrics.DaemonPort > 65535 || r.Metrics.DaemonPort == r.Metrics.Port {
		r.refuse(Exporter, "metrics.daemonPort", fmt.Sprintf("%d is no port, or the exporter's", r.Metrics.DaemonPort), "use another port from 1 to 65535")
	}
	flags := r.negotiated(Exporter)
	objects := []Object{r.serviceAccount(Exporter, exporterAccount)}
	if r.Platform == OpenShift {
		objects = append(objects, r.role(Exporter, exporterRole, exporterBinding, exporterAccount, useSCC("privileged"))...)
	}
	objects = append(objects, r.clusterRole(Exporter, proxyRole, proxyBinding, exporterAccount, readerRules()...)...)
	objects = append(objects, r.exporterService(), r.daemonMetricsService(), r.daemonSet(Exporter, r.exporterPod(flags)))
	return append(objects, r.monitoring()...)
}

func (r *renderer) exporterService() Object {
	meta := r.meta(Exporter, kindService, exporterService)
	meta.Labels[labelName] = exporterService
	meta.Annotations = map[string]string{"prometheus.io/target": "true"}
	if r.Certificates.Source == ServiceCA {
		meta.Annotations["service.beta.openshift.io/serving-cert-secret-name"] = r.Certificates.ExporterSecret
	}
	return &corev1.Service{
		TypeMeta: typeMeta(kindService), ObjectMeta: meta,
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{labelApp: exporterName},
			Ports: []corev1.ServicePort{{
				Name: exporterPort, Protocol: corev1.ProtocolTCP,
				Port: int32(r.Metrics.Port), TargetPort: intstr.FromInt32(int32(r.Metrics.Port)),
			}},
		},
	}
}

// daemonMetricsService leads to the metrics of every node's daemon. It belongs to the
// exporter, whose certificate, role for Prometheus and feature gate they share.
func (r *renderer) daemonMetricsService() Object {
	meta := r.meta(Exporter, kindService, daemonMetrics)
	meta.Labels[labelName] = daemonMetrics
	return &corev1.Service{
		TypeMeta: typeMeta(kindService), ObjectMeta: meta,
		Spec: corev1.ServiceSpec{
			ClusterIP: corev1.ClusterIPNone,
			Selector:  map[string]string{labelApp: daemonName},
			Ports: []corev1.ServicePort{{
				Name: daemonMetricsPort, Protocol: corev1.ProtocolTCP,
				Port: int32(r.Metrics.DaemonPort), TargetPort: intstr.FromInt32(int32(r.Metrics.DaemonPort)),
			}},
		},
	}
}

// exporterPod runs on the nodes of the daemon: a selector without labels counts as
// none, here as everywhere.
func (r *renderer) exporterPod(flags tlsSettings) corev1.PodTemplateSpec {
	return r.pod(exporterName, "privileged", corev1.PodSpec{
		HostNetwork: true, NodeSelector: NodeSelector(r.spec),
		// The proxy runs as nobody and reads its key as a member of this group.
		SecurityContext:    &corev1.PodSecurityContext{FSGroup: new(int64(podUser))},
		ServiceAccountName: exporterAccount, AutomountServiceAccountToken: new(false),
		Containers: []corev1.Container{r.exporterContainer(), r.proxyContainer(flags)},
		Volumes: []corev1.Volume{
			hostPath("kubeletsocket", r.KubeletDir+"/pod-resources/kubelet.sock", corev1.HostPathSocket),
			hostPath("cpucheckpoint", r.KubeletDir+"/cpu_manager_state", corev1.HostPathFile),
			hostPath("sysclassnet", "/sys/class/net", corev1.HostPathDirectory),
			hostPath("sysbuspcidevices", "/sys/bus/pci/devices", corev1.HostPathDirectory),
			hostPath("sysdevices", "/sys/devices", corev1.HostPathDirectory),
			secretVolume(metricsVolume, r.Certificates.ExporterSecret),
			tokenVolume(),
		},
	})
}

// exporterContainer listens on the node's loopback only.
func (r *renderer) exporterContainer() corev1.Container {
	return corev1.Container{
		Name: "metrics-exporter", Image: r.Images.Exporter,
		Args: []string{
			"--web.listen-address=127.0.0.1:" + strconv.Itoa(r.Metrics.Port),
			"--path.kubecgroup=/sys/fs/cgroup", "--path.sysbuspci=/host/sys/bus/pci/devices/",
			"--path.sysclassnet=/host/sys/class/net/", "--path.cpucheckpoint=/host/cpu_manager_state",
			"--path.kubeletsocket=/host/kubelet.sock", "--collector.kubepoddevice=true",
			"--collector.vfstatspriority=netlink,sysfs",
		},
		SecurityContext: confined(), Resources: requests("100m", "100Mi"),
		VolumeMounts: []corev1.VolumeMount{
			{Name: "kubeletsocket", MountPath: "/host/kubelet.sock"},
			{Name: "sysbuspcidevices", MountPath: "/host/sys/bus/pci/devices", ReadOnly: true},
			{Name: "sysdevices", MountPath: "/host/sys/devices", ReadOnly: true},
			{Name: "sysclassnet", MountPath: "/host/sys/class/net", ReadOnly: true},
			{Name: "cpucheckpoint", MountPath: "/host/cpu_manager_state", ReadOnly: true},
		},
	}
}

// proxyContainer asks the API server about each reader, and so it alone has a token.
func (r *renderer) proxyContainer(flags tlsSettings) corev1.Container {
	const hostIP = "HOST_IP"
	port := strconv.Itoa(r.Metrics.Port)
	return corev1.Container{
		Name: "kube-rbac-proxy", Image: r.Images.RBACProxy,
		Args: append([]string{
			"--logtostderr", "--secure-listen-address=[$(" + hostIP + ")]:" + port,
			"--upstream=http://127.0.0.1:" + port + "/",
			"--tls-private-key-file=/etc/metrics/tls.key", "--tls-cert-file=/etc/metrics/tls.crt",
		}, flags.argsWithoutCurves()...),
		Ports:           []corev1.ContainerPort{{Name: "https-metrics", ContainerPort: int32(r.Metrics.Port), Protocol: corev1.ProtocolTCP}},
		Env:             []corev1.EnvVar{envField(hostIP, "status.hostIP")},
		SecurityContext: confined(), Resources: requests("10m", "20Mi"),
		VolumeMounts: []corev1.VolumeMount{{Name: metricsVolume, MountPath: "/etc/metrics", ReadOnly: true}, tokenMount()},
	}
}

// prometheusRole lets Prometheus find the exporter. kube-prometheus has a role named
// prometheus-k8s of its own in kube-system and in its namespace, which is not ours to
// change.
func (r *renderer) prometheusRole() string {
	if r.Namespace == "kube-system" || r.Namespace == r.Metrics.PrometheusNamespace {
		return exporterName + "-prometheus"
	}
	return "prometheus-k8s"
}

// monitoring is what the Prometheus operator reads, where it is installed.
func (r *renderer) monitoring() []Object {
	var objects []Object
	if r.Kinds.ServiceMonitor {
		objects = append(objects, r.monitor(), r.daemonMonitor(),
			&rbacv1.Role{
				TypeMeta: typeMeta(kindRole), ObjectMeta: r.meta(Exporter, kindRole, r.prometheusRole()),
				Rules: []rbacv1.PolicyRule{
					{APIGroups: []string{""}, Resources: []string{"services", "endpoints", "pods"}, Verbs: []string{"get", "list", "watch"}},
					{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"get", "list", "watch"}},
				},
			},
			r.roleBinding(Exporter, r.prometheusRole(), r.prometheusRole(), r.Metrics.PrometheusServiceAccount, r.Metrics.PrometheusNamespace))
	}
	switch {
	case r.Metrics.Rules && r.Kinds.PrometheusRule:
		objects = append(objects, r.recordingRules())
	case r.Metrics.Rules:
		r.warn(Exporter, "metrics.rules", "the cluster has no kind PrometheusRule", "install the Prometheus operator")
	}
	return objects
}

// custom is an object of a kind that this module has no types for.
func (r *renderer) custom(kind, name string, spec map[string]any) Object {
	o := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	meta := r.meta(Exporter, kind, name)
	o.SetGroupVersionKind(groupVersion(kind).WithKind(kind))
	o.SetName(meta.Name)
	o.SetNamespace(meta.Namespace)
	o.SetLabels(meta.Labels)
	o.SetOwnerReferences(append([]metav1.OwnerReference(nil), meta.OwnerReferences...))
	return o
}

// monitor tells Prometheus to read every node's metrics over TLS with its own token.
// Metrics keep the labels of the exporter, which name the pod that uses the VF.
func (r *renderer) monitor() Object {
	relabelings := []any{ofNode()}
	for _, label := range []string{"pod", "container", "namespace"} {
		relabelings = append(relabelings, map[string]any{"action": "labeldrop", "regex": label})
	}
	return r.serviceMonitor(exporterName, exporterService, map[string]any{
		"port": exporterPort, "honorLabels": true, "relabelings": relabelings,
	})
}

// daemonMonitor tells Prometheus to read the metrics of every node's daemon.
func (r *renderer) daemonMonitor() Object {
	return r.serviceMonitor(daemonMetrics, daemonMetrics, map[string]any{"port": daemonMetricsPort, "relabelings": []any{ofNode()}})
}

// ofNode names the node in the labels of its metrics.
func ofNode() map[string]any {
	return map[string]any{
		"action": "replace", "sourceLabels": []any{"__meta_kubernetes_endpoint_node_name"}, "targetLabel": "node",
	}
}

// serviceMonitor is one of a Service whose servers have the exporter's certificate.
func (r *renderer) serviceMonitor(name, service string, endpoint map[string]any) Object {
	tlsConfig := map[string]any{
		"serverName": exporterService + "." + r.Namespace + ".svc",
		"ca":         map[string]any{"secret": map[string]any{"name": r.Certificates.ExporterSecret, "key": "ca.crt"}},
	}
	if r.Certificates.Source == ServiceCA {
		delete(tlsConfig, "ca")
		tlsConfig["caFile"] = "/etc/prometheus/configmaps/serving-certs-ca-bundle/service-ca.crt"
	}
	maps.Copy(endpoint, map[string]any{
		"scheme": "https", "interval": "30s", "bearerTokenFile": tokenFolder + "/token", "tlsConfig": tlsConfig,
	})
	return r.custom(kindServiceMonitor, name, map[string]any{
		"endpoints":         []any{endpoint},
		"namespaceSelector": map[string]any{"matchNames": []any{r.Namespace}},
		"selector":          map[string]any{"matchLabels": map[string]any{labelName: service}},
	})
}

// recordingRules join each metric of a VF with the pod that uses the VF.
func (r *renderer) recordingRules() Object {
	var rules []any
	for _, metric := range []string{
		"tx_packets", "rx_packets", "tx_bytes", "rx_bytes", "tx_dropped", "rx_dropped", "rx_broadcast", "rx_multicast",
	} {
		metric = "sriov_vf_" + metric
		rules = append(rules, map[string]any{
			"record": "network:" + metric,
			"expr":   metric + " * on (pciAddr,node) group_left(pod,namespace,dev_type) sriov_kubepoddevice",
		})
	}
	return r.custom(kindPrometheusRule, exporterRules, map[string]any{"groups": []any{map[string]any{
		"name": "sriov-network-metrics-operator.rules", "interval": "30s", "rules": rules,
	}}})
}
