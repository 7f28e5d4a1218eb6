// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package sim measures how close an execution on the simulated kernel, whose calls
// take as long as those of a large machine, comes to the shortest time that they
// allow.
package sim
