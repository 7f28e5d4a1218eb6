// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operatorconfig

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubeovn/sriov-network-operator/internal/render/deviceplugin"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

// settings are what the operator was started with and what it finds in the cluster.
func (r *reconciler) settings(ctx context.Context) (operand.Settings, error) {
	s := r.options.Settings
	var err error
	if s.Kinds, err = r.kinds.look(ctx); err != nil {
		return s, err
	}
	var nodes corev1.NodeList
	if err := r.client.List(ctx, &nodes, client.UnsafeDisableDeepCopy); err != nil {
		return s, fmt.Errorf("list the nodes: %w", err)
	}
	s.ControlPlane, s.SingleNode = operand.Elsewhere, len(nodes.Items) == 1
	for i := range nodes.Items {
		if operand.IsControlPlane(nodes.Items[i].Labels) {
			s.ControlPlane = operand.OnNodes
			break
		}
	}
	s.DevicePluginConfigMaps, err = r.pluginConfigs(ctx)
	return s, err
}

// pluginConfigs are the ConfigMaps that the device plugin mounts, for as many as there
// are.
func (r *reconciler) pluginConfigs(ctx context.Context) ([]string, error) {
	var list corev1.ConfigMapList
	if err := r.client.List(ctx, &list, client.InNamespace(r.options.Settings.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list the ConfigMaps: %w", err)
	}
	there := make(map[string]bool, len(list.Items))
	for i := range list.Items {
		there[list.Items[i].Name] = true
	}
	shards := 1
	for i := range list.Items {
		if there[deviceplugin.ConfigMapName(i)] {
			shards = i + 1
		}
	}
	return deviceplugin.Mounts(shards), nil
}
