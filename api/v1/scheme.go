// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// SchemeGroupVersion is the group and version of every kind in this package.
// It is a variable because Go has no struct constants; nothing writes to it.
var SchemeGroupVersion = schema.GroupVersion{Group: GroupName, Version: Version} //nolint:gochecknoglobals // read only; generated code needs it by this name

// AddToScheme registers every kind of this package, and its list, with a scheme.
func AddToScheme(scheme *runtime.Scheme) error {
	builder := runtime.NewSchemeBuilder(addKnownTypes)
	return builder.AddToScheme(scheme)
}

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(SchemeGroupVersion,
		&OVSNetwork{}, &OVSNetworkList{},
		&SriovIBNetwork{}, &SriovIBNetworkList{},
		&SriovNetwork{}, &SriovNetworkList{},
		&SriovNetworkNodePolicy{}, &SriovNetworkNodePolicyList{},
		&SriovNetworkNodeState{}, &SriovNetworkNodeStateList{},
		&SriovNetworkPoolConfig{}, &SriovNetworkPoolConfigList{},
		&SriovOperatorConfig{}, &SriovOperatorConfigList{},
	)
	metav1.AddToGroupVersion(scheme, SchemeGroupVersion)
	return nil
}
