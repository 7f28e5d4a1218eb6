// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package nearest finds the known word that a misspelt one was meant to be.
package nearest
