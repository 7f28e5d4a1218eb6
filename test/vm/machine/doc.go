// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package machine runs one QEMU machine with SR-IOV NICs and speaks with the
// agent in it. Whatever ends the machine ends every call to it at once, with
// what QEMU and the guest's console said last.
package machine
