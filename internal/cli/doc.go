// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package cli is the command kubectl-sriov: it parses what was typed, asks the
// other packages, and prints what they answer. It decides nothing.
package cli
