// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package hw holds the nouns of SR-IOV hardware: addresses, functions, ranges and
// the inventory of one machine. It is plain data; it never looks at a machine.
package hw
