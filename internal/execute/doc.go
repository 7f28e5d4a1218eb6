// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package execute carries a plan out on a machine and looks after it wrote. It
// decides nothing.
package execute
