// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package network renders a SriovNetwork, SriovIBNetwork or OVSNetwork into the
// NetworkAttachmentDefinition that it asks for.
//
// The CNI configuration is marshalled from structs. Text that users write as JSON
// (ipam, capabilities, metaPlugins) is parsed first and becomes a value of its own
// field, so it can reach neither another field nor the name or namespace of the
// attachment. Text that does not parse is a *FieldError that says where.
package network
