// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package clone starts machines of the VM rig from what its cache holds. Each
// has a disk of its own, which goes with it.
package clone
