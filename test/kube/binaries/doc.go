// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package binaries builds the programs of a Kubernetes control plane, and of
// simulated nodes, from Go modules. The modules pin the versions; a cache
// outside of the repository keeps the programs for them.
package binaries
