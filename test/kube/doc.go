// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package kube gives tests a real Kubernetes: etcd and kube-apiserver with the
// operator's CRDs, and where a test asks for them the controller manager, the
// scheduler and simulated nodes. Nothing of the API is imitated. Programs come
// from package binaries; package proxy makes the API server hostile.
package kube
