// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package host describes a machine as a few narrow doors: a Reader that can only
// look, and a Host that can also change. It opens none of them itself.
package host
