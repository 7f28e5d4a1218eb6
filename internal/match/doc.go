// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package match answers whether a policy selects a node, a PF, and which of the
// PF's VFs. Selectors are parsed once and then asked many times.
package match
