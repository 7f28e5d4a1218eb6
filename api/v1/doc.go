// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package v1 holds the objects of the API group sriovnetwork.openshift.io/v1 as they are on the wire.
//
// It is structs and constants only: no defaulting, no validation, no rendering.
// Names follow the spelling of the wire (totalvfs, Vfs, Vlan, eSwitchMode), which other software reads;
// nothing but package wire and the renderers should have to know it.
//
// Defaults and rules that protect a cluster live in the schema itself, as kubebuilder markers,
// so they hold without an admission webhook.
//
// +groupName=sriovnetwork.openshift.io
// +kubebuilder:object:generate=true
// +kubebuilder:ac:generate=true
// +kubebuilder:ac:output:package="applyconfiguration"
package v1
