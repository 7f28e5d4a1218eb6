// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package core measures what decides: rendering, planning and looking, for large
// clusters and large machines.
package core
