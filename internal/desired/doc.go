// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package desired says what one node should be. An invalid node cannot be built.
package desired
