// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operand

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// daemonName is the name of the daemon's objects, of its container and its program.
const daemonName = "sriov-network-config-daemon"

// Names of volumes of the config daemon, and where its pods see the host.
const (
	hostVolume      = "host"
	hostFolder      = "/host"
	tmpVolume       = "tmp"
	cniVolume       = "cnibin"
	osReleaseVolume = "os-release"
	metricsVolume   = "metrics-certs"
)

// daemonMetrics is the name of the Service and the ServiceMonitor of the daemon's metrics,
// and daemonMetricsPort that of their port.
const (
	daemonMetrics     = daemonName + "-metrics"
	daemonMetricsPort = "metrics"
)

// usualKubeletDir is the kubelet's root folder unless it is told otherwise.
const usualKubeletDir = "/var/lib/kubelet"

// Environment variables that the daemon cannot work without.
const (
	envNodeName  = "NODE_NAME"
	envNamespace = "NAMESPACE"
	// envHostIP is the node's address: what holds it is never cut off.
	envHostIP = "HOST_IP"
)

// daemon is the config daemon: a privileged pod on each node that is looked after.
func (r *renderer) daemon() []Object {
	r.needImage(ConfigDaemon, "configDaemon", r.Images.ConfigDaemon)
	r.hostFolder(ConfigDaemon, "cniBinDir", r.CNIBinDir)
	if r.spec.ConfigurationMode == sriovv1.ConfigurationModeSystemd && r.Platform == OpenShift && r.ControlPlane == Elsewhere {
		r.problems = append(r.problems, Problem{
			Severity: Refusal, Group: ConfigDaemon, Field: "spec.configurationMode",
			Reason: sriovv1.ReasonUnsupportedConfiguration,
			Cause:  "systemd is not supported where OpenShift's control plane is hosted", Fix: "use daemon",
		})
	}
	objects := []Object{r.serviceAccount(ConfigDaemon, daemonName)}
	objects = append(objects, r.clusterRole(ConfigDaemon, daemonName, daemonName, daemonName, r.daemonClusterRules()...)...)
	objects = append(objects, r.role(ConfigDaemon, daemonName, daemonName, daemonName, r.daemonRules()...)...)
	if r.Kinds.ValidatingAdmissionPolicy {
		objects = append(objects, r.ownNode()...)
	} else {
		r.warn(ConfigDaemon, "kinds.validatingAdmissionPolicy", "the cluster has no such kind, so a daemon may change nodes and node states other than its own",
			"use Kubernetes 1.30 or later")
	}
	return append(objects, r.daemonSet(ConfigDaemon, r.daemonPod()))
}

// daemonClusterRules are what the daemon may do to nodes: look at its own, and ask for
// a drain there by annotation. Where it serves metrics, it asks who reads them.
func (r *renderer) daemonClusterRules() []rbacv1.PolicyRule {
	rules := []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"get", "patch"}}}
	if r.gates.exporter {
		rules = append(rules, readerRules()...)
	}
	return rules
}

// readerRules are what a server of metrics needs to ask the API server about each reader.
func readerRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"tokenreviews"}, Verbs: []string{"create"}},
		{APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}},
	}
}

// daemonRules are what the daemon may do in the operator's namespace.
func (r *renderer) daemonRules() []rbacv1.PolicyRule {
	read := []string{"list", "watch"}
	rules := []rbacv1.PolicyRule{
		{APIGroups: []string{sriovv1.GroupName}, Resources: []string{"sriovnetworknodestates"}, Verbs: []string{"get", "list", "watch", "patch"}},
		{APIGroups: []string{sriovv1.GroupName}, Resources: []string{"sriovnetworknodestates/status"}, Verbs: []string{"update"}},
		{APIGroups: []string{sriovv1.GroupName}, Resources: []string{"sriovoperatorconfigs"}, ResourceNames: []string{sriovv1.DefaultConfigName}, Verbs: read},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{sriovv1.ConfigMapSupportedNICIDs}, Verbs: read},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list", "watch", "patch", "delete"}},
		{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"create"}},
	}
	if r.Platform == OpenShift {
		rules = append(rules, useSCC("privileged"))
	}
	return rules
}

func (r *renderer) daemonPod() corev1.PodTemplateSpec {
	installers, volumes := r.installers()
	pod := r.pod(daemonName, "privileged", corev1.PodSpec{
		HostNetwork: true, HostPID: true,
		NodeSelector: NodeSelector(r.spec), Tolerations: everywhere(),
		ServiceAccountName: daemonName, AutomountServiceAccountToken: new(false),
		PriorityClassName: "system-node-critical",
		InitContainers:    installers,
		Containers: []corev1.Container{{
			Name: daemonName, Image: r.Images.ConfigDaemon,
			Command: []string{daemonName}, Args: r.daemonArgs(), Env: r.daemonEnv(),
			SecurityContext: privileged(), Resources: requests("100m", "100Mi"),
			VolumeMounts: []corev1.VolumeMount{
				{Name: hostVolume, MountPath: hostFolder, MountPropagation: new(corev1.MountPropagationHostToContainer)},
				{Name: tmpVolume, MountPath: "/tmp"},
				tokenMount(),
			},
		}},
		Volumes: append([]corev1.Volume{
			hostPath(hostVolume, "/", corev1.HostPathDirectory),
			{Name: tmpVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
			tokenVolume(),
		}, volumes...),
	})
	if r.gates.exporter {
		r.serveDaemonMetrics(&pod.Spec)
	}
	return pod
}

// serveDaemonMetrics makes the daemon serve its metrics on the node's address, with the
// exporter's certificate once there is one: a node is never kept waiting for it.
func (r *renderer) serveDaemonMetrics(pod *corev1.PodSpec) {
	const folder = "/etc/metrics"
	c := &pod.Containers[0]
	c.Args = append(c.Args, fmt.Sprintf("--metrics-bind-address=[$(%s)]:%d", envHostIP, r.Metrics.DaemonPort), "--metrics-cert-dir="+folder)
	c.Ports = append(c.Ports, corev1.ContainerPort{Name: daemonMetricsPort, ContainerPort: int32(r.Metrics.DaemonPort), Protocol: corev1.ProtocolTCP})
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: metricsVolume, MountPath: folder, ReadOnly: true})
	secret := secretVolume(metricsVolume, r.Certificates.ExporterSecret)
	secret.Secret.Optional = new(true)
	pod.Volumes = append(pod.Volumes, secret)
}

// daemonArgs hold only what the daemon cannot learn while it runs: a change of them
// replaces the pods.
func (r *renderer) daemonArgs() []string {
	args := []string{"start"}
	if r.spec.ConfigurationMode == sriovv1.ConfigurationModeSystemd {
		args = append(args, "--use-systemd-service")
	}
	if len(r.spec.DisablePlugins) > 0 {
		var names []string
		for _, name := range r.spec.DisablePlugins {
			names = append(names, string(name))
		}
		slices.Sort(names)
		args = append(args, "--disable-plugins="+strings.Join(slices.Compact(names), ","))
	}
	if r.gates.parallelNICs {
		args = append(args, "--parallel-nic-config")
	}
	if r.gates.bridges {
		args = append(args, "--manage-software-bridges")
	}
	if r.KubeletDir != usualKubeletDir {
		// Below the host's root: there the kubelet says which pods hold which VFs.
		args = append(args, "--kubelet-dir="+r.KubeletDir)
	}
	return args
}

// daemonEnv has each variable once. Those of the configuration replace the operator's,
// except what ties the daemon to its node, its address and its namespace.
func (r *renderer) daemonEnv() []corev1.EnvVar {
	env := []corev1.EnvVar{
		envField(envNodeName, "spec.nodeName"), envField(envNamespace, "metadata.namespace"),
		envField(envHostIP, "status.hostIP"),
		{Name: "CLUSTER_TYPE", Value: r.Platform.String()}, {Name: "RESOURCE_PREFIX", Value: r.prefix()},
	}
	if r.DevMode {
		env = append(env, corev1.EnvVar{Name: "DEV_MODE", Value: "TRUE"})
	}
	if r.ExternalDrainer {
		env = append(env, corev1.EnvVar{Name: "USE_EXTERNAL_DRAINER", Value: "true"})
	}
	for _, name := range slices.Sorted(maps.Keys(r.spec.ConfigDaemonEnvVars)) {
		field := fmt.Sprintf("spec.configDaemonEnvVars[%s]", name)
		if slices.Contains([]string{envNodeName, envNamespace, envHostIP}, name) {
			r.warn(ConfigDaemon, field, "is set by the operator and cannot be changed", "remove it")
			continue
		}
		if len(validation.IsEnvVarName(name)) > 0 {
			r.warn(ConfigDaemon, field, fmt.Sprintf("%q is no name of an environment variable and is left out", name), "use letters, digits and _")
			continue
		}
		wanted := corev1.EnvVar{Name: name, Value: r.spec.ConfigDaemonEnvVars[name]}
		if i := slices.IndexFunc(env, func(e corev1.EnvVar) bool { return e.Name == name }); i >= 0 {
			env[i] = wanted
			continue
		}
		env = append(env, wanted)
	}
	return env
}

// installers are the init containers that copy programs to the host, and the volumes
// that only they need. A CNI plugin without an image is not installed.
func (r *renderer) installers() ([]corev1.Container, []corev1.Volume) {
	var out []corev1.Container
	for _, cni := range []struct{ name, image string }{
		{"sriov-cni", r.Images.SriovCNI}, {"sriov-infiniband-cni", r.Images.IBCNI},
		{"ovs-cni", r.Images.OVSCNI}, {"rdma-cni", r.Images.RDMACNI},
	} {
		if cni.image != "" {
			out = append(out, cniInstaller(cni.name, cni.image))
		}
	}
	var volumes []corev1.Volume
	if len(out) > 0 {
		volumes = []corev1.Volume{
			hostPath(cniVolume, r.CNIBinDir, corev1.HostPathDirectoryOrCreate),
			hostPath(osReleaseVolume, "/etc/os-release", corev1.HostPathFile),
		}
	}
	if r.spec.ConfigurationMode == sriovv1.ConfigurationModeSystemd {
		out = append(out, corev1.Container{
			Name: "sriov-service-copy", Image: r.Images.ConfigDaemon,
			Command: []string{daemonName}, Args: []string{"install", "--host=" + hostFolder},
			SecurityContext: privileged(), Resources: requests("10m", "10Mi"),
			VolumeMounts: []corev1.VolumeMount{{Name: hostVolume, MountPath: hostFolder}},
		})
	}
	return out, volumes
}

// cniInstaller copies a CNI plugin from its image. It is privileged because SELinux
// lets no other container write to the folder of CNI plugins.
func cniInstaller(name, image string) corev1.Container {
	const folder = "/host/opt/cni/bin"
	c := corev1.Container{
		Name: name, Image: image, Args: []string{"--no-sleep"},
		SecurityContext: privileged(), Resources: requests("10m", "10Mi"),
		VolumeMounts: []corev1.VolumeMount{
			{Name: cniVolume, MountPath: folder},
			{Name: osReleaseVolume, MountPath: "/host/etc/os-release", ReadOnly: true},
		},
	}
	if name == "ovs-cni" {
		// Its image has no installer.
		c.Command, c.Args = []string{"cp"}, []string{"/ovs", "/ovs-mirror-producer", "/ovs-mirror-consumer", folder}
	}
	return c
}
