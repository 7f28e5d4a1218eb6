// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package render holds stories of policies on one node: each .txtar file is a
// story with the node's state, the policies, and what the node should be.
package render
