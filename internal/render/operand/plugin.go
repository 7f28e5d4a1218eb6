// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operand

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// Names of the device plugin's objects.
const (
	pluginName      = "sriov-device-plugin"
	pluginSCCRole   = "sriov-plugin"
	pluginPodAccess = "sriov-device-plugin-pod-access"
)

// pluginConfigVolume is not "config-volume": that is a ConfigMap in the existing
// operator, and a volume keeps its source when it keeps its name.
const (
	pluginConfigVolume = "plugin-config"
	pluginConfigFolder = "/etc/pcidp/"
)

// labelInitContainer tells whether pods of the device plugin wait for the daemon.
const labelInitContainer = "init-container-enabled"

// devicePlugin is the device plugin: a pod on each node with VFs to offer. Its template
// does not depend on what the plugin of any node reads.
func (r *renderer) devicePlugin() []Object {
	r.needImage(DevicePlugin, "devicePlugin", r.Images.DevicePlugin)
	r.hostFolder(DevicePlugin, "kubeletDir", r.KubeletDir)
	objects := []Object{r.serviceAccount(DevicePlugin, pluginName)}
	if r.Platform == OpenShift {
		objects = append(objects, r.role(DevicePlugin, pluginSCCRole, pluginName, pluginName, useSCC("privileged"))...)
	}
	if r.gates.blockPlugin {
		r.needImage(DevicePlugin, "configDaemon", r.Images.ConfigDaemon)
		objects = append(objects, r.role(DevicePlugin, pluginPodAccess, pluginPodAccess, pluginName, rbacv1.PolicyRule{
			APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "list", "watch", "patch"},
		})...)
		if r.Kinds.ValidatingAdmissionPolicy {
			objects = append(objects, r.ownPod()...)
		}
	}
	return append(objects, r.daemonSet(DevicePlugin, r.pluginPod()))
}

func (r *renderer) pluginPod() corev1.PodTemplateSpec {
	spec := corev1.PodSpec{
		HostNetwork:  true,
		NodeSelector: with(NodeSelector(r.spec), sriovv1.LabelDevicePlugin, sriovv1.LabelDevicePluginEnabled),
		Tolerations:  everywhere(), PriorityClassName: "system-node-critical",
		ServiceAccountName: pluginName, AutomountServiceAccountToken: new(false),
		Containers: []corev1.Container{r.pluginContainer()},
		Volumes: []corev1.Volume{
			hostPath("devicesock", r.KubeletDir+"/device-plugins", corev1.HostPathDirectory),
			hostPath("plugins-registry", r.KubeletDir+"/plugins_registry", corev1.HostPathDirectoryOrCreate),
			r.pluginConfig(),
			hostPath("device-info", "/var/run/k8s.cni.cncf.io/devinfo/dp", corev1.HostPathDirectoryOrCreate),
		},
	}
	if r.spec.UseCDI {
		spec.Volumes = append(spec.Volumes, hostPath("dynamic-cdi", "/var/run/cdi", corev1.HostPathDirectoryOrCreate))
	}
	if r.gates.blockPlugin {
		spec.InitContainers = []corev1.Container{r.pluginGate()}
		spec.Volumes = append(spec.Volumes, tokenVolume())
	}
	pod := r.pod(pluginName, "privileged", spec)
	pod.Labels[labelInitContainer] = strconv.FormatBool(r.gates.blockPlugin)
	return pod
}

func (r *renderer) pluginContainer() corev1.Container {
	c := corev1.Container{
		Name: pluginName, Image: r.Images.DevicePlugin,
		Args: []string{
			"--log-level=10", "--resource-prefix=" + r.prefix(),
			"--config-file=" + pluginConfigFolder + "$(" + envNodeName + ")",
		},
		Env:             []corev1.EnvVar{envField(envNodeName, "spec.nodeName")},
		SecurityContext: privileged(), Resources: requests("10m", "50Mi"),
		VolumeMounts: []corev1.VolumeMount{
			// The plugin looks for the kubelet at its usual place, wherever that is on the host.
			{Name: "devicesock", MountPath: "/var/lib/kubelet/device-plugins"},
			{Name: "plugins-registry", MountPath: "/var/lib/kubelet/plugins_registry"},
			{Name: pluginConfigVolume, MountPath: pluginConfigFolder, ReadOnly: true},
			{Name: "device-info", MountPath: "/var/run/k8s.cni.cncf.io/devinfo/dp"},
		},
	}
	if r.spec.UseCDI {
		c.Args = append(c.Args, "--use-cdi")
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "dynamic-cdi", MountPath: "/var/run/cdi"})
	}
	return c
}

// pluginConfig has the file of each node, from whichever ConfigMap it is in. A
// ConfigMap that does not exist yet is no reason to wait.
func (r *renderer) pluginConfig() corev1.Volume {
	var sources []corev1.VolumeProjection
	for _, name := range r.DevicePluginConfigMaps {
		sources = append(sources, corev1.VolumeProjection{ConfigMap: &corev1.ConfigMapProjection{
			LocalObjectReference: corev1.LocalObjectReference{Name: name}, Optional: new(true),
		}})
	}
	return corev1.Volume{Name: pluginConfigVolume, VolumeSource: corev1.VolumeSource{
		Projected: &corev1.ProjectedVolumeSource{Sources: sources, DefaultMode: new(int32(0o444))},
	}}
}

// pluginGate holds the plugin back until the daemon has configured the node, so that
// it never offers VFs that are about to change.
func (r *renderer) pluginGate() corev1.Container {
	const podName, podNamespace = "POD_NAME", "POD_NAMESPACE"
	return corev1.Container{
		Name: "sriov-device-plugin-init", Image: r.Images.ConfigDaemon,
		Command: []string{daemonName},
		Args:    []string{"wait-for-config", "--pod-name=$(" + podName + ")", "--pod-namespace=$(" + podNamespace + ")"},
		Env: []corev1.EnvVar{
			envField(podName, "metadata.name"), envField(podNamespace, "metadata.namespace"),
		},
		SecurityContext: confined(), Resources: requests("10m", "20Mi"),
		VolumeMounts: []corev1.VolumeMount{tokenMount()},
	}
}
