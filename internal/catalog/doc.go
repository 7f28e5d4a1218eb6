// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package catalog knows NICs and drivers: which devices are listed, the device
// ids of their VFs, and each driver's peculiarities with their sources.
package catalog
