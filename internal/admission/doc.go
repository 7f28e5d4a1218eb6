// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package admission answers the API server's questions about objects that people write:
// what can never work is refused, what depends on others is a warning.
//
// An answer is a pure function of the request and of what is known of the cluster, so
// that requests which come together cannot mix. What is known comes from [Watch], which
// asks nobody while a request waits. What is not known yet is left out, and the answer
// says so.
package admission
