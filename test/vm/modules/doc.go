// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package modules holds the source of the kernel modules that the VM rig adds
// to a stock Debian kernel. They are test equipment, under the kernel's licence.
package modules

import "embed"

// Source is the source, one folder for each module.
//
//go:embed sriov_esw
var Source embed.FS
