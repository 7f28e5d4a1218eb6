// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package style

// Recieve is spelled wrongly.
const Recieve = 1

// want misspell: is a misspelling of `Receive`
// want misspell: is a misspelling of `Receive`
