// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package plan turns a desired node and an observed node into ordered steps. It
// never reads or changes a machine, and it knows nothing of Kubernetes.
package plan
