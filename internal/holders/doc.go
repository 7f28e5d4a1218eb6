// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package holders asks the kubelet which pods hold which devices. It changes
// nothing, and knows of machines only what a PCI address is.
package holders
