// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package contract is the set of tests that every host.Host passes, the real
// kernel and the simulated one. A test does something to a machine and looks at
// the machine; it never asks which calls were made.
package contract
