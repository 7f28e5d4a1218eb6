// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package manifest reads files of Kubernetes objects into the types of the API
// and says where in the files everything stands.
package manifest
