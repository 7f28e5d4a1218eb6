// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

// The variables of the environment that say how things are deployed. Those that the
// existing operator reads have its names.
const (
	envClusterType    = "CLUSTER_TYPE"
	envCertManager    = "ADMISSION_CONTROLLERS_CERTIFICATES_CERT_MANAGER_ENABLED"
	envResourcePrefix = "RESOURCE_PREFIX"
	envMetricsPort    = "METRICS_EXPORTER_PORT"
	envDaemonPort     = "CONFIG_DAEMON_METRICS_PORT"
	envAPIServerPort  = "API_SERVER_PORT"
)

// readOperands reads what the environment says about what the operator deploys. A
// variable that is not set, or empty, leaves the default.
func readOperands(env func(string) string) (operand.Settings, error) {
	var s operand.Settings
	for name, field := range map[string]*string{
		envResourcePrefix: &s.ResourcePrefix, "SRIOV_CNI_BIN_PATH": &s.CNIBinDir, "KUBELET_ROOT_DIR": &s.KubeletDir,
		"SRIOV_NETWORK_CONFIG_DAEMON_IMAGE": &s.Images.ConfigDaemon, "SRIOV_DEVICE_PLUGIN_IMAGE": &s.Images.DevicePlugin,
		"NETWORK_RESOURCES_INJECTOR_IMAGE": &s.Images.Injector, "SRIOV_NETWORK_WEBHOOK_IMAGE": &s.Images.Webhook,
		"METRICS_EXPORTER_IMAGE": &s.Images.Exporter, "METRICS_EXPORTER_KUBE_RBAC_PROXY_IMAGE": &s.Images.RBACProxy,
		"SRIOV_CNI_IMAGE": &s.Images.SriovCNI, "SRIOV_INFINIBAND_CNI_IMAGE": &s.Images.IBCNI,
		"OVS_CNI_IMAGE": &s.Images.OVSCNI, "RDMA_CNI_IMAGE": &s.Images.RDMACNI,
		"METRICS_EXPORTER_PROMETHEUS_OPERATOR_SERVICE_ACCOUNT": &s.Metrics.PrometheusServiceAccount,
		"METRICS_EXPORTER_PROMETHEUS_OPERATOR_NAMESPACE":       &s.Metrics.PrometheusNamespace,
		"TLS_CIPHER_SUITES": &s.TLS.CipherSuites, "TLS_MIN_VERSION": &s.TLS.MinVersion, "TLS_CURVE_PREFERENCES": &s.TLS.CurvePreferences,
	} {
		*field = env(name)
	}
	switches := map[string]bool{
		"DEV_MODE": false, "USE_EXTERNAL_DRAINER": false, "METRICS_EXPORTER_PROMETHEUS_DEPLOY_RULES": false, envCertManager: false,
	}
	for name := range switches {
		on, err := readSwitch(name, env(name))
		if err != nil {
			return s, err
		}
		switches[name] = on
	}
	s.DevMode, s.ExternalDrainer = switches["DEV_MODE"], switches["USE_EXTERNAL_DRAINER"]
	s.Metrics.Rules = switches["METRICS_EXPORTER_PROMETHEUS_DEPLOY_RULES"]
	s.PullSecrets = append(s.PullSecrets, strings.FieldsFunc(env("IMAGE_PULL_SECRETS"), func(r rune) bool { return r == ',' || r == ' ' })...)
	if err := readPlatform(&s, env(envClusterType), switches[envCertManager]); err != nil {
		return s, err
	}
	for name, field := range map[string]*int{envMetricsPort: &s.Metrics.Port, envDaemonPort: &s.Metrics.DaemonPort, envAPIServerPort: &s.APIServerPort} {
		port, err := readPort(name, env(name))
		if err != nil {
			return s, err
		}
		*field = port
	}
	if p := s.ResourcePrefix; p != "" && len(validation.IsDNS1123Subdomain(p)) > 0 {
		return s, fmt.Errorf("%s %q is no DNS domain; use one such as mellanox.com", envResourcePrefix, p)
	}
	return s, nil
}

// readPlatform reads the kind of cluster, and with it who makes certificates.
func readPlatform(s *operand.Settings, cluster string, certManager bool) error {
	switch cluster {
	case "", operand.Kubernetes.String():
	case operand.OpenShift.String():
		s.Platform, s.Certificates.Source = operand.OpenShift, operand.ServiceCA
	default:
		return fmt.Errorf("%s %q is not known; use %s or %s", envClusterType, cluster, operand.Kubernetes, operand.OpenShift)
	}
	if certManager {
		s.Certificates.Source = operand.CertManager
	}
	return nil
}

// readSwitch reads true or false, in any of the spellings that Go knows.
func readSwitch(name, text string) (bool, error) {
	if text == "" {
		return false, nil
	}
	on, err := strconv.ParseBool(text)
	if err != nil {
		return false, fmt.Errorf("%s %q is neither true nor false", name, text)
	}
	return on, nil
}

func readPort(name, text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	port, err := strconv.Atoi(text)
	if err != nil || len(validation.IsValidPortNum(port)) > 0 {
		return 0, fmt.Errorf("%s %q is no port; use a number from 1 to 65535", name, text)
	}
	return port, nil
}
