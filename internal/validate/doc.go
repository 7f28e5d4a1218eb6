// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package validate says what is wrong with an object, where, and how to mend it.
// An error is what can never work; what depends on other objects, nodes or NICs
// is a warning, because those come and go.
package validate
