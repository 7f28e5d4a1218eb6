// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package claims reads the ConfigMap sriov-configmap: what each node claims of its
// NICs, with no policy object written.
//
// Every key is read by itself, so that a broken one touches no other node, and its
// node keeps what it had: see Merge. What a key says becomes entries that count
// like policies in package render/nodestate.
package claims
