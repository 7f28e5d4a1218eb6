// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package decide says what the daemon does next: Weigh says what a plan needs of the
// node, and Next, from that and from what was asked for and granted, what to do. Both
// are total functions of their arguments.
package decide
