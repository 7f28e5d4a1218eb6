// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operand

import (
	"fmt"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// Settings is what the operator was started with and what it knows of the cluster.
// The zero value of each field is its default; images have none.
type Settings struct {
	// Namespace of the operator and of all that it deploys. Default: kube-system.
	Namespace string
	// OperatorServiceAccount is the operator's own; its writes are not sent to the
	// webhook. Default: sriov-network-operator.
	OperatorServiceAccount string
	Platform               Platform
	ControlPlane           ControlPlane
	// SingleNode is set when the cluster has one node only.
	SingleNode bool
	Kinds      Kinds
	Images     Images
	// PullSecrets are the names of Secrets, in Namespace, to pull images with.
	PullSecrets []string
	// ResourcePrefix applies when the operator configuration has none.
	// Default: openshift.io.
	ResourcePrefix string
	// CNIBinDir is where CNI plugins are on the hosts. Default: /var/lib/cni/bin.
	CNIBinDir string
	// KubeletDir is the kubelet's root folder on the hosts. Default: /var/lib/kubelet.
	KubeletDir string
	// DevicePluginConfigMaps are the ConfigMaps that the device plugin mounts, as
	// deviceplugin.Mounts names them. Default: device-plugin-config alone.
	DevicePluginConfigMaps []string
	// ExternalDrainer leaves draining to other software.
	ExternalDrainer bool
	// DevMode lets NICs that are not in the NIC list be configured.
	DevMode      bool
	Certificates Certificates
	TLS          TLS
	Metrics      Metrics
	// APIServerPort is where the API server's pods or hosts listen, for the
	// NetworkPolicies of webhooks. Default: 6443.
	APIServerPort int
}

// Images are what containers run. An init container without an image is left out; any
// other part without an image is refused when it is asked for.
type Images struct {
	ConfigDaemon, DevicePlugin, Injector, Webhook string
	Exporter, RBACProxy                           string
	// CNI plugins, each copied to the hosts by an init container of the config daemon.
	SriovCNI, IBCNI, OVSCNI, RDMACNI string
}

// Platform is the kind of cluster.
type Platform int

// Platforms.
const (
	// Kubernetes is any cluster that is not OpenShift.
	Kubernetes Platform = iota
	// OpenShift has security context constraints and signs serving certificates.
	OpenShift
)

// String is the platform as the daemon reads it from CLUSTER_TYPE.
func (p Platform) String() string {
	switch p {
	case Kubernetes:
		return "kubernetes"
	case OpenShift:
		return "openshift"
	}
	return fmt.Sprintf("Platform(%d)", int(p))
}

// ControlPlane is where the control plane runs.
type ControlPlane int

// Places of the control plane.
const (
	// OnNodes: the cluster has nodes with the label of control-plane nodes. Webhooks
	// run there, one pod on each.
	OnNodes ControlPlane = iota
	// Elsewhere: it is hosted, as with HyperShift and the clouds. Webhooks run as two
	// replicas on any node.
	Elsewhere
)

// Kinds are the optional kinds that the cluster has.
type Kinds struct {
	// NetworkAttachmentDefinition of k8s.cni.cncf.io/v1.
	NetworkAttachmentDefinition bool
	// ServiceMonitor and PrometheusRule of monitoring.coreos.com/v1.
	ServiceMonitor, PrometheusRule bool
	// Certificate of cert-manager.io/v1.
	Certificate bool
	// ValidatingAdmissionPolicy of admissionregistration.k8s.io/v1: Kubernetes 1.30.
	ValidatingAdmissionPolicy bool
}

// CertificateSource is who makes the certificates of webhooks and exporter.
type CertificateSource int

// Certificate sources.
const (
	// SelfManaged: the operator makes them and keeps them in the named Secrets.
	SelfManaged CertificateSource = iota
	// CertManager: cert-manager does, from Certificate objects that are named as the
	// Secrets are and that somebody else made.
	CertManager
	// ServiceCA: OpenShift does.
	ServiceCA
)

// Certificates are where the certificates of webhooks and exporter come from.
type Certificates struct {
	Source CertificateSource
	// WebhookCA and InjectorCA are PEM: what the API server trusts. SelfManaged only.
	WebhookCA, InjectorCA []byte
	// WebhookSecret, InjectorSecret and ExporterSecret are Secrets with tls.crt and
	// tls.key. Default: operator-webhook-cert, network-resources-injector-cert,
	// metrics-exporter-cert.
	WebhookSecret, InjectorSecret, ExporterSecret string
}

// Metrics is how metrics are served and who reads them.
type Metrics struct {
	// Port on each node. Default: 9110.
	Port int
	// DaemonPort on each node is where the config daemon serves its own. Default: 9111.
	DaemonPort int
	// Rules asks for a PrometheusRule that joins the metrics of VFs with pods.
	Rules bool
	// PrometheusServiceAccount and PrometheusNamespace are Prometheus's own.
	// Default: prometheus-k8s in monitoring, on OpenShift in openshift-monitoring.
	PrometheusServiceAccount, PrometheusNamespace string
}

// withDefaults is the settings with every default filled in.
func (s Settings) withDefaults() Settings {
	def := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	def(&s.Namespace, sriovv1.DefaultNamespace)
	def(&s.OperatorServiceAccount, operatorName)
	def(&s.ResourcePrefix, sriovv1.DefaultResourcePrefix)
	def(&s.CNIBinDir, "/var/lib/cni/bin")
	def(&s.KubeletDir, usualKubeletDir)
	def(&s.Certificates.WebhookSecret, "operator-webhook-cert")
	def(&s.Certificates.InjectorSecret, "network-resources-injector-cert")
	def(&s.Certificates.ExporterSecret, "metrics-exporter-cert")
	def(&s.Metrics.PrometheusServiceAccount, "prometheus-k8s")
	if s.Platform == OpenShift {
		def(&s.Metrics.PrometheusNamespace, "openshift-monitoring")
	}
	def(&s.Metrics.PrometheusNamespace, "monitoring")
	if s.Metrics.Port == 0 {
		s.Metrics.Port = 9110
	}
	if s.Metrics.DaemonPort == 0 {
		s.Metrics.DaemonPort = 9111
	}
	if s.APIServerPort == 0 {
		s.APIServerPort = 6443
	}
	if len(s.DevicePluginConfigMaps) == 0 {
		s.DevicePluginConfigMaps = []string{sriovv1.ConfigMapDevicePluginConfig}
	}
	return s
}
