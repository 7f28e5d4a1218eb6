// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package network keeps the NetworkAttachmentDefinition of every SriovNetwork,
// SriovIBNetwork and OVSNetwork as its network asks.
//
// An attachment is written or deleted only after its owner has been verified, and
// only at the version that was verified; one that somebody else made is left alone,
// and a condition of the network says so. Nothing is written when nothing differs.
//
// The kind NetworkAttachmentDefinition is optional. A second controller watches its
// definition, and begins and ends the watch of attachments as the kind comes and
// goes.
package network
