// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubeovn/sriov-network-operator/internal/render/install"
)

// values are those of the chart that name the images.
type values struct {
	Images struct {
		Operator     string `json:"operator"`
		ConfigDaemon string `json:"configDaemon"`
		Webhook      string `json:"webhook"`
	} `json:"images"`
}

// kustomization is as much of one as is needed here.
type kustomization struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Resources  []string `json:"resources"`
	Patches    []patch  `json:"patches"`
}

type patch struct {
	Patch string `json:"patch"`
}

// writeInstallation writes values for the chart and a kustomization of deploy, which both
// name the images.
func writeInstallation(folder string, images map[string]string) error {
	var v values
	v.Images.Operator = images["sriov-network-operator"]
	v.Images.ConfigDaemon = images["sriov-network-config-daemon"]
	v.Images.Webhook = images["sriov-network-operator-webhook"]
	if err := writeYAML(filepath.Join(folder, "values.yaml"), v); err != nil {
		return err
	}
	change, err := yaml.Marshal(deployment(v))
	if err != nil {
		return err
	}
	return writeYAML(filepath.Join(folder, "kustomization.yaml"), kustomization{
		APIVersion: "kustomize.config.k8s.io/v1beta1", Kind: "Kustomization",
		Resources: []string{"../../deploy"}, Patches: []patch{{Patch: string(change)}},
	})
}

// deployment is a strategic merge patch of the operator.
func deployment(v values) map[string]any {
	env := []corev1.EnvVar{
		{Name: "SRIOV_NETWORK_CONFIG_DAEMON_IMAGE", Value: v.Images.ConfigDaemon},
		{Name: "SRIOV_NETWORK_WEBHOOK_IMAGE", Value: v.Images.Webhook},
	}
	return map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": install.Name},
		"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": []map[string]any{
			{"name": install.Name, "image": v.Images.Operator, "env": env},
		}}}},
	}
}

func writeYAML(path string, content any) error {
	text, err := yaml.Marshal(content)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}
