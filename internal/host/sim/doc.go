// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package sim is a simulated Linux kernel with SR-IOV NICs: one state behind all
// doors of package host. It models what package contract tests, and nothing more;
// each refusal names the kernel source that it follows.
package sim
