// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package converge is the one way to ask what would happen to a machine, and to
// make it happen: look, remember, render, plan, execute. It speaks to nobody.
package converge
