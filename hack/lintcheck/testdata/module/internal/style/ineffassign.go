// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package style

// Forget assigns for nothing.
func Forget() int {
	n := 1
	n = 2
	return n
}

// want ineffassign: ineffectual assignment to n
