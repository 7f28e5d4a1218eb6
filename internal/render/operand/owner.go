// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operand

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// OwnerReference is the reference to the operator configuration in all that goes with
// it. The configuration may go before what it owns: nothing waits, so no right to its
// finalizers is needed where the API server asks for one
// (OwnerReferencesPermissionEnforcement).
func OwnerReference(config *sriovv1.SriovOperatorConfig) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: sriovv1.SchemeGroupVersion.String(), Kind: sriovv1.KindSriovOperatorConfig,
		Name: config.Name, UID: config.UID, Controller: new(true),
	}
}
