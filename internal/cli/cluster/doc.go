// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package cluster reads the objects of a cluster that SR-IOV depends on: from its API,
// or from files that were written of it. It writes nothing.
package cluster
