// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/claims"
)

// trimNode keeps of a node what the operator reads: who it is, its labels, the project's
// annotations and taint, whether it is cordoned, and whether it is ready.
func trimNode(object any) (any, error) {
	node, ok := object.(*corev1.Node)
	if !ok {
		return object, nil
	}
	out := &corev1.Node{
		TypeMeta: node.TypeMeta,
		ObjectMeta: metav1.ObjectMeta{
			Name: node.Name, UID: node.UID, ResourceVersion: node.ResourceVersion, Generation: node.Generation,
			CreationTimestamp: node.CreationTimestamp, DeletionTimestamp: node.DeletionTimestamp, Labels: node.Labels,
		},
		Spec: corev1.NodeSpec{Unschedulable: node.Spec.Unschedulable},
	}
	for _, taint := range node.Spec.Taints {
		if taint.Key == sriovv1.TaintDraining {
			out.Spec.Taints = append(out.Spec.Taints, taint)
		}
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			out.Status.Conditions = append(out.Status.Conditions, corev1.NodeCondition{Type: c.Type, Status: c.Status})
		}
	}
	for key, value := range node.Annotations {
		if !strings.HasPrefix(key, sriovv1.GroupName+"/") {
			continue
		}
		if out.Annotations == nil {
			out.Annotations = map[string]string{}
		}
		out.Annotations[key] = value
	}
	return out, nil
}

// trimNodeState keeps of VFs what rendering reads: of the first ones, their address and
// device id, and that there are more than one. A node with 8 PFs may have a thousand of
// them, and what pods do with VFs is then no news either.
func trimNodeState(object any) (any, error) {
	state, ok := object.(*sriovv1.SriovNetworkNodeState)
	if !ok {
		return object, nil
	}
	const kept = 2
	state.ManagedFields = nil
	for i := range state.Status.Interfaces {
		pf := &state.Status.Interfaces[i]
		vfs := make([]sriovv1.VirtualFunction, 0, kept)
		for _, vf := range pf.VFs[:min(len(pf.VFs), kept)] {
			vfs = append(vfs, sriovv1.VirtualFunction{PciAddress: vf.PciAddress, Vendor: vf.Vendor, DeviceID: vf.DeviceID, VfID: vf.VfID})
		}
		if len(pf.VFs) > 0 {
			pf.VFs = vfs
		}
	}
	return state, nil
}

// trimConfigMap forgets the contents of ConfigMaps that the operator does not read.
func trimConfigMap(object any) (any, error) {
	cm, ok := object.(*corev1.ConfigMap)
	if !ok {
		return object, nil
	}
	cm.ManagedFields = nil
	mine := cm.Name == sriovv1.ConfigMapSupportedNICIDs || strings.HasPrefix(cm.Name, sriovv1.ConfigMapDevicePluginConfig)
	if !mine && !claims.Selects(cm.Name, cm.Labels) {
		cm.Data, cm.BinaryData = nil, nil
	}
	return cm, nil
}
