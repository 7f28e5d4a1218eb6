// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package certs makes the certificates of webhooks and exporter, keeps them in Secrets,
// and renews them so that no request is refused meanwhile.
//
// Each certificate has a CA of its own, whose key signs it and is then forgotten: there
// is no key that could be stolen to sign another one. A renewal therefore brings a new
// CA, and goes in two steps:
//
//  1. The new CA is added to ca.crt, and the new certificate waits in next.crt and
//     next.key, which nobody mounts.
//  2. Once every webhook configuration holds the new CA, and an hour has passed for
//     those who read ca.crt by themselves, the new certificate becomes tls.crt.
//
// The old CA stays in ca.crt until it expires, for the pods that are late.
//
// [Decide] decides and touches nothing; [Keeper] does it. A Secret that the operator did
// not make is never changed. If its certificate can be used, it is.
package certs
