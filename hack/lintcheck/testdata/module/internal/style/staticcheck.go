// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package style

// Same compares a value with itself.
func Same(n int) bool {
	return n != n
}

// want staticcheck: SA4000
