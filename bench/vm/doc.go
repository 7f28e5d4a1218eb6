// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package vm measures, on a real kernel in a virtual machine, how much longer the
// command takes than the kernel alone.
package vm
