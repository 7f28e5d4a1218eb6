// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package kube measures the operator against a real API server, side by side with a
// client that does nothing but write the same objects.
package kube
